"""What a completion computes: its equalities, its steps, its numbers."""
