"""The rewriting agent: prompts, engines, reward, learning and the rewriting job.

Imports `curate`, and of `train` the room `model`.
"""
