"""What rejective fine-tuning sees of a row: its prompt, candidates that were accepted, candidates that were refused.

    row + its candidates  ->  Group (texts)  ->  Encoded (token ids, and which of a refused one no accepted one has)

A candidate is refused with a reason. Some reasons are about form and not about content (`SPARED`), and a text that was
cut at its length may be the beginning of a right one: neither is pushed away, both are counted. A row that nobody
passed keeps its expert's text as the accepted one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Any

from recast.curate.answers.extract import final_answer
from recast.curate.chat import completion_ids, prompt_ids
from recast.curate.curation.split import held_out
from recast.curate.errors import DataError, UsageError
from recast.curate.records import DecisionKind, VerdictStatus
from recast.train.rejection.config import CandidatesConfig, RejectConfig
from recast.train.sft.examples import Example, messages_of

SPARED = frozenset({"copy", "too_long", "too_short", "truncated"})
"""Reasons of a gate for which a candidate is not pushed away: what it says may be right."""


@dataclass(frozen=True, slots=True)
class Refused:
    """A rejected candidate and what it was rejected for."""

    text: str
    reason: str
    k: int | None = None
    attempt: int | None = None


@dataclass(frozen=True, slots=True)
class Group:
    """A row. Counts are of all its distinct candidates, the texts of those that are trained on."""

    row_id: str
    target: int
    messages: list[dict[str, Any]]
    accepted: tuple[str, ...]
    refused: tuple[Refused, ...]
    num_accepted: int
    num_refused: int
    num_undecided: int
    by_expert: bool  # nobody passed: the accepted text is the expert's

    @property
    def share(self) -> float:
        """Share of right candidates, 0 to 1; an undecided one counts as half, no candidates at all as right."""
        judged = self.num_accepted + self.num_refused + self.num_undecided
        return (self.num_accepted + self.num_undecided / 2) / judged if judged else 1.0


@dataclass(frozen=True, slots=True)
class Said:
    """A candidate as token ids: the prompt's and its own with the end of turn."""

    example: Example
    refused: Refused | None
    wrong: tuple[
        int, ...
    ]  # of a refused one, tokens of the completion that no accepted one has, where they are pushed
    answer: tuple[
        int, int
    ]  # of an accepted one, the tokens of the completion that state the answer; (0, 0): none

    @property
    def right(self) -> bool:
        return self.refused is None


@dataclass(frozen=True, slots=True)
class Encoded:
    """A group as token ids; its candidates, accepted ones first."""

    group: Group
    said: tuple[Said, ...]


def groups(
    rows: Iterable[Mapping[str, Any]],
    candidates: Iterable[Mapping[str, Any]],
    config: CandidatesConfig,
    *,
    drop_all_passed: bool = False,
) -> tuple[list[Group], Counter[str]]:
    """Return the groups of `rows`, and how many candidates or rows were left out for what.

    `rows` have `row_id`, `target`, `messages`, `completion` and `decision`; `candidates` the columns of a version's
    candidates. Raises DataError where there are no rows, UsageError where no row has a refused candidate.
    """
    beside: dict[tuple[str, int], list[Mapping[str, Any]]] = {}
    for candidate in candidates:
        beside.setdefault((candidate["row_id"], candidate["target"]), []).append(candidate)
    found: list[Group] = []
    left_out: Counter[str] = Counter()
    for row in rows:
        drawn = sorted(
            beside.get((row["row_id"], row["target"]), ()), key=lambda c: (c["attempt"] or 0, c["k"] or 0)
        )
        group = _group(row, drawn, config, left_out)
        if group.by_expert and config.none_passed == "drop":
            left_out["none_passed"] += 1
        elif drop_all_passed and drawn and group.num_accepted and not group.num_refused + group.num_undecided:
            left_out["all_passed"] += 1
        else:
            found.append(group)
    if not found:
        raise DataError(
            f"there are no rows to train on: the version is empty, or all its rows were left out ({dict(left_out)})."
        )
    if not any(group.refused for group in found):
        raise UsageError(
            f"none of the {len(found)} rows has a rejected candidate to learn from. They stand beside a version that "
            "`recast rewrite` made, or that was imported from preferences; to learn from accepted texts alone, use "
            "`recast sft`."
        )
    return found, left_out


def _group(
    row: Mapping[str, Any],
    drawn: Sequence[Mapping[str, Any]],
    config: CandidatesConfig,
    left_out: Counter[str],
) -> Group:
    by_expert = row["decision"] == DecisionKind.FALLBACK
    # the row's own text first: it was chosen; dicts keep the first of equal texts
    right = dict.fromkeys([] if by_expert else [row["completion"]])
    wrong: dict[str, Refused] = {}
    undecided: set[str] = set()
    for candidate in drawn:
        text, status = candidate["text"], candidate["status"]
        if status == VerdictStatus.ACCEPTED:
            right.setdefault(text)
        elif status == VerdictStatus.REJECTED:
            reason = "length" if candidate["finish_reason"] == "length" else str(candidate["reason"])
            if reason in SPARED or reason == "length" or not text.strip():
                left_out[reason if text.strip() else "empty"] += 1
            else:
                wrong.setdefault(text, Refused(text, reason, candidate["k"], candidate["attempt"]))
        else:
            undecided.add(text)
    refused = [r for text, r in wrong.items() if text not in right and text != row["completion"]]
    accepted = (row["completion"],) if by_expert and not right else tuple(right)[: config.accepted]
    return Group(
        row_id=row["row_id"],
        target=row["target"],
        messages=messages_of(row),
        accepted=accepted,
        refused=tuple(refused[: config.rejects_per_accepted * len(accepted)]),
        num_accepted=len(right),
        num_refused=len(refused),
        num_undecided=len(undecided - right.keys()),
        by_expert=by_expert and not right,
    )


def encoded(groups: Sequence[Group], tokenizer: Any, config: RejectConfig) -> tuple[list[Encoded], int]:
    """Return the groups as token ids, and how many were left out because a text is longer than `max_length`.

    A refused text that is too long is left out alone; a row whose accepted texts are all too long is left out whole.
    Raises DataError where nothing is left.
    """
    found = []
    for group in groups:
        prompt = prompt_ids(tokenizer, group.messages)
        room = config.max_length - len(prompt)
        both = ((text, completion_ids(tokenizer, text)) for text in group.accepted)
        accepted = [(text, ids) for text, ids in both if len(ids) <= room]
        if not accepted:
            continue
        ours = config.method == "rejective"
        answers, pushed = ours and config.ambiguity_weight > 0, ours and config.unlikelihood_weight > 0
        said = [
            Said(
                _example(group, prompt, ids), None, (), _answer_tokens(tokenizer, text) if answers else (0, 0)
            )
            for text, ids in accepted
        ]
        for refused in group.refused:
            ids = completion_ids(tokenizer, refused.text)
            if len(ids) <= room:
                wrong = _differing(ids, [other for _, other in accepted]) if pushed else ()
                said.append(Said(_example(group, prompt, ids), refused, wrong, (0, 0)))
        found.append(Encoded(group, tuple(said)))
    if not found:
        raise DataError(
            f"all {len(groups)} rows are longer than max_length={config.max_length} tokens; raise it, or filter the "
            "version."
        )
    return found, len(groups) - len(found)


def _example(group: Group, prompt: list[int], ids: list[int]) -> Example:
    return Example([*prompt, *ids], len(prompt), group.row_id)


def _differing(ids: Sequence[int], others: Sequence[Sequence[int]]) -> tuple[int, ...]:
    """Places in `ids` that an alignment with each of `others` leaves over.

    Where something is left out, that is the token which stands in its place.
    """
    found = set(range(len(ids)))
    for other in others:
        edits = SequenceMatcher(None, other, ids, autojunk=False).get_opcodes()
        spans = [range(j1, max(j2, j1 + 1)) for tag, _, _, j1, j2 in edits if tag != "equal"]
        found &= {j for span in spans for j in span}
    return tuple(sorted(found))


def _answer_tokens(tokenizer: Any, text: str) -> tuple[int, int]:
    """The tokens of `text` in which its final answer stands for the last time; (0, 0) where it states none.

    Raises UsageError for a tokenizer that cannot say which characters a token covers.
    """
    answer = final_answer(text)
    place = text.rfind(answer) if answer else -1
    if place < 0 or not answer:
        return (0, 0)
    if not getattr(tokenizer, "is_fast", False):
        raise UsageError(
            "the ambiguity term asks which tokens state the answer, and this tokenizer does not tell which characters "
            "a token covers (it is not a fast one). Set reject.ambiguity_weight=0."
        )
    offsets = tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)["offset_mapping"]
    inside = [i for i, (begin, end) in enumerate(offsets) if begin < place + len(answer) and end > place]
    return (inside[0], inside[-1] + 1) if inside else (0, 0)


def read_candidates(table: Any) -> Iterator[dict[str, Any]]:
    """The candidates of an Arrow table of a version's candidates, without checks and scores."""
    names = ["row_id", "target", "k", "attempt", "text", "finish_reason", "status", "reason"]
    for batch in table.select(names).to_batches():
        yield from batch.to_pylist()


def held_by_row(row_ids: Sequence[str], share: float) -> list[bool]:
    """Whether each is held out: those of a row share a side, and a single row is trained on."""
    return held_out(row_ids, share) if share and len(set(row_ids)) > 1 else [False] * len(row_ids)


def describe(groups: Sequence[Group]) -> dict[str, Any]:
    """How many rows, texts and reasons there are to learn from."""
    reasons = Counter(r.reason for group in groups for r in group.refused)
    return {
        "num_rows": len(groups),
        "num_accepted": sum(len(g.accepted) for g in groups),
        "num_refused": sum(len(g.refused) for g in groups),
        "num_by_expert": sum(g.by_expert for g in groups),
        "reasons": dict(reasons.most_common()),
    }


def identity(encoded: Sequence[Encoded]) -> list[Any]:
    """What the data of a run are identified by."""
    return [
        [
            e.group.share,
            e.group.by_expert,
            [[s.right, list(s.wrong), *s.answer, s.example.num_prompt, *s.example.ids] for s in e.said],
        ]
        for e in encoded
    ]
