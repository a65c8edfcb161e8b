"""From files to bytes, facts and batches."""
