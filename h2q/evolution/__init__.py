"""The cycle of evolution and its proof."""
