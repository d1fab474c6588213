"""Supervised fine-tuning on the completions of versions, and what a token costs."""
