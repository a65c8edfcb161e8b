"""The catalogue of sentences, split by room."""
