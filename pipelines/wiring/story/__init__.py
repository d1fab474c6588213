"""What the verbs that tell a version's story share: its figures, the models that it made, what was asked of it."""
