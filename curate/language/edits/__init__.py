"""What was done to a text: its sentences paired with those of the text before, and each edit by name."""
