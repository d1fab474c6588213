"""The last mathematical expression of a text that marks no answer: read whole, or not at all.

The number at the end of `\\\\frac{5}{3}` or `2^{10}` is no answer, and a sum that is not worked out is none.

>>> last_expression("The result is \\\\frac{3}{4}."), last_expression("He has 72 clips"), last_expression("We get 5-3")
(('\\\\frac{3}{4}', 14), ('72', 7), None)
"""

from __future__ import annotations

import re

from recast.curate.answers.expressions import Node, parse
from recast.curate.answers.forms.bases import based
from recast.curate.answers.normalise import MAX_ANSWER_CHARS, normal
from recast.curate.answers.numeric_probe import names
from recast.curate.answers.quantities import quantity
from recast.curate.answers.structured import duration, ratio, time_of_day

_LETTER = r"[^\W\d_\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]"  # digits may touch Chinese, Japanese and Korean
_TOKEN = re.compile(
    rf"(?P<operand>(?<!{_LETTER})(?:\d{{1,3}}(?:,\d{{3}})+(?!\d)|\d+)(?:\.\d+)?(?:[eE][-+]?\d+)?|(?<![\w.])\.\d+"
    rf"|\\(?:pi|infty|frac|[dt]frac|sqrt|log|ln|sin|cos|tan)(?![A-Za-z])|(?<!{_LETTER})[A-Za-z](?!{_LETTER})|[√π½¼¾⅓⅔])"
    r"|(?P<open>[(\[{]|[$€£](?=[\d.]))|(?P<close>[)\]}!%°²³⁰¹⁴-⁹⁻]|\\%)"
    r"|(?P<operator>[-+*/^_=≈×÷·−⁄]|(?<=\d):(?=\d)|\\(?:times|cdot|div|approx|left|right|circ|[,!;]))"
)
_ANNOTATION = re.compile(r"<<[^<>\n]*>>")
_MIXED = re.compile(r"\d+\s+\d+\s*/\s*\d+")
_HALF_OF_DAY = re.compile(r"\s?[ap]\.?m\b\.?", re.IGNORECASE)
_SIDES = re.compile(r"=|≈|\\approx")


def last_expression(text: str) -> tuple[str, int] | None:
    """`(expression, where it begins)`; None where the last one cannot be read, or is a sum without its result."""
    begin = max(0, len(text) - MAX_ANSWER_CHARS)
    tail = _ANNOTATION.sub(lambda m: " " * len(m.group()), text[begin:]) if "<<" in text else text[begin:]
    run = _last_run(tail)
    if run is None:
        return None
    start, end = run
    sides = list(_SIDES.finditer(tail, start, end))
    if sides and any(c.isdigit() for c in tail[sides[-1].end() : end]):
        start = sides[-1].end()
    written = tail[start:end]
    if (half := _HALF_OF_DAY.match(tail, end)) and time_of_day(written + half.group()):
        written += half.group()
    stripped = _bare(written)
    return (stripped, begin + start + written.index(stripped)) if stripped and _is_answer(stripped) else None


def _last_run(tail: str) -> tuple[int, int] | None:
    """The last stretch of tokens that belong together and hold a figure."""
    last: tuple[int, int] | None = None
    start = end = -1
    before = ""
    for match in _TOKEN.finditer(tail):
        kind = match.lastgroup or ""
        gap = tail[end : match.start()] if end >= 0 else ""
        joined = end >= 0 and not gap.strip(" \t") and not (gap and _parted(tail, before, kind, match))
        if not joined:
            start = match.start()
        end, before = match.end(), kind
        if any(c.isdigit() or c in "½¼¾⅓⅔" for c in match.group()) or (last and last[0] == start):
            last = (start, end)
    return last


def _parted(tail: str, before: str, kind: str, match: re.Match[str]) -> bool:
    """Whether a space parts two tokens: it does between operands, if they are no mixed number, and before a sign of
    the next word."""
    if before in ("operand", "close") and kind in ("operand", "open"):
        number = re.search(r"\d+\s*\Z", tail[: match.start()])
        return number is None or _MIXED.match(tail, number.start()) is None
    signed = (
        kind == "operator" and match.group() in "-−" and tail[match.end() : match.end() + 1] not in (" ", "")
    )
    return signed and before != "operator"  # 5 -3 are two numbers


def _bare(written: str) -> str:
    """Without emphasis, dangling operators and brackets that have no partner."""
    text = written.strip()
    for _ in range(8):
        before = text
        text = text.strip(" *=_:,").rstrip("+-−/×÷·([{!^").rstrip("\\").strip()
        text = re.sub(r"\A(?:[+/×÷·^)\]}]|[-−](?=\s))\s*", "", text)
        for opening, closing in ("()", "[]", "{}"):
            if text.endswith(closing) and text.count(closing) > text.count(opening):
                text = text[:-1]
            elif text.startswith(opening) and text.count(opening) > text.count(closing):
                text = text[1:]
            elif text.startswith(opening) and text.endswith(closing) and text.count(opening) == 1:
                text = text[1:-1]
        if text == before:
            break
    return text


def _is_answer(text: str) -> bool:
    if text.isdigit():
        return True
    written = normal(text)
    tree = parse(written)
    if tree is not None:
        return bool(names(tree)) or not _unfinished(tree)
    read = (quantity, based, ratio, time_of_day, duration)
    return any(reader(written) is not None for reader in read)


def _unfinished(tree: Node) -> bool:
    """Whether a tree without names is a sum or product of plain numbers, or a quotient of such, not worked out."""
    kind, *children = tree
    if kind == "neg":
        return _unfinished(children[0])
    if kind == "mul" or kind == "add":
        return _plain(children[0]) and _plain(children[1])
    return kind == "div" and any(child[0] in ("add", "mul", "div") and _plain(child) for child in children)


def _plain(tree: Node) -> bool:
    if tree[0] in ("const", "fn", "log", "root", "pow", "fact", "binom"):
        return False
    return all(_plain(child) for child in tree[1:] if isinstance(child, tuple))
