"""Evaluation: how many questions a model answers, and how likely it finds the reference answers.

Free answers are extracted from every style by `curate.answers.extract` and compared by equivalence, the same for
every model. What has no answer at all is a format failure, counted apart from wrong answers: a foreign
format alone is not forgetting. The mean log-likelihood of the reference answers knows no extraction and
stands beside the accuracy. A question with choices is answered by the choice that is likeliest per token as the
model's turn, the question being asked as it stands, without a list of letters: small models and tuned ones
differ in how well they know the letter game, which is not what is measured.

Models come in as callables (`Model`); this module loads none. Suites are read by `train.evaluation.suites`, and
results are records of `train.evaluation.results`.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from recast.curate.answers import extract
from recast.curate.errors import UsageError
from recast.curate.records import Messages
from recast.train.evaluation.results import EvalResult, ItemResult, Outcome
from recast.train.evaluation.suites import Item
from recast.train.graders.format.rows import item_of
from recast.train.graders.grader import Grader

# prompts -> completions; greedy for an evaluation that repeats
Generate = Callable[[Sequence[Messages]], Sequence[str]]
# (prompts, completions) -> mean log p per token in nats, end of turn included; NaN: longer than the model takes
Loglik = Callable[[Sequence[Messages], Sequence[str]], Sequence[float]]
# (prompts, k) -> k sampled completions a prompt
Draw = Callable[[Sequence[Messages], int], Sequence[Sequence[str]]]
Progress = Callable[[Mapping[str, Any]], None]


@dataclass(frozen=True, slots=True)
class Model:
    """What an evaluation asks of a model."""

    generate: Generate
    loglik: Loglik | None = None
    draw: Draw | None = None


def evaluate(
    items: Sequence[Item],
    model: Model,
    *,
    label: str = "model",
    samples: int = 0,
    chunk: int = 256,
    progress: Progress | None = None,
) -> EvalResult:
    """Ask every question of `items` (of `train.evaluation.suites.load_suites`) and measure its reference answer.

    `samples` further answers are drawn to every question without choices, for pass@k and the majority answer.
    Questions go to the model shortest first, `chunk` at a time, so that batches hold prompts of like length; results
    come back in the order of the items. `progress` gets `{"done", "total"}`. Raises UsageError where a question needs
    what the model has not got.
    """
    if model.loglik is None and any(item.choices for item in items):
        raise UsageError("a suite has questions with choices, which need the model's log-likelihoods.")
    if samples and model.draw is None:
        raise UsageError(f"{samples} samples a question are asked for, and the model draws none.")
    order = sorted(range(len(items)), key=lambda i: sum(len(m["content"]) for m in items[i].messages))
    results: dict[int, ItemResult] = {}
    for first in range(0, len(order), chunk):
        part = order[first : first + chunk]
        free, chosen = [i for i in part if not items[i].choices], [i for i in part if items[i].choices]
        results |= zip(free, _said([items[i] for i in free], model, samples), strict=True)
        results |= zip(chosen, _picked([items[i] for i in chosen], model), strict=True)
        if progress:
            progress({"done": min(first + chunk, len(order)), "total": len(order)})
    return EvalResult(label, tuple(results[i] for i in range(len(items))))


def grade(item: Item, text: str, gold_loglik: float | None = None) -> ItemResult:
    """Extract the answer of `text` and compare it with the item's."""
    extracted = extract.final_answer(text)
    outcome = Outcome.FORMAT
    if extracted is not None:
        equal = extract.equivalent(extracted, item.answer)
        outcome = Outcome.UNDECIDED if equal is None else Outcome.RIGHT if equal else Outcome.WRONG
    return ItemResult(item.suite, item.item_id, item.task, outcome, extracted, item.answer, text, gold_loglik)


def graded(result: EvalResult, items: Sequence[Item], grader: Grader) -> tuple[EvalResult, dict[str, int]]:
    """`result` with the reward of every free answer, and how often each error flag was set.

    A grader sees the columns of the question's own row, and `messages`, `answer` and `task` as the suite has them.
    """
    free = [at for at, item in enumerate(items) if not item.choices]
    rows = [
        item_of(
            {
                **items[at].row,
                "messages": items[at].messages,
                "answer": items[at].answer,
                "task": items[at].task,
            }
        )
        for at in free
    ]
    grades = grader.grade_many(rows, [result.items[at].text for at in free])
    rewards = dict(zip(free, (grade.value for grade in grades), strict=True))
    flags = Counter(flag for grade in grades for flag in grade.errors.flags)
    with_rewards = tuple(replace(one, reward=rewards.get(at)) for at, one in enumerate(result.items))
    return EvalResult(result.model, with_rewards), dict(flags)


def majority(graded: Sequence[ItemResult]) -> Outcome:
    """Outcome of the answer that most of `graded` give, the earliest of equals; FORMAT where none gives one.

    Answers are the same where they are equivalent, not where they are spelt alike.
    """
    voters = [result for result in graded if result.extracted is not None]
    clusters: list[list[ItemResult]] = []
    for voter in voters:
        same = (
            c for c in clusters if extract.equivalent(c[0].extracted or "", voter.extracted or "") is True
        )
        cluster = next(same, None)
        if cluster is None:
            clusters.append([voter])
        else:
            cluster.append(voter)
    return max(clusters, key=len)[0].outcome if clusters else Outcome.FORMAT


def drift(
    result: EvalResult,
    items: Sequence[Item],
    own: Model,
    other: Model,
    *,
    chunk: int = 256,
    progress: Progress | None = None,
) -> EvalResult:
    """`result` with `kl`: how far the model has left another one, on an answer of its own to every question.

    One answer is drawn for each question; `kl` is the mean over its tokens of log p_own - log p_other (nats), in
    expectation KL(own || other) per token, and for one question it may be negative. `items` are those of the result.
    """
    assert own.draw and own.loglik and other.loglik
    gaps: list[float] = []
    for first in range(0, len(items), chunk):
        prompts = [item.messages for item in items[first : first + chunk]]
        drawn = [texts[0] for texts in own.draw(prompts, 1)]
        pairs = zip(own.loglik(prompts, drawn), other.loglik(prompts, drawn), strict=True)
        gaps += [p - q for p, q in pairs]
        if progress:
            progress({"done": len(gaps), "total": len(items)})
    drifted = zip(result.items, gaps, strict=True)
    return EvalResult(result.model, tuple(replace(i, kl=None if math.isnan(g) else g) for i, g in drifted))


def _said(items: Sequence[Item], model: Model, samples: int) -> list[ItemResult]:
    """Free answers, graded, with the likelihood of the reference texts and the outcomes of the samples."""
    prompts = [item.messages for item in items]
    texts = model.generate(prompts) if items else []
    gold: list[float | None] = [None] * len(items)
    scored = [i for i, item in enumerate(items) if item.completion is not None] if model.loglik else []
    if model.loglik and scored:
        values = model.loglik([prompts[i] for i in scored], [items[i].completion or "" for i in scored])
        for i, value in zip(scored, values, strict=True):
            gold[i] = None if math.isnan(value) else float(value)
    results = [grade(*triple) for triple in zip(items, texts, gold, strict=True)]
    if not (samples and items and model.draw):
        return results
    drawn = [[grade(i, t) for t in ts] for i, ts in zip(items, model.draw(prompts, samples), strict=True)]
    return [
        replace(result, samples=tuple(g.outcome for g in graded), majority=majority(graded))
        for result, graded in zip(results, drawn, strict=True)
    ]


def _picked(items: Sequence[Item], model: Model) -> list[ItemResult]:
    """The likeliest choice of each; where one is too long to score, the question is undecided."""
    prompts = [item.messages for item in items for _ in item.choices]
    texts = [choice for item in items for choice in item.choices]
    values = iter(model.loglik(prompts, texts) if model.loglik and texts else ())
    results = []
    for item in items:
        scores = [float(next(values)) for _ in item.choices]
        gold = scores[item.choices.index(item.answer)]
        fields = (item.suite, item.item_id, item.task)
        if any(math.isnan(score) for score in scores):
            known = None if math.isnan(gold) else gold
            results.append(ItemResult(*fields, Outcome.UNDECIDED, None, item.answer, "", known))
            continue
        pick = item.choices[scores.index(max(scores))]
        outcome = Outcome.RIGHT if pick == item.answer else Outcome.WRONG
        results.append(ItemResult(*fields, outcome, pick, item.answer, pick, gold))
    return results
