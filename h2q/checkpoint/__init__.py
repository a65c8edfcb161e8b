"""Models and runs, saved and loaded again; models also for other tools."""
