"""Verbs of the rewriting agent: learn, plan, rewrite, and new rows."""
