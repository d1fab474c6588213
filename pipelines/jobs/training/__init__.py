"""Verbs of what happens downstream: train, measure, compare."""
