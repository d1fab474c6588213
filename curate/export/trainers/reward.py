"""`reward.py` beside prompts with answers: the equality of answers that the gate uses, as the trainer calls it.

The file needs `recast-sft` where the trainer runs; `pip install --no-deps recast-sft math-verify latex2sympy2-extended
sympy` brings what it uses without touching the trainer's own packages.
"""

from __future__ import annotations

_HEAD = '''"""Reward of {version}: 1.0 for a text whose final answer equals the row's, 0.0 for any other.

Two answers are compared as recast's gate compares them; what cannot be told counts as wrong.
Without touching the trainer's packages: pip install --no-deps recast-sft math-verify latex2sympy2-extended sympy mpmath
"""

import recast


def _score(text, answer):
    said = recast.final_answer(text)
    return 1.0 if said is not None and recast.equivalent(said, answer) else 0.0

'''
_VERL = """
def compute_score(data_source, solution_str, ground_truth, extra_info=None, **kwargs):
    return _score(solution_str, ground_truth)
"""
_OPENRLHF = """
def reward_func(queries, prompts, labels, **kwargs):
    import torch

    said = [query[len(prompt) :] for query, prompt in zip(queries, prompts)]
    rewards = torch.tensor([_score(text, label) for text, label in zip(said, labels)])
    return {{"rewards": rewards, "scores": rewards, "extra_logs": {{"correct": rewards}}}}
"""


def verl(version: str) -> str:
    return (_HEAD + _VERL).format(version=version)


def openrlhf(version: str) -> str:
    return (_HEAD + _OPENRLHF).format(version=version)
