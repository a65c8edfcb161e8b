"""Measurements of models and of what they write, and the statistics of them."""
