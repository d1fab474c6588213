"""Graders: a JSON file that says what an answer is worth, and what reads, runs and measures such files."""
