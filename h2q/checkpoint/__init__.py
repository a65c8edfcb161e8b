"""Models and runs, saved and loaded again, and models exported for other tools."""
