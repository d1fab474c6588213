"""Which rows a version keeps: filters, duplicates, contamination, budget, and how diverse what is left is."""
