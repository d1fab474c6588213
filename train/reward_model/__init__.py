"""A reward model: one number a text, learned from pairs of an accepted and a refused candidate."""
