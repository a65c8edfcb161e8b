"""Stands before matplotlib in the tests' scripts: an installation without extras, and no waiting."""

raise ModuleNotFoundError("No module named 'matplotlib'", name="matplotlib")
