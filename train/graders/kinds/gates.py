"""A gate as a grader: `gate`. Its checks, thresholds and reasons are those of `curate.gate`."""

from __future__ import annotations

from collections.abc import Sequence

from recast.curate.gate.gate import Gate, load_gate
from recast.curate.records import CheckStatus, Verdict, VerdictStatus
from recast.train.graders.format.ours import GateGrader
from recast.train.graders.kinds.rendering import batched
from recast.train.graders.records import Case, Models, Outcome


def opened(config: GateGrader, models: Models) -> Gate:
    """The gate with what its checks ask. Raises UsageError for one whose checks name a model that is not to be had."""
    return models.gate(config.gate) if models.gate else load_gate(config.gate)


def gate(config: GateGrader, cases: Sequence[Case], models: Models) -> list[Outcome]:
    judge = opened(config, models)
    return batched(
        cases,
        lambda case: (case.item, case.sample.text, case.sample.finish_reason),
        lambda jobs: [_worth(verdict, config) for verdict in judge.verify_chunk(jobs)],
    )


def _worth(verdict: Verdict, config: GateGrader) -> Outcome:
    failing = next((check for check in verdict.checks if check.status is not CheckStatus.PASS), None)
    scores = {
        "verdict": verdict.status.value,
        "reason": verdict.reason,
        "message": failing.message if failing else "",
    }
    if config.credit == "all":
        decided = verdict.status is not VerdictStatus.UNVERIFIABLE
        return Outcome(float(verdict.accepted), scored=decided, scores=scores)
    weigh = {check.name: config.weights.get(check.name, 1.0) for check in verdict.checks}
    passed = sum(weigh[c.name] for c in verdict.checks if c.status is CheckStatus.PASS)
    decided = sum(weigh[c.name] for c in verdict.checks if c.status is not CheckStatus.UNDECIDED)
    return Outcome(passed / decided if decided else 0.0, scored=decided > 0, scores=scores)
