"""What jobs share: opening models, gates and rewriting jobs, committing once, writing outputs."""
