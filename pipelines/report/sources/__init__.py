"""Where the report gets its figures: the store, run folders, learning, evaluations."""
