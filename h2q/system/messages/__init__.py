"""The sentences that a person reads, split by room; ``catalogue`` puts the rooms together."""
