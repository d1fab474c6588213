"""What `train.model.token_statistics` measures beyond the label's probability, by name; without torch."""

from __future__ import annotations

CONCENTRATION = "concentration"
"""log sum_v p_v^2: minus the Rényi-2 entropy."""
ENTROPY = "entropy"
"""Entropy of the `TOP` likeliest tokens, renormalised."""
FULL_ENTROPY = "full_entropy"
"""Entropy of the whole distribution."""
