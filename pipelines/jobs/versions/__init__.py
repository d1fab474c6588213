"""Verbs over versions: import, look, compare, change, hand out."""
