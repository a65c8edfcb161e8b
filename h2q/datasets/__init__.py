"""Files into bytes, facts and batches."""
