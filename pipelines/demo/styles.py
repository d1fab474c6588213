"""How a solution of the pocket world is written down.

`qa` is the backbone's own style. `ALIEN` are the styles of the downstream demonstrations; in pretraining
they occur only as rewriting input of the word problems. `FOREIGN` are the other styles that rewriting was
pretrained on, for every family. No style but `qa` is ever the target of a pretraining document, apart
from verbatim copies of the input: a backbone that may answer a rewriting prompt in some other foreign
style lets the agent settle there.
"""

from __future__ import annotations

from collections.abc import Callable

from recast.pipelines.demo.world import Problem, Step

Style = Callable[[Problem], str]


def sentence(step: Step) -> str:
    """One line of the own style."""
    if step.op and step.text:
        return f"{step.text}, so {step.equation}."
    return f"{step.equation}." if step.op else f"{step.text}."


def opened(problem: Problem) -> list[str]:
    return [problem.start] if problem.start else []


def qa(problem: Problem) -> str:
    return " ".join([*opened(problem), *map(sentence, problem.steps), f"The answer is {problem.answer}."])


def latex(problem: Problem) -> str:
    lines = [f"x_0 = {problem.steps[0].left}"]
    for i, s in enumerate(problem.steps):
        op = s.op.replace("*", "\\cdot")
        lines.append(f"x_{i + 1} = x_{i} {op} {s.right} = {s.result}")
    return " \\\\\n".join(lines) + f" \\\\\n\\boxed{{{problem.answer}}}"


def terse(problem: Problem) -> str:
    work = "; ".join(f"{s.left}{s.op}{s.right}={s.result}" for s in problem.steps)
    return f"{work}; ans: {problem.answer}"


def program(problem: Problem) -> str:
    lines = ["def solution():", f"    n = {problem.steps[0].left}"]
    lines += [f"    n = n {s.op} {s.right}  # {s.result}" for s in problem.steps]
    return "\n".join([*lines, f"    return n  # answer: {problem.answer}"])


def annotated(problem: Problem) -> str:
    """The calculator annotations and `####` of GSM8K."""

    def line(s: Step) -> str:
        if not s.op:
            return f"{s.text}."
        work = f"{s.left}{s.op}{s.right}=<<{s.left}{s.op}{s.right}={s.result}>>{s.result}"
        return f"{s.text}: {work}." if s.text else f"{work}."

    return "\n".join([*opened(problem), *map(line, problem.steps), f"#### {problem.answer}"])


def bullets(problem: Problem) -> str:
    lines = [
        f"- {s.text} ({s.equation})" if s.op and s.text else f"- {s.equation if s.op else s.text}"
        for s in problem.steps
    ]
    return "\n".join([*lines, f"Answer: {problem.answer}"])


def answer_first(problem: Problem) -> str:
    work = "; ".join(s.equation if s.op else s.text for s in problem.steps)
    return f"Answer: {problem.answer}. Because: {work}."


def bracketed(problem: Problem) -> str:
    lines = [*opened(problem), *map(sentence, problem.steps)]
    return "\n\n".join([*lines, f"Therefore, the answer is <{problem.answer}>."])


def essay(problem: Problem) -> str:
    lines = ["Let us think about this question carefully, one step at a time."]
    for s in problem.steps:
        said = (
            f"{s.text}, and so we find that {s.equation}"
            if s.op and s.text
            else (s.equation if s.op else s.text)
        )
        lines.append(f"In the next step we note the following: {said}.")
    return " ".join([*lines, f"Taking all of this into account, the final answer is {problem.answer}."])


ALIEN: dict[str, Style] = {"latex": latex, "terse": terse, "program": program}
FOREIGN: dict[str, Style] = {
    "annotated": annotated,
    "bullets": bullets,
    "answer_first": answer_first,
    "bracketed": bracketed,
    "essay": essay,
}
STYLES: dict[str, Style] = {"qa": qa, **ALIEN, **FOREIGN}
