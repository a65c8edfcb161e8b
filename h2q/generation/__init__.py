"""Text out of a model: sampling, stopping, drafting, conversations."""
