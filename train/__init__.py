"""Downstream training and evaluation: pretraining, SFT, objectives, suites, comparison. Imports `curate` only."""
