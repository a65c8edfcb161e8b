"""Models and runs on disk, and for other tools."""
