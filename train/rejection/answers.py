"""A model's own answers to the prompts of a version, graded: candidates as those of a rewriting run.

    out/answers.jsonl    which answers these are; then a line a row: texts, how each ended, what it earned

Every answer is drawn with a seed of its row, so a run that is killed and started again has the answers that it had:
rows are drawn so many at a time, and the rows of an unfinished draw are drawn anew together.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from recast.curate import chat
from recast.curate.errors import DataError, UsageError
from recast.curate.files import append_line, read_lines, write_lines
from recast.curate.fingerprint import fingerprint, seed_of
from recast.curate.model_folder import identify
from recast.curate.records import DecisionKind, VerdictStatus
from recast.train.graders.format.rows import prompt_row
from recast.train.graders.records import Grade, Grades, Sample
from recast.train.model.drawing import Draw
from recast.train.model.loading import load
from recast.train.model.run_folder import JOB, MANIFEST
from recast.train.rejection.config import OWN, CandidatesConfig
from recast.train.sft.examples import mappings

ANSWERS = "answers.jsonl"
TOGETHER = 128
"""Answers decoded together."""
Progress = Callable[[Mapping[str, Any]], None]


@dataclass(frozen=True, slots=True)
class Own:
    """What the model answered: `rows` and `candidates` as `train.rejection.groups` takes them, and figures of all."""

    rows: list[dict[str, Any]]
    candidates: list[dict[str, Any]]
    figures: dict[str, Any]


def own_answers(
    rows: Any,
    model_path: str | Path,
    grader: Grades,
    config: CandidatesConfig,
    out: Path,
    draw: Draw,
    progress: Progress | None = None,
) -> Own:
    """`config.samples` answers of the model at `model_path` to each of `rows`, graded, kept in `out`.

    `rows` are of any of the kinds that `train.sft.examples.mappings` takes. The text of a row itself counts as the
    expert's: it is learned where no answer passed, if at all. Raises UsageError where `out` holds another run,
    DataError where no row can be asked, ModelError where the model cannot be loaded.
    """
    asked = [(row, prompt_row(row, str(row["row_id"]))) for row in map(dict, mappings(rows))]
    if not asked:
        raise DataError("there are no rows to answer: the version is empty.")
    which = {
        "fingerprint": fingerprint(
            {
                "model": identify(model_path),
                "grader": grader.id,
                "rows": [[row["row_id"], row["target"], prompt.item] for row, prompt in asked],
                "drawing": config.model_dump(mode="json", include={*OWN[:3], "seed"}),
            }
        )[:16]
    }
    file = out / ANSWERS
    size = max(1, TOGETHER // config.samples)  # rows drawn together
    known = _known(out, which, size)
    left = asked[len(known) :]
    if left:
        out.mkdir(parents=True, exist_ok=True)
        write_lines(file, [which, *known])  # without the rows of a draw that a kill cut short
        model, tokenizer = load(model_path)
        longest = getattr(model.config.get_text_config(), "max_position_embeddings", None)
    for first in range(0, len(left), size):
        part = left[first : first + size]
        prompts = [chat.prompt_ids(tokenizer, prompt.messages) for _, prompt in part]
        fitting = [
            i for i, ids in enumerate(prompts) if longest is None or len(ids) + config.max_tokens <= longest
        ]
        drawn = draw(
            model,
            tokenizer,
            [prompts[i] for i in fitting],
            seeds=[
                [seed_of(config.seed, part[i][0]["row_id"], part[i][0]["target"], k) for k in range(config.samples)]
                for i in fitting
            ],
            temperature=config.temperature,
            max_tokens=config.max_tokens,
            batch_size=TOGETHER,
        ) if fitting else []  # fmt: skip
        said = [[Sample(d.text, d.finish_reason) for d in group] for group in drawn]
        grades = grader.grade_many(
            [part[i][1].item for i in fitting for _ in range(config.samples)],
            [sample for group in said for sample in group],
            groups=[i for i in fitting for _ in range(config.samples)],
        )
        of_row: dict[int, list[dict[str, Any]]] = {}
        for n, i in enumerate(fitting):
            mine = grades[n * config.samples : (n + 1) * config.samples]
            of_row[i] = [_answer(s, g, grader.name) for s, g in zip(said[n], mine, strict=True)]
        for i, (row, _) in enumerate(part):
            known.append({"row_id": row["row_id"], "target": row["target"], "answers": of_row.get(i, [])})
            append_line(file, known[-1])
        if progress:
            progress({"done": len(known), "total": len(asked), "phase": "answering"})
    return Own(
        [{**row, "decision": DecisionKind.FALLBACK} for row, _ in asked],
        [candidate for line in known for candidate in _candidates(line, config)],
        _figures(known, config, grader),
    )


def _known(out: Path, which: Mapping[str, Any], size: int) -> list[dict[str, Any]]:
    """Rows that stand, in whole draws. Raises UsageError where `out` is another run's."""
    lines = read_lines(out / ANSWERS)
    if not lines and not any((out / name).exists() for name in (JOB, MANIFEST)):
        return []
    if lines[:1] != [which]:
        raise UsageError(
            f"{out} holds a run on other answers: of another model, grader, rows or sampling, or of no own ones. "
            "Choose another output folder, or remove that one."
        )
    known = lines[1:]
    finished = (out / JOB).exists()  # training has begun: all answers are there
    return known if finished else known[: len(known) // size * size]


def _answer(sample: Sample, grade: Grade, name: str) -> dict[str, Any]:
    reason = grade.scores.get("reason") or (grade.errors.flags or (f"refused by {name}",))[0]
    return {
        "text": sample.text,
        "finish_reason": sample.finish_reason,
        "reward": grade.value,
        "reason": reason,
    }


def _candidates(line: Mapping[str, Any], config: CandidatesConfig) -> Iterator[dict[str, Any]]:
    for k, answer in enumerate(line["answers"]):
        reward = answer["reward"]
        status = VerdictStatus.UNVERIFIABLE
        if reward is not None and reward >= config.accept_from:
            status = VerdictStatus.ACCEPTED
        elif reward is not None and reward <= config.refuse_to:
            status = VerdictStatus.REJECTED
        yield {
            "row_id": line["row_id"], "target": line["target"], "k": k, "attempt": 0, "text": answer["text"],
            "finish_reason": answer["finish_reason"], "status": status, "reason": answer["reason"],
        }  # fmt: skip


def _figures(known: Sequence[Mapping[str, Any]], config: CandidatesConfig, grader: Grades) -> dict[str, Any]:
    """Of all answers, before equal ones count once."""
    drawn = [answer for line in known for answer in line["answers"]]
    scored = [answer["reward"] for answer in drawn if answer["reward"] is not None]
    passed = [
        any(a["reward"] is not None and a["reward"] >= config.accept_from for a in line["answers"])
        for line in known
    ]
    return {
        "grader": grader.name,
        "grader_id": grader.id,
        "drawn": len(drawn),
        "unscored": len(drawn) - len(scored),
        "too_long": sum(not line["answers"] for line in known),
        "reward": sum(scored) / len(scored) if scored else None,
        "accepted": sum(r >= config.accept_from for r in scored) / len(drawn) if drawn else 0.0,
        "rows_passed": sum(passed) / len(known),
    }
