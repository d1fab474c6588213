"""Models by name: what ships with recast, and where it lies."""
