"""Anchors are measured once a prompt, in one batch, and survive a resume."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from recast.agent.engines.protocol import Score
from recast.agent.reward.alignment import AnchorCache, Anchors
from tests.fakes.engines import TOKENIZER, LengthEngine
from tests.fakes.rows import question as row


def test_anchors_are_the_demonstration_and_the_mean_of_own_samples() -> None:
    cache = AnchorCache(LengthEngine(), TOKENIZER, own_samples=3)
    assert cache.of([row("q", "12345")]) == [Anchors(0.5, 10.0, 1.0)]


def test_a_prompt_is_measured_once() -> None:
    engine = LengthEngine()
    cache = AnchorCache(engine, TOKENIZER, own_samples=2)
    cache.of([row("q", "a"), row("q", "a"), row("r", "b")])
    cache.of([row("r", "b")])
    assert (engine.scored, engine.sampled) == (["a", "b"], 4)


def test_own_samples_are_drawn_once_a_prompt_whatever_its_demonstrations() -> None:
    engine = LengthEngine()
    AnchorCache(engine, TOKENIZER, own_samples=2).of([row("q", "a"), row("q", "b")])
    assert (engine.scored, engine.sampled) == (["a", "b"], 2)


def test_another_run_on_the_same_prompts_measures_nothing(tmp_path: Path) -> None:
    path = tmp_path / "anchors.jsonl"
    AnchorCache(LengthEngine(), TOKENIZER, own_samples=1, path=path).of([row("q", "a"), row("r", "long")])
    again = LengthEngine()
    found = AnchorCache(again, TOKENIZER, own_samples=1, path=path).of([row("q", "a"), row("r", "long")])
    assert found[0] == Anchors(0.1, 2.0, 1.0) and math.isnan(found[1].nll_demonstration)
    assert (again.scored, again.sampled) == ([], 0)


def test_a_line_cut_by_a_kill_is_measured_again_and_spoils_no_other(tmp_path: Path) -> None:
    path = tmp_path / "anchors.jsonl"
    AnchorCache(LengthEngine(), TOKENIZER, path=path).of([row("q", "a")])
    path.write_text(path.read_text() + '["0123", [0.')
    AnchorCache(LengthEngine(), TOKENIZER, path=path).of([row("r", "b")])
    cache = AnchorCache(LengthEngine(), TOKENIZER, path=path)
    assert cache.knows(row("q", "a")) and cache.knows(row("r", "b")) and not cache.knows(row("s", "c"))


@pytest.mark.parametrize(
    ("engine", "options"),
    [
        (LengthEngine("0" * 16), {}),
        (LengthEngine(), {"own_samples": 3}),
        (LengthEngine(), {"max_tokens": 9}),
        (LengthEngine(), {"seed": 1}),
    ],
    ids=["backbone", "number", "length", "seed"],
)
def test_another_backbone_or_sampling_measures_anew(
    tmp_path: Path, engine: LengthEngine, options: dict
) -> None:
    path = tmp_path / "anchors.jsonl"
    AnchorCache(LengthEngine(), TOKENIZER, path=path).of([row("q", "a")])
    assert not AnchorCache(engine, TOKENIZER, path=path, **options).knows(row("q", "a"))


@pytest.mark.parametrize(
    ("anchors", "mode", "enough"),
    [
        (Anchors(1.0, 9.0, 0.2), "anchored", True),
        (Anchors(1.0, 9.0, math.nan), "anchored", False),
        (Anchors(1.0, 9.0, math.nan), "typical", True),
        (Anchors(math.nan, math.nan, math.nan), "typical", False),
        (Anchors(math.nan, math.nan, math.nan), "paper", True),
    ],
)
def test_each_mode_needs_its_own_anchors(anchors: Anchors, mode: str, enough: bool) -> None:
    assert anchors.suffice(mode) is enough


def test_without_own_samples_none_are_drawn() -> None:
    engine = LengthEngine()
    assert math.isnan(AnchorCache(engine, TOKENIZER, own_samples=0).of([row("q", "a")])[0].nll_self)
    assert engine.sampled == 0


class AtTemperature(LengthEngine):
    """Its excess at a temperature is that at 1, over the temperature."""

    def score(
        self,
        prompts: Sequence,
        completions: Sequence[str],
        *,
        adapter: bool,
        embed: bool = False,
        temperature: float = 1.0,
    ) -> tuple[list[Score], None]:
        scores = self.logprobs(prompts, completions, adapter=adapter)
        return [replace(s, excess=s.excess / temperature) for s in scores], None


def test_a_demonstration_is_measured_once_at_each_temperature(tmp_path: Path) -> None:
    path = tmp_path / "anchors.jsonl"
    plain = AnchorCache(AtTemperature(), TOKENIZER, own_samples=0, path=path).of([row("q", "a")])[0]
    at_half = AnchorCache(AtTemperature(), TOKENIZER, own_samples=0, temperature=0.5, path=path)
    assert plain.excess_demonstration == 2.0 and not at_half.knows(row("q", "a"))
    assert at_half.of([row("q", "a")])[0].excess_demonstration == 4.0
    assert AnchorCache(LengthEngine(), TOKENIZER, own_samples=0, path=path).knows(row("q", "a"))


def test_an_engine_without_distributions_has_no_excess_at_a_temperature() -> None:
    cache = AnchorCache(LengthEngine(), TOKENIZER, own_samples=0, temperature=0.5)
    with pytest.raises(ValueError, match=r"temperature 0\.5"):
        cache.of([row("q", "a")])
