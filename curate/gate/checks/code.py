"""Does the completion's code pass the row's tests?

Catches: code that does not run, is wrong, or never ends; code that looks for the tests, their answers or their end, for
the tests run in a process that it never enters, and decide about plain values by their own equality. Cannot catch:
code that is right on these tests only. Undecided where the row has no tests, where the tests ask for what does not
cross from process to process (the equality of the code's own classes), or where this machine cannot run untrusted code.

A row brings `tests` (Python text), and may bring `entry_point` (the function that HumanEval's `check` is called
with) and `code_prompt` (text that the code continues), as keys or in its `meta`.
"""

from __future__ import annotations

import json
import re
from typing import Any, ClassVar, Literal

from recast.curate.errors import MissingDependencyError
from recast.curate.gate.checks.case import Case, CheckConfig, shown
from recast.curate.gate.sandbox import Limits, RunStatus, judge
from recast.curate.records import Check

_FENCE = re.compile(r"```[ \t]*(?:python|py)?[^\n`]*\n(.*?)```", re.DOTALL | re.IGNORECASE)


class CodeCheck(CheckConfig):
    """The tests of the row run against the code of the completion."""

    type: Literal["code"] = "code"
    limits: Limits = Limits()
    """What the program may use."""
    unsafe: bool = False
    """Run without walls where the machine has none (`--unsafe-exec`)."""

    name: ClassVar[str] = "code"
    revision: ClassVar[int] = 2

    def run(self, case: Case) -> Check:
        tests = field(case, "tests")
        if not tests:
            return self.undecided("no_tests", "The row has no tests to run.")
        code = code_of(case.completion)
        if not code.strip():
            return self.failed("no_code", "The completion holds no code.")
        prompt, entry = field(case, "code_prompt") or "", field(case, "entry_point") or ""
        try:
            ended = judge(
                whole(code, prompt, entry), called(tests, entry),
                entry_point=entry, prompt=prompt, limits=self.limits, unsafe=self.unsafe,
            )  # fmt: skip
        except MissingDependencyError as error:
            return self.undecided("no_sandbox", f"The code was not run: {shown(str(error), 200)}")
        if ended.status is RunStatus.OK:
            return self.passed(1.0)
        if ended.status is RunStatus.UNDECIDED:
            return self.undecided("not_plain", f"The tests cannot be decided: {shown(ended.message, 200)}.")
        if ended.status is RunStatus.FAILED:
            return self.failed("tests_failed", f"The tests fail: {shown(ended.message)}.", 0.0)
        return self.failed("code_limit", f"The code exceeds its {ended.status.value} limit.", 0.0)


def field(case: Case, name: str) -> str | None:
    """A field of the row or of its `meta`, which may be JSON text."""
    value = case.row.get(name)
    meta: Any = case.row.get("meta")
    if value is None and meta:
        try:
            value = (json.loads(meta) if isinstance(meta, str) else meta).get(name)
        except (ValueError, AttributeError):
            return None
    return value if isinstance(value, str) else None


def code_of(text: str) -> str:
    """The last fenced Python block, or the whole text where nothing is fenced."""
    blocks = _FENCE.findall(text)
    return blocks[-1] if blocks else text


def whole(code: str, prompt: str, entry: str) -> str:
    """The code, after the prompt that it continues unless it defines the function itself."""
    defined = entry and re.search(rf"^(?:async\s+)?def\s+{re.escape(entry)}\b", code, re.MULTILINE)
    return code if defined or not prompt else prompt + code


def called(tests: str, entry: str) -> str:
    """The tests, and the call of HumanEval's `check` where they define one."""
    calls = entry and re.search(r"^def check\(", tests, re.MULTILINE)
    return f"{tests}\ncheck({entry})" if calls else tests
