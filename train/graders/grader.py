"""A grader ready to grade: `Grader.load(path).grade(item, sample)`.

    grader = Grader.load(Path("grader.json"))
    grade = grader.grade({"answer": "4"}, "2 + 2 = 4. The answer is 4.")
    grade.reward, grade.sub_rewards, grade.errors.flags, grade.value

`grade_many` says the same of many samples at once: models are asked in batches, a Python source is started once. One
bad row or sample never raises; it is a grade with a flag.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from itertools import accumulate, pairwise
from pathlib import Path
from typing import Any

from recast.curate.errors import UsageError
from recast.curate.fingerprint import canonical_json, fingerprint
from recast.curate.model_folder import identify
from recast.train.graders.format import schema
from recast.train.graders.format.ours import GroupPython, RewardModel
from recast.train.graders.format.published import GraderConfig
from recast.train.graders.records import Case, Grade, Models, Outcome, Sample
from recast.train.graders.runners import REVISION, needed, parts, run


class Grader:
    """A grader's configuration with the models that it asks."""

    def __init__(self, config: GraderConfig, models: Models | None = None) -> None:
        """Raises UsageError for a grader that asks a model which `models` has not, and MissingDependencyError for a
        package or corpus that this machine lacks."""
        self.config = config
        self.models = models or Models()
        needed(config, self.models)

    @classmethod
    def load(cls, path: str | Path, models: Models | None = None) -> Grader:
        """The grader of a JSON file. Raises UsageError with the JSON path of what is wrong in it."""
        return cls(schema.load(Path(path)), models)

    @property
    def name(self) -> str:
        return self.config.name

    @property
    def id(self) -> str:
        """16 hex digits of everything that decides a grade here, names left out."""
        config = self.config.model_dump(mode="json", exclude={"name"})
        known = {"grader": config, "revision": REVISION}
        # a reward model that was trained anew lies where the last one did
        asked = {p.model: identify(p.model) for p in parts(self.config) if isinstance(p, RewardModel)}
        return fingerprint(known | {"weights": asked} if asked else known)[:16]

    def grade(self, item: Mapping[str, Any], sample: str | Sample) -> Grade:
        """What `sample` is worth as the answer to the row `item`."""
        return self.grade_many([item], [sample])[0]

    def grade_many(
        self,
        items: Sequence[Mapping[str, Any]],
        samples: Sequence[str | Sample],
        *,
        groups: Sequence[int] | None = None,
    ) -> list[Grade]:
        """One grade a sample, in order.

        `groups` says which samples answer one prompt, for graders of whole groups; samples of a group stand together.
        None: those in succession whose rows are equal. Raises ValueError where lengths differ.
        """
        said = [Sample(s) if isinstance(s, str) else s for s in samples]
        together = any(isinstance(part, GroupPython) for part in parts(self.config))
        number = groups or (_groups(items) if together else [0] * len(items))
        cases = [Case(*three) for three in zip(items, said, number, strict=True)]
        start = time.monotonic()
        outcomes = run(self.config, cases, self.models)
        each = (time.monotonic() - start) / max(1, len(cases))
        return [self._grade(outcome, each) for outcome in outcomes]

    def _grade(self, outcome: Outcome, seconds: float) -> Grade:
        return Grade(
            self.config.name,
            self.config.type,  # pyright: ignore[reportAttributeAccessIssue]  # every leaf has one
            outcome.reward,
            outcome.sub_rewards,
            outcome.errors,
            outcome.scored,
            outcome.scores,
            seconds,
            outcome.tokens_by_model,
        )


def _groups(items: Sequence[Mapping[str, Any]]) -> list[int]:
    try:
        written = [canonical_json(item) for item in items]
    except TypeError as error:
        raise UsageError(
            f"rows hold what cannot be compared ({error}), so which samples answer one prompt is not known: say it "
            "with `groups`."
        ) from error
    return list(accumulate(int(one != before) for before, one in pairwise(["", *written])))
