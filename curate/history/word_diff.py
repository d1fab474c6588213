"""Texts compared word by word.

A token is what a reader takes as one: a LaTeX command, a number with its separators, an identifier, an
operator, a run of blanks. Tokens re-join to the exact text, and so do both sides of a diff. The diff is
deterministic and bounded: common ends are cut off, tokens that occur once on each side anchor the rest
(patience), and what lies between anchors is aligned by difflib where that is affordable.

`diff` is the shortest account, `phrases` the one to read: signs that only format are folded, and a word or two
that two long edits happen to share belong to the edit.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Literal

_TOKEN = re.compile(
    r"""
    \\(?:[A-Za-z]+\*?|.)                      # LaTeX command or escaped sign
  | \d+(?:[.,]\d+)*                           # number: 1,234.50
  | [^\W\d]\w*(?:['\u2019][^\W\d_]+)*         # word or identifier: don't, num_books
  | \#{2,} | `{3} | <<|>>|\*\*|//|==|!=|<=|>=|->|=>|\+=|-=|\*=|/=|:=|&&|\|\|
  | \n | [^\S\n]+                             # blanks; a line break stands alone
  | .
    """,
    re.VERBOSE | re.DOTALL,
)
_AFFORDABLE = 4_000_000  # token pairs that difflib may look at in one stretch
_LONG = 4_000_000  # characters of both texts, beyond which they are no text that a person compares by words


@dataclass(frozen=True, slots=True)
class Op:
    """A stretch of a diff. Joining `before` over all stretches gives the first text, `after` the second."""

    kind: Literal["equal", "insert", "delete", "replace", "fold"]  # fold: the sides differ in format only
    before: str
    after: str


def tokens(text: str) -> list[str]:
    """Split `text` into tokens; `"".join(tokens(text)) == text`."""
    return _TOKEN.findall(text)


def diff(a: str, b: str) -> list[Op]:
    """Word-level diff of two texts; of very long ones, what lies between their common ends."""
    if len(a) + len(b) > _LONG:
        return _ends(a, b)
    left, right = tokens(a), tokens(b)
    ops: list[Op] = []
    for kind, i, k, j, m in _merged(_stretches(left, right, 0, len(left), 0, len(right))):
        before, after = "".join(left[i:k]), "".join(right[j:m])
        ops.append(
            Op(
                "equal" if kind else "replace" if before and after else "delete" if before else "insert",
                before,
                after,
            )
        )
    return ops


def _ends(a: str, b: str) -> list[Op]:
    start = common_start(a, b)
    end = common_start(a[start:][::-1], b[start:][::-1])
    before, after = a[start : len(a) - end], b[start : len(b) - end]
    kind = "replace" if before and after else "delete" if before else "insert"
    same = Op("equal", a[:start], a[:start]), Op("equal", a[len(a) - end :], a[len(a) - end :])
    return [op for op in (same[0], Op(kind, before, after), same[1]) if op.before or op.after]


def common_start(a: str, b: str) -> int:
    """Number of characters that two texts begin with in common, by bisection: comparing slices is fast."""
    low, high = 0, min(len(a), len(b))
    while low < high:
        middle = (low + high + 1) // 2
        if a[low:middle] == b[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low


def only_blanks(a: str, b: str) -> bool:
    """Whether two different texts differ in white space only. `1 2` and `12` do not."""
    return a != b and _inked(a) == _inked(b)


def only_format(a: str, b: str) -> bool:
    """Whether two different texts differ only in white space, Markdown emphasis and LaTeX wrapping.

    A sign counts as format where it comes as one of a pair around words: `**12**`, but neither `2*3` nor `$5`.
    """
    return a != b and _inked(_unformatted(a)) == _inked(_unformatted(b))


def _inked(text: str) -> list[str]:
    return [t for t in tokens(text) if not t.isspace()]


_GROUP = r"(?:[^{}]|\{(?:[^{}]|\{[^{}]*\})*\})*"
_FORMATS = tuple(
    re.compile(pattern)
    for pattern in (
        r"(?<![\w*_`])(?P<open>\*{1,3}|_{1,3}|`{1,2})(?=[^\s*_`])[^\n]{0,400}?(?<=[^\s*_`])(?P<close>(?P=open))"
        r"(?![\w*_`])",  # emphasis and code of Markdown
        r"(?<![\w$\\])(?P<open>\${1,2})(?=\S)[^$]{1,400}?(?<=\S)(?P<close>(?P=open))(?![\w$])",  # not $5 and $6
        rf"(?P<open>\\(?:text|mathrm|mathbf|boxed)\s*\{{){_GROUP}(?P<close>\}})",
        r"(?P<open>\\[()\[\],;! ]|\\(?:left|right)(?![A-Za-z]))(?P<close>)",
    )
)


def _formatting(text: str) -> bytearray:
    """One byte a character, 1 where it only formats."""
    mask = bytearray(len(text))
    for pattern in _FORMATS:
        at = 0
        while found := pattern.search(text, at):
            for start, end in (found.span("open"), found.span("close")):
                mask[start:end] = b"\1" * (end - start)
            at = found.end("open")  # what is wrapped may wrap something itself
    return mask


def _unformatted(text: str) -> str:
    mask = _formatting(text)
    return (
        "".join(sign for sign, formats in zip(text, mask, strict=True) if not formats) if any(mask) else text
    )


def phrases(a: str, b: str, *, fold: bool = True) -> list[Op]:
    """The diff as a person would mark it; like that of `diff`, its stretches join to both texts.

    With `fold`, stretches that differ in white space or format only are of the kind "fold".
    """
    ops = diff(a, b)
    return _readable(_folded(ops, a, b) if fold else ops)


def _folded(ops: list[Op], a: str, b: str) -> list[Op]:
    masks = _formatting(a), _formatting(b)
    out, i, j = [], 0, 0
    for op in ops:
        k, m = i + len(op.before), j + len(op.after)
        if op.kind != "equal":
            left = "".join(s for s, f in zip(op.before, masks[0][i:k], strict=True) if not f)
            right = "".join(s for s, f in zip(op.after, masks[1][j:m], strict=True) if not f)
            if _inked(left) == _inked(right):
                op = Op("fold", op.before, op.after)
        out.append(op)
        i, j = k, m
    return out


def _readable(ops: list[Op]) -> list[Op]:
    """Join two changes where what they share in between is no longer than either (after Fraser's semantic clean-up)."""
    runs: list[
        tuple[bool, int, int, int]
    ] = []  # changes?, from and to in `ops`, characters that are not blank
    for at, op in enumerate(ops):
        runs.append((op.kind not in ("equal", "fold"), at, at + 1, max(_size(op.before), _size(op.after))))
        while len(runs) > 2 and runs[-1][0] and not runs[-2][0] and runs[-3][0]:
            (_, start, _, first), (_, _, _, shared), (_, _, end, second) = runs[-3:]
            if shared > min(first, second):
                break
            runs[-3:] = [(True, start, end, first + shared + second)]
    return [
        ops[start]
        if end == start + 1
        else Op(
            "replace", "".join(op.before for op in ops[start:end]), "".join(op.after for op in ops[start:end])
        )
        for _, start, end, _ in runs
    ]


def _size(text: str) -> int:
    """Characters that are not blank."""
    return len(text) - sum(map(str.isspace, text))


def distance(a: str, b: str) -> float:
    """Levenshtein distance over the tokens that are not blank, divided by the longer length; in [0, 1]."""
    left = [t for t in tokens(a) if not t.isspace()]
    right = [t for t in tokens(b) if not t.isspace()]
    longer = max(len(left), len(right))
    return _levenshtein(left, right) / longer if longer else 0.0


def _levenshtein(a: Sequence[str], b: Sequence[str]) -> int:
    """Edit distance by bit-parallel dynamic programming (Hyyrö 2003, after Myers 1999), a column an integer."""
    if not a or not b:
        return len(a) or len(b)
    matches: dict[str, int] = {}
    for i, token in enumerate(a):
        matches[token] = matches.get(token, 0) | 1 << i
    full, top = (1 << len(a)) - 1, 1 << (len(a) - 1)
    plus, minus, score = full, 0, len(a)
    for token in b:
        match = matches.get(token, 0)
        zero = (((match & plus) + plus) ^ plus) | match | minus
        up = minus | (full & ~(zero | plus))
        down = plus & zero
        score += bool(up & top) - bool(down & top)
        up = up << 1 | 1
        plus = (down << 1 | ~(zero | up)) & full
        minus = up & zero & full
    return score


Stretch = tuple[bool, int, int, int, int]  # equal?, from and to in a, from and to in b


def _stretches(a: list[str], b: list[str], i: int, k: int, j: int, m: int) -> Iterator[Stretch]:
    """Stretches of a[i:k] against b[j:m]."""
    stack = [(i, k, j, m)]
    while stack:  # a stack, not recursion: hostile texts have many anchors
        i, k, j, m = stack.pop()
        if i > k:  # an equal stretch put back, marked by swapped ends
            yield True, k, i, m, j
            continue
        start = 0
        while i + start < k and j + start < m and a[i + start] == b[j + start]:
            start += 1
        if start:
            yield True, i, i + start, j, j + start
            i, j = i + start, j + start
        end = 0
        while k - end > i and m - end > j and a[k - end - 1] == b[m - end - 1]:
            end += 1
        if end:
            stack.append((k, k - end, m, m - end))
            k, m = k - end, m - end
        if i == k or j == m:
            if i < k or j < m:
                yield False, i, k, j, m
        elif (k - i) * (m - j) <= _AFFORDABLE:
            for tag, i1, i2, j1, j2 in SequenceMatcher(None, a[i:k], b[j:m], autojunk=False).get_opcodes():
                yield tag == "equal", i + i1, i + i2, j + j1, j + j2
        elif anchors := _anchors(a, b, i, k, j, m):
            pieces, at_a, at_b = [], i, j
            for x, y in anchors:
                pieces += [(at_a, x, at_b, y), (x + 1, x, y + 1, y)]
                at_a, at_b = x + 1, y + 1
            pieces.append((at_a, k, at_b, m))
            stack.extend(reversed([p for p in pieces if p[0] != p[1] or p[2] != p[3]]))
        else:
            yield False, i, k, j, m


def _anchors(a: list[str], b: list[str], i: int, k: int, j: int, m: int) -> list[tuple[int, int]]:
    """Positions of tokens that occur once on both sides, the longest run that is in order on both."""
    once_a, once_b = _once(a, i, k), _once(b, j, m)
    pairs = sorted((x, once_b[t]) for t, x in once_a.items() if t in once_b)
    tails: list[int] = []
    ends: list[int] = []
    before: list[int] = []
    for n, (_, y) in enumerate(pairs):
        at = bisect_left(tails, y)
        before.append(ends[at - 1] if at else -1)
        tails[at : at + 1] = [y]
        ends[at : at + 1] = [n]
    run, n = [], ends[-1] if ends else -1
    while n >= 0:
        run.append(pairs[n])
        n = before[n]
    return run[::-1]


def _once(tokens: list[str], start: int, end: int) -> dict[str, int]:
    found: dict[str, int] = {}
    twice: set[str] = set()
    for at in range(start, end):
        token = tokens[at]
        if token in found:
            twice.add(token)
        found[token] = at
    return {t: at for t, at in found.items() if t not in twice}


def _merged(stretches: Iterator[Stretch]) -> Iterator[Stretch]:
    """Join neighbours of a kind, so that each stretch is as long as it can be."""
    held: Stretch | None = None
    for stretch in stretches:
        if held and held[0] == stretch[0]:
            held = (held[0], held[1], stretch[2], held[3], stretch[4])
            continue
        if held:
            yield held
        held = stretch
    if held:
        yield held
