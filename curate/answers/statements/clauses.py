"""Where a stated answer ends, and which statements of an answer are none: denied, asked, guessed, supposed.

>>> trimmed("48, in total, so the baker earns that much"), trimmed("15 - 3 = 12"), trimmed("not 5 but 6")
('48', '12', '6')
"""

from __future__ import annotations

import re

from recast.curate.answers.choices import choice
from recast.curate.answers.expressions import parse
from recast.curate.answers.normalise import MAX_ANSWER_CHARS, normal, unwrap
from recast.curate.answers.numeric_probe import names
from recast.curate.answers.quantities import quantity

_SENTENCE_END = re.compile(
    r"\n|[。！？]"
    r"|(?<![ (][A-Z])(?<!\bvs)(?<!\bDr)(?<!\bMr)(?<!\bMs)(?<!\bMrs)(?<!\bSt)(?<![ap]\.m)[.!?](?=[\s*\"')\]]|$)"
    r"|(?<=[ap]\.m)\.(?=\s+(?!(?:Mon|Tues|Wednes|Thurs|Fri|Satur|Sun)day)[A-Z]|\s*$)"
)
_BEGINS_CLAUSE = re.compile(
    r",?\s+(?:because|since|which|whereas|where|so that|i\.e|namely|as (?:shown|we|stated|required|found|can))\b"
    r"|,\s*(?:so|as|if|when|in total|in all|altogether|that is|meaning|making|giving|hence|thus|therefore|then|but"
    r"|assuming|given|after all|(?:and|for|while|with) (?:so|thus|therefore|hence|then|that|this|we|it|he|she|they|the)"
    r")\b",
    re.IGNORECASE,
)  # fmt: skip
_REMARK = re.compile(r"\s+\([^()]*(?:[^\W\d_]{3}|\d\s*[-+*/×=])[^()]*\)\s*\Z")  # 42 (see step 3)
_DENIED = re.compile(r"\s*not\b", re.IGNORECASE)
_INSTEAD = re.compile(r"\s*not\b[^.,;]*?(?:,\s*)?\bbut\s+(?:rather\s+)?", re.IGNORECASE)
_OPERATOR = re.compile(r"\d[^=]*?(?:[+*/×÷·−-]|\\times|\\cdot|\\div|\sx\s)")
_POLITE = re.compile(r"(?:です|だ|である|입니다|이다|です。)\s*\Z")
TAKEN_BACK = frozenset(
    "if suppose supposing assume assuming unless whether imagine pretend maybe perhaps possibly guess wrong incorrect "
    "false tempting mistaken".split()
)  # fmt: skip
AUXILIARIES = frozenset("can cannot can't could not to will did didn't would must may".split())
BETWEEN = frozenset("that the our your my this a an final correct right".split())


def is_verb(text: str, start: int) -> bool:
    """Whether `answer` at `start` is a verb: the questions that Steve cannot answer are 7."""
    return next(iter(text[max(0, start - 40) : start].lower().split()[-1:]), "") in AUXILIARIES


def taken_back(text: str, start: int) -> bool:
    """Whether the words before a statement at `start` take it back: `if the answer is`, `perhaps`, `a wrong answer`."""
    words = reversed(text[max(0, start - 40) : start].lower().split())
    return next((word in TAKEN_BACK for word in words if word not in BETWEEN), False)


def sentence(text: str, start: int) -> str:
    """What stands between `start` and the end of its sentence; empty where the sentence is a question."""
    end = sentence_end(text, start)
    return "" if text[end : end + 1] in ("?", "？") and not text[start:end].isspace() else text[start:end]


def sentence_end(text: str, start: int) -> int:
    window = text[start : start + MAX_ANSWER_CHARS]
    match = _SENTENCE_END.search(window, 1) if window else None
    return start + (match.start() if match else len(window))


def trimmed(content: str) -> str:
    """The answer that a sentence gives, without the clause that explains it; empty where it denies one."""
    if content.isdigit():
        return content
    if _DENIED.match(content):
        instead = _INSTEAD.match(content)
        if instead is None and content.strip()[4:].strip()[:1].isdigit():
            return ""
        content = content[instead.end() :] if instead else content
    if not content.isascii():
        content = _POLITE.sub("", content)
    if " " in content:
        clause = _BEGINS_CLAUSE.search(content, 1)
        if clause and content[: clause.start()].strip(" *_$"):
            content = content[: clause.start()]
    if "(" in content and (remark := _REMARK.search(content)):
        head = content[: remark.start()]
        if quantity(normal(head)) is not None or choice(unwrap(head)):
            content = head
    return result(content) if "=" in content else content


def result(content: str) -> str:
    """The last side of a sum that is worked out, `12` of `15 - 3 = 12`; an equation with names stays whole."""
    plain = unwrap(content)
    first, *rest = plain.split("=")
    if not rest or any(sign in plain for sign in ("<=", ">=", "!=", "==", "\\ne")):
        return content
    tree = parse(normal(first))
    last = rest[-1].strip()
    if (tree is not None and names(tree)) or not _OPERATOR.search(first) or not last:
        return content
    return last if quantity(normal(last)) is not None or parse(normal(last)) is not None else content
