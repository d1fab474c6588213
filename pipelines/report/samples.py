"""Samples as data for the page's browser of rows. All text stays text: the script never parses HTML."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from recast.curate.history import word_diff
from recast.pipelines.report.data import Sample, finite

MAX_CHARS = 20_000  # of one text shown; the rest is named, not embedded


def clip(text: str) -> str:
    if len(text) <= MAX_CHARS:
        return text
    return f"{text[:MAX_CHARS]}\n… and {len(text) - MAX_CHARS:,} more characters, left out of this page"


def segments(before: str, after: str) -> list[list[Any]]:
    """[op, text] pairs, op 0 both, -1 only before, 1 only after, as a person would mark them.

    The parts with op <= 0 join to `before`, those with op >= 0 to `after`.
    """
    out: list[list[Any]] = []
    for op in word_diff.phrases(before, after, fold=False):
        if op.kind == "equal":
            out.append([0, op.before])
        else:
            out += [[kind, text] for kind, text in ((-1, op.before), (1, op.after)) if text]
    return out


def payload(samples: Sequence[Sample]) -> list[dict[str, Any]]:
    """One JSON object a sample; short keys are spelled out in assets/samples.js."""
    out = []
    for sample in samples:
        before, after = clip(sample.before), clip(sample.after)
        diff = segments(before, after)
        nll = [finite(value) for value in (sample.nll_before, sample.nll_after, sample.nll_self)]
        out.append(
            {
                "id": sample.row_id,
                "target": sample.target,
                "task": sample.task,
                "answer": sample.answer,
                "prompt": [[role, clip(content)] for role, content in sample.prompt],
                "diff": diff,
                "distance": round(word_diff.distance(before, after), 3),
                "formatOnly": word_diff.only_format(before, after),
                "decision": sample.decision,
                "reason": sample.reason,
                "checks": [
                    {
                        "name": c.name,
                        "status": c.status,
                        "reason": c.reason,
                        "message": c.message,
                        "score": finite(c.score),
                    }
                    for c in sample.checks
                ],
                "candidates": [
                    {
                        "text": clip(c.text),
                        "status": c.status,
                        "reason": c.reason,
                        "nll": finite(c.nll),
                        "attempt": c.attempt,
                        "chosen": c.chosen,
                        "cut": c.cut and [clip(c.cut.before), clip(c.cut.after), list(c.cut.rules)],
                    }
                    for c in sample.candidates
                ],
                "nll": nll,
                "gain": _gain(nll[0], nll[1]) if any(op != 0 for op, _ in diff) else None,
            }
        )
    return out


def _gain(before: float | None, after: float | None) -> float | None:
    return None if before is None or after is None else before - after
