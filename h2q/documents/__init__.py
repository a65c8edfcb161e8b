"""Text out of the formats that people keep it in. Does not know encodings, nor what it is for."""
