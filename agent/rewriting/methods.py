"""Published ways to close the gap between demonstrations and the model, as methods of the rewriting job.

Engine, gate, store and provenance are those of this project's own method, so that methods are compared on equal
terms. Samples of a published method are judged as they were sampled: `rewrite.clean` is this project's own and concerns
`agent`, `prompt` and `hinted` alone. Every candidate carries both the method's verdict (which decides) and the gate's
(`scores["gate"]`); `rewrite.accept=gate` lets the gate decide. All sample from the bare backbone. Prompts are written
anew from the published descriptions; none is theirs word for word. Further deviations are named at each method.

    rewrite(rows, engine, gate, config, "runs/2", method=method("sdft", config))
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import replace

from recast.agent.engines.protocol import STOP, Engine, Mixing, Sample, Sampling
from recast.agent.prompts import templates
from recast.agent.prompts.prompts import DEFAULT, Prompts
from recast.agent.rewriting.attempts import Accept, Attempt, Method, Row
from recast.agent.rewriting.rewrite import RewriteConfig
from recast.curate.errors import UsageError
from recast.curate.gate.checks.answer import AnswerCheck
from recast.curate.gate.checks.case import Case
from recast.curate.records import Check, CheckStatus, Verdict, VerdictStatus

CHOICE = ("alignment", "tie_nats", "embedding", "doubt")
"""The settings of RewriteConfig that choose among accepted candidates: of no effect where the first one is kept."""
FIXED: dict[str, tuple[str, ...]] = {
    "prompt": ("accept",),  # its own rule is the gate's
    "hinted": ("accept",),
    "copy": ("candidates", "temperature", "top_p", "max_tokens", "repairs", "targets", "clean", *CHOICE),
    "sdft": ("candidates", "repairs", "targets", "clean", *CHOICE),
    "mind-the-gap": ("candidates", "temperature", "top_p", "repairs", "targets", "clean", *CHOICE),
    "self-rehearsal": ("candidates", "temperature", "top_p", "repairs", "targets", "clean", *CHOICE),
}
"""Methods, and the settings of RewriteConfig that have no effect on a method."""


HINTED_STRENGTH = 1.0
"""Of the plain question in hinted decoding: 0 is the rewriting prompt alone."""
_ANSWER_BEGINS = re.compile(r"\\boxed\{|####|\banswer is\b|\banswer:", re.IGNORECASE)


def method(name: str, config: RewriteConfig, prompts: Prompts = DEFAULT) -> Method:
    """The method of that name; `prompts` are those of `prompt`. Raises UsageError for an unknown one."""
    makers: dict[str, Callable[[RewriteConfig], Method]] = {
        "prompt": lambda config: prompt_only(config, prompts),
        "hinted": lambda config: hinted(config, prompts),
        "copy": lambda _: copy(),
        "sdft": sdft,
        "mind-the-gap": mind_the_gap,
        "self-rehearsal": self_rehearsal,
    }
    if name not in makers:
        raise UsageError(f"there is no method {name!r}. There are: {', '.join(makers)}.")
    made = makers[name](config)
    return replace(made, accept=None) if config.accept == "gate" else made


def prompt_only(config: RewriteConfig, prompts: Prompts = DEFAULT) -> Method:
    """The rewriting prompt without an agent, under the same gate and choice: what learning is compared with."""
    return replace(config.method(adapter=False, prompts=prompts), name="prompt")


def hinted(config: RewriteConfig, prompts: Prompts = DEFAULT) -> Method:
    """Hinted decoding (arXiv 2602.12222): the rewriting prompt speaks where it is sure, the plain question where not.

    Every token is drawn of p^(1 - l) q^l, p under the rewriting prompt, q under the question alone,
    l = clip(H(p) / log V, 0, 1); from the marker of an answer on, q alone. Published at temperature 0.3, top-p 0.95,
    and sampled here as configured. Deviations: the prompt, cleaning and choice are those of `prompt`, so that the two
    differ in this alone; any of the markers below counts, not the box alone; loops are left to the gate, where the
    published code stops at a window of 30 tokens that comes five times.
    """
    made = prompt_only(config, prompts)
    mixing = Mixing(HINTED_STRENGTH, _ANSWER_BEGINS)
    return replace(made, name="hinted", attempts=tuple(replace(a, mixing=mixing) for a in made.attempts))


def copy() -> Method:
    """The demonstrations as they are, scored and judged: every row falls back, and the gate says what it thinks."""
    attempt = Attempt("none", _question, 1, Sampling(0.0), given=lambda row: row.demonstration)
    return Method("copy", (attempt,), _never)


def sdft(config: RewriteConfig) -> Method:
    """Self-distillation fine-tuning (arXiv 2402.13669): one response with the reference as a guide.

    Kept where it does not talk about the reference or the task, does not open with "Your turn", and passes the
    task's check: the same last integer (numeric answers), the reference call in the text (function calls), a
    Python block (code), nothing otherwise. Deviations: the temperature is the configuration's, as the published
    one is not known to us; the GSM8K assistant turn is not pre-filled; the task's check is chosen by the row's
    answer and demonstration, not by data set; for code the opening of the text is free; an empty text is refused.
    """
    attempt = Attempt(templates.SDFT_ID, _guided, 1, replace(config.sampling))
    return Method("sdft", (attempt,), _each(sdft_check))


def mind_the_gap(config: RewriteConfig) -> Method:
    """Mind the Gap (arXiv 2509.15157): an own correct solution, else one retold from the expert's, else the expert.

    Four own samples at temperature 1, then four guided ones at 0.7, top-p 1; the first one that is correct wins
    (settings of a re-implementation; the official ones are not known). Deviation: correct is decided by this
    project's equivalence of final answers.
    """
    own = Attempt(templates.QUESTION_ID, _question, 4, Sampling(1.0, 1.0, config.max_tokens))
    guided = Attempt(templates.RETELL_ID, _retell, 4, Sampling(0.7, 1.0, config.max_tokens))
    return Method("mind-the-gap", (own, guided), _each(answer_check), first_wins=True, repairs_from=2)


def self_rehearsal(config: RewriteConfig) -> Method:
    """Selective self-rehearsal (arXiv 2409.04787): the model's own answer where a judge accepts it, else gold.

    Deviations: the answer is greedy, and the judge is the backbone itself, P(YES) against P(NO) over whole
    replies; a stronger judge is `rewrite.accept=gate` with a gate that asks one.
    """
    attempt = Attempt(templates.QUESTION_ID, _question, 1, Sampling(0.0, 1.0, config.max_tokens))
    return Method("self-rehearsal", (attempt,), judged_by_backbone)


def _question(row: Row) -> list:
    return row.messages


def _guided(row: Row) -> list:
    return templates.guided(row.messages, row.demonstration)


def _retell(row: Row) -> list:
    return templates.retell(row.messages, row.demonstration)


# rules of acceptance

_ABOUT_RESPONSES = re.compile(
    r"\b(?:the |this )?reference (?:response|answer|solution)|\byour (?:response|answer|solution)"
    r"|\bmy (?:response|answer|solution)\b|\boriginal (?:response|answer)\b"
    r"|\b(?:response|answer) (?:provided|given) above\b",
    re.IGNORECASE,
)
_YOUR_TURN = re.compile(r"\s*Your turn")
_INTEGER = re.compile(r"-?\d[\d,]*")
_CALL = re.compile(r"^\s*[\w.]+\(.*\)\s*$", re.DOTALL)


def sdft_check(row: Row, sample: Sample) -> Check:
    """SDFT's fallback rule over one response."""
    text = sample.text
    if not text.strip():
        return _failed("sdft", "empty", "The response is empty.")
    talk = _YOUR_TURN.match(text) or _ABOUT_RESPONSES.search(text)
    if talk:
        return _failed("sdft", "meta_talk", f"It talks about responses: {talk.group().lstrip()!r}.")
    reference = row.answer or row.demonstration
    if "```python" in row.demonstration or row.task == "code":
        if "```python" not in text:
            return _failed("sdft", "no_code", "It holds no Python block.")
    elif _CALL.match(row.demonstration):
        if row.demonstration.strip() not in text:
            return _failed("sdft", "no_call", "The reference call is not in it.")
    elif _INTEGER.search(reference) and row.answer is not None:
        expected, found = _last_integer(reference), _last_integer(text)
        if expected != found:
            return _failed(
                "sdft", "wrong_answer", f"Its last integer is {found}, the reference's {expected}."
            )
    return Check("sdft", CheckStatus.PASS)


def answer_check(row: Row, sample: Sample) -> Check:
    """The final answer alone, of a text that was not cut off."""
    if sample.finish_reason != STOP:
        return _failed("answer", "truncated", "The solution was cut off.")
    return AnswerCheck().run(Case(sample.text, row.demonstration, row.for_gate(), sample.finish_reason, {}))


def judged_by_backbone(engine: Engine, drawn: list[tuple[Row, Sample, Verdict]]) -> list[Verdict]:
    """Accept what the backbone calls correct: P(YES) above P(NO), both with their end of turn."""
    asked = [templates.judge(row.messages, row.demonstration, sample.text) for row, sample, _ in drawn]
    both = [messages for messages in asked for _ in range(2)]
    scores = engine.logprobs(both, ["YES", "NO"] * len(drawn), adapter=False)
    verdicts = []
    for (_, sample, gated), yes, no in zip(drawn, scores[::2], scores[1::2], strict=True):
        margin = no.nll * no.num_tokens - yes.nll * yes.num_tokens  # log P(YES) - log P(NO)
        if math.isnan(margin):
            check = Check("judge", CheckStatus.UNDECIDED, "unreadable_judge", "Too long to be judged.")
        elif not sample.text.strip() or sample.finish_reason != STOP:
            check = _failed("judge", "truncated" if sample.text.strip() else "empty", "No whole answer.")
        elif margin > 0:
            check = Check("judge", CheckStatus.PASS, score=margin)
        else:
            check = Check("judge", CheckStatus.FAIL, "judged_no", "The backbone says NO.", margin)
        verdicts.append(_verdict(check, gated))
    return verdicts


def _each(rule: Callable[[Row, Sample], Check]) -> Accept:
    def accept(_: Engine, drawn: list[tuple[Row, Sample, Verdict]]) -> list[Verdict]:
        return [_verdict(rule(row, sample), gated) for row, sample, gated in drawn]

    return accept


def _never(_: Engine, drawn: list[tuple[Row, Sample, Verdict]]) -> list[Verdict]:
    return [_verdict(_failed("method", "copy", "The demonstration itself."), v) for _, _, v in drawn]


def _verdict(check: Check, gated: Verdict) -> Verdict:
    """The method's verdict from its one check; what the gate's checks said stays beside it."""
    statuses = {
        CheckStatus.PASS: VerdictStatus.ACCEPTED,
        CheckStatus.FAIL: VerdictStatus.REJECTED,
        CheckStatus.UNDECIDED: VerdictStatus.UNVERIFIABLE,
    }
    return Verdict(statuses[check.status], check.reason, (check, *gated.checks))


def _failed(name: str, reason: str, message: str) -> Check:
    return Check(name, CheckStatus.FAIL, reason, message)


def _last_integer(text: str) -> str | None:
    found = _INTEGER.findall(text)
    return found[-1].replace(",", "") if found else None
