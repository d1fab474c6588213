"""Duplicates found on a cluster are those found in one process."""

from __future__ import annotations

import numpy as np
import pytest

from recast.curate.curation.dedup import DuplicateFinder
from recast.pipelines.on_ray import duplicates

pytest.importorskip("ray.data")
from recast.pipelines.on_ray.cluster import Cluster


@pytest.mark.slow
@pytest.mark.parametrize("threshold", [0.7, None])
def test_the_groups_are_those_of_one_process(monkeypatch, threshold):
    monkeypatch.setattr(duplicates, "PUT_ROWS", 300)  # several blocks, and a shuffle between them
    random = np.random.default_rng(1)
    vocabulary = np.array([f"w{i}" for i in range(800)])
    texts = [" ".join(random.choice(vocabulary, 24)) for _ in range(200)]
    for _ in range(1000):  # copies of copies, every third word for word
        changed = np.array(texts[random.integers(len(texts))].split())
        if random.integers(3):
            changed[random.integers(24)] = vocabulary[random.integers(800)]
        texts.append(" ".join(changed))
    texts += ["", " ", "a", "A"]
    alone, together = DuplicateFinder(threshold), duplicates.Gathered(threshold)
    with Cluster("local", workers=2):
        for finder in (alone, together):
            for i in range(0, len(texts), 170):
                finder.add(texts[i : i + 170])
        found = together.found()
    assert found == alone.found()
    assert 200 < sum(duplicate is not None for duplicate in found) < 1100
