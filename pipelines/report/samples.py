"""Samples as data for the page's browser of rows. All text stays text: the script never parses HTML."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Sequence
from typing import Any

from pipelines.report.data import Sample, finite

MAX_CHARS = 20_000  # of one text shown; the rest is named, not embedded


def clip(text: str) -> str:
    if len(text) <= MAX_CHARS:
        return text
    return f"{text[:MAX_CHARS]}\n… and {len(text) - MAX_CHARS:,} more characters, left out of this page"


def _edits(before: str, after: str) -> Iterator[tuple[int, str]]:
    a, b = (re.findall(r"\w+|\s+|[^\w\s]", text) for text in (before, after))
    for kind, i0, i1, j0, j1 in difflib.SequenceMatcher(None, a, b, autojunk=False).get_opcodes():
        if kind == "equal":
            yield 0, "".join(a[i0:i1])
            continue
        yield -1, "".join(a[i0:i1])
        yield 1, "".join(b[j0:j1])


def segments(before: str, after: str) -> list[list[Any]]:
    """[op, text] pairs, op 0 both, -1 only before, 1 only after, as a person would mark them.

    White space between two changes belongs to the change, and a run of changes reads as all that went,
    then all that came. The parts with op <= 0 join to `before`, those with op >= 0 to `after`.
    """
    edits = [(op, part) for op, part in _edits(before, after) if part]
    out: list[list[Any]] = []
    gone = come = ""
    for place, (op, part) in enumerate(edits):
        inner = op == 0 and part.isspace() and (gone or come) and place + 1 < len(edits)
        gone += part if op < 0 or inner else ""
        come += part if op > 0 or inner else ""
        if (op == 0 and not inner) or place + 1 == len(edits):
            out += [[kind, text] for kind, text in ((-1, gone), (1, come)) if text]
            gone = come = ""
            if op == 0 and not inner:
                out.append([0, part])
    return out


def _distance(before: str, after: str) -> float:
    a, b = before.split(), after.split()
    return round(1 - difflib.SequenceMatcher(None, a, b, autojunk=False).ratio(), 3)


def payload(samples: Sequence[Sample]) -> list[dict[str, Any]]:
    """One JSON object a sample; short keys are spelled out in assets/samples.js."""
    out = []
    for sample in samples:
        before, after = clip(sample.before), clip(sample.after)
        out.append(
            {
                "id": sample.row_id,
                "target": sample.target,
                "task": sample.task,
                "answer": sample.answer,
                "prompt": [[role, clip(content)] for role, content in sample.prompt],
                "diff": segments(before, after),
                "distance": _distance(before, after),
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
                    }
                    for c in sample.candidates
                ],
                "nll": [finite(sample.nll_before), finite(sample.nll_after), finite(sample.nll_self)],
            }
        )
    return out
