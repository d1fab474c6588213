"""Verbs about graders: what an answer is worth, and how often that is wrong."""
