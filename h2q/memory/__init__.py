"""What is remembered of a text beside the weights: counts of passages, and how they are mixed in."""
