"""The sentences that a person reads, a module for each folder; ``catalogue`` puts them together."""
