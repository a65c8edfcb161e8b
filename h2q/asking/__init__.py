"""Answers from a person's own facts and notes, each with its place."""
