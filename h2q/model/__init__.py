"""The language model: tokens, layers and the forward passes. Knows no files and no training."""
