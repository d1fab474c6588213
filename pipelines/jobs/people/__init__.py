"""Whole jobs and their story: stages, the demo, the proof, the report."""
