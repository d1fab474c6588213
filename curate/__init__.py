"""Data: what a demonstration is, whether a rewrite may replace it, and which version it belongs to.

Nothing here imports torch or transformers. Models reach this package as plain callables.
"""
