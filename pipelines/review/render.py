"""A row as a person reads it: prose, formulas, code, tables, chat turns and tools, with the words that differ marked.

Everything is a tree of elements (`paint.Node`); the page makes elements of no other kind. What a text formats with
(`**`, `$`, fences) is left out where no edit touches it; the page can show the bare text, too.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any, Literal

from recast.curate.history import word_diff
from recast.curate.records import Check, CheckStatus
from recast.pipelines.report.samples import MAX_CHARS
from recast.pipelines.review import latex
from recast.pipelines.review.paint import Mark, Node, Painted, seen

View = Literal["side", "inline", "raw"]

_FENCE = re.compile(r" {0,3}(`{3,}|~{3,})[ \t]*([\w+#.-]*)[^\n`]*$")
_HEADING = re.compile(r" {0,3}(#{1,3})[ \t]+(?=\S)")  # four of them mark an answer
_ITEM = re.compile(r"[ \t]*(?:[-*•+]|\d{1,3}[.)])[ \t]+(?=\S)")
_RULE = re.compile(r"[ \t]*\|?[ \t]*:?-{2,}:?[ \t]*(?:\|[ \t]*:?-{2,}:?[ \t]*)*\|?[ \t]*$")
_CELL = re.compile(r"(?<!\\)\|")
_DISPLAY = re.compile(r"[ \t]*(?:\$\$|\\\[)[ \t]*$")
_INLINE = re.compile(
    r"(?P<code>`+)(?P<coded>[^\n]{1,400}?)(?P=code)(?!`)"
    r"|(?P<bold>\*\*)(?=[^\s*])(?P<strong>[^\n]{1,400}?)(?<=[^\s*])\*\*"
    r"|(?<![\w*])(?P<star>\*)(?=[^\s*])(?P<em>[^*\n]{1,200}?)(?<=[^\s*])\*(?![\w*])"
    r"|\$\$(?P<display>[^$]{1,1500}?)\$\$"
    r"|\\\[(?P<bracket>.{1,1500}?)\\\]"
    r"|\\\((?P<paren>.{1,800}?)\\\)"
    r"|(?<![\w$\\])\$(?=\S)(?P<dollar>[^$\n]{1,400}?)(?<=\S)\$(?![\w$])"
    r"|\\(?P<command>[A-Za-z]+)",
    re.DOTALL,
)
_FORMULAS = {"display": 2, "bracket": 2, "paren": 2, "dollar": 1}  # length of their delimiters


# text


def text(content: str, marks: Iterable[Mark] = (), *, raw: bool = False) -> list[Node]:
    """`content` as blocks. `raw`: every sign as it is."""
    painted = Painted(content, marks)
    if raw:
        return [["pre", {"class": "raw", "dir": "auto"}, *painted.leaf(0, len(content))]]
    return list(_blocks(painted))


def _blocks(painted: Painted) -> Iterator[Node]:
    lines = [(m.start(), m.end()) for m in re.finditer(r"[^\n]*\n?", painted.text) if m.end() > m.start()]
    at = 0
    while at < len(lines):
        start, end = lines[at]
        line = painted.text[start:end].rstrip("\n")
        if not line.strip():
            at += 1
        elif fence := _FENCE.match(line):
            closes = (n for n in range(at + 1, len(lines)) if _shown(painted, lines[n]).startswith(fence[1]))
            last = next(closes, None)
            inner = lines[at + 1 : last]
            body = painted.leaf(inner[0][0], inner[-1][1]) if inner else []
            yield from painted.hidden(start, end)
            yield [
                "pre",
                {"class": "code", **({"data-language": fence[2]} if fence[2] else {})},
                ["code", {}, *body],
            ]
            at = len(lines) if last is None else last + 1
        elif (
            at + 1 < len(lines)
            and "|" in line
            and _RULE.match(painted.text[slice(*lines[at + 1])].rstrip("\n"))
        ):
            last = at + 2
            while last < len(lines) and "|" in painted.text[slice(*lines[last])]:
                last += 1
            yield _table(painted, [lines[at], *lines[at + 2 : last]])
            at = last
        elif heading := _HEADING.match(line):
            inner = _inline(painted, start + heading.end(), start + len(line))
            yield [
                "p",
                {"class": "heading", "dir": "auto"},
                *painted.hidden(start, start + heading.end()),
                *inner,
            ]
            at += 1
        elif _DISPLAY.match(line) and (close := _display_end(painted, lines, at)):
            first, last = lines[at + 1][0], lines[close][0]
            yield ["p", {"class": "display math"}, *latex.formula(painted, first, last)]
            at = close + 1
        else:
            last = at + 1
            while last < len(lines) and not _begins(painted, lines, last):
                last += 1
            kind = "item" if _ITEM.match(line) else ""
            whole = lines[at][0], lines[last - 1][1]
            yield ["p", {"dir": "auto", **({"class": kind} if kind else {})}, *_inline(painted, *whole)]
            at = last


def _shown(painted: Painted, line: tuple[int, int]) -> str:
    return painted.text[slice(*line)].strip()


def _begins(painted: Painted, lines: Sequence[tuple[int, int]], at: int) -> bool:
    """Whether a line cannot go on a paragraph."""
    line = painted.text[slice(*lines[at])].rstrip("\n")
    follows = painted.text[slice(*lines[at + 1])].rstrip("\n") if at + 1 < len(lines) else ""
    return bool(
        not line.strip() or _FENCE.match(line) or _HEADING.match(line) or _ITEM.match(line) or _DISPLAY.match(line)
        or ("|" in line and _RULE.match(follows))
    )  # fmt: skip


def _display_end(painted: Painted, lines: Sequence[tuple[int, int]], at: int) -> int | None:
    close = {"$$": "$$", "\\[": "\\]"}[painted.text[slice(*lines[at])].strip()]
    found = (
        n for n in range(at + 1, min(at + 60, len(lines))) if painted.text[slice(*lines[n])].strip() == close
    )
    return next(found, None)


def _table(painted: Painted, rows: Sequence[tuple[int, int]]) -> Node:
    out: list[Node] = []
    for number, (start, end) in enumerate(rows):
        line = painted.text[start:end].rstrip("\n")
        cuts = [m.start() for m in _CELL.finditer(line)]
        edges = [-1, *cuts, len(line)]
        cells = [(a + 1, b) for a, b in pairwise(edges)]
        if line.lstrip().startswith("|"):
            cells = cells[1:]
        if cells and not line[cells[-1][0] : cells[-1][1]].strip() and len(cells) > 1:
            cells = cells[:-1]
        kind = "td" if number else "th"
        out.append(["tr", {}, *([kind, {}, *_inline(painted, start + a, start + b)] for a, b in cells)])
    return ["div", {"class": "scroll"}, ["table", {}, ["thead", {}, out[0]], ["tbody", {}, *out[1:]]]]


def _inline(painted: Painted, start: int, end: int) -> list[Node]:
    out: list[Node] = []
    at = start
    while found := _INLINE.search(painted.text, at, end):
        if found["command"] and not latex.known(found["command"]):
            out += painted.leaf(at, found.end())
            at = found.end()
            continue
        out += painted.leaf(at, found.start())
        at = found.end()
        if found["command"]:
            nodes, at = latex.command(painted, found.start(), end)
            out.append(["span", {"class": "math"}, *nodes])
            continue
        for name, wide in _FORMULAS.items():
            if found[name] is not None:
                low, high = found.span(name)
                inner = [
                    *painted.hidden(low - wide, low),
                    *latex.formula(painted, low, high),
                    *painted.hidden(high, high + wide),
                ]
                display = " display" if name in ("display", "bracket") else ""
                out.append(["span", {"class": f"math{display}"}, *inner])
        for name, tag, inline in (("coded", "code", False), ("strong", "strong", True), ("em", "em", True)):
            if found[name] is not None:
                low, high = found.span(name)
                inner = _inline(painted, low, high) if inline else painted.leaf(low, high)
                out += [
                    [tag, {}, *painted.hidden(found.start(), low), *inner, *painted.hidden(high, found.end())]
                ]
    return [*out, *painted.leaf(at, end)]


# turns


def turns(messages: Sequence[Mapping[str, Any]]) -> list[Node]:
    """The prompt. What comes before its last turn is folded where it is long."""
    messages = [message for message in messages if isinstance(message, Mapping)]
    made = [_turn(message) for message in messages]
    if len(made) == 1 and messages[0].get("role") == "user":
        return [[*made[0][:2], *made[0][3:]]]  # nobody asks who asked
    before, last = made[:-1], made[-1:]
    if len(before) > 2 or sum(len(str(m.get("content") or "")) for m in messages[:-1]) > 1200:
        head = f"{len(before)} earlier turn{'s' * (len(before) != 1)}"
        return [["details", {"class": "earlier"}, ["summary", {}, head], *before], *last]
    return made


def _turn(message: Mapping[str, Any]) -> Node:
    role = str(message.get("role") or "")
    named = f"{role} {message['name']}" if message.get("name") else role
    body: list[Node] = []
    content = message.get("content")
    for part in content if isinstance(content, list) else [content]:
        if isinstance(part, str):
            body += text(part[:MAX_CHARS]) if role != "tool" else [_json(part)]
        elif isinstance(part, Mapping) and isinstance(part.get("text"), str):
            body += text(str(part["text"])[:MAX_CHARS])
        elif part is not None:
            body.append(_json(part))
    for thought in ("reasoning_content", "thinking"):
        if isinstance(message.get(thought), str):
            body.insert(
                0, ["details", {"class": "thought"}, ["summary", {}, "thoughts"], *text(message[thought])]
            )
    calls = message.get("tool_calls")
    for call in calls if isinstance(calls, list) else []:
        function = call.get("function", call) if isinstance(call, Mapping) else {}
        name = str(function.get("name", "a tool")) if isinstance(function, Mapping) else "a tool"
        asked = function.get("arguments", call) if isinstance(function, Mapping) else call
        body.append(["div", {"class": "call"}, ["b", {}, f"calls {name}"], _json(asked)])
    return [
        "div",
        {"class": f"turn role-{re.sub(r'[^a-z]', '', role.lower())}"},
        ["h3", {}, *seen(named)],
        *body,
    ]


def _json(value: Any) -> Node:
    """A value as indented JSON; a text that holds JSON, too."""
    if isinstance(value, str):
        try:
            value = json.loads(value) if len(value) < MAX_CHARS else value
        except ValueError:
            return ["pre", {"class": "code"}, ["code", {}, *seen(value)]]
    shown = value if isinstance(value, str) else json.dumps(value, indent=2, ensure_ascii=False)
    return ["pre", {"class": "code"}, ["code", {}, *seen(shown[:MAX_CHARS])]]


# two texts


def panes(
    before: str, after: str, view: View, checks: Sequence[Check], names: tuple[str, str]
) -> list[dict[str, Any]]:
    """The two texts with the words that differ marked: side by side, in one, or bare."""
    cut = max(len(before), len(after)) - MAX_CHARS
    before, after = before[:MAX_CHARS], after[:MAX_CHARS]
    note = f"{cut:,} more characters are not shown; edit (e) has all of them" if cut > 0 else ""
    if before == after:
        return [
            _pane(
                "after",
                f"{names[1]}, which is {names[0].lower()}'s",
                note,
                text(after, places(after, checks), raw=view == "raw"),
            )
        ]
    ops = word_diff.phrases(before, after, fold=False)
    if view == "inline":
        joined, marks = _joined(ops, places(after, checks))
        return [_pane("both", f"{names[0]} and {names[1].lower()}", note, text(joined, marks))]
    gone, came = _marks(ops, "del"), _marks(ops, "ins")
    raw = view == "raw"
    return [
        _pane("before", names[0], "", text(before, gone, raw=raw)),
        _pane("after", names[1], note, text(after, [*came, *places(after, checks)], raw=raw)),
    ]


def _pane(side: str, name: str, note: str, nodes: list[Node]) -> dict[str, Any]:
    return {"side": side, "name": name, "note": note, "nodes": nodes}


def _marks(ops: Sequence[word_diff.Op], kind: Literal["ins", "del"]) -> list[Mark]:
    out: list[Mark] = []
    at = 0
    for op in ops:
        size = len(op.before if kind == "del" else op.after)
        if op.kind != "equal":
            out.append(Mark(at, at + size, kind, formats=word_diff.only_format(op.before, op.after)))
        at += size
    return out


def _joined(ops: Sequence[word_diff.Op], checked: Sequence[Mark]) -> tuple[str, list[Mark]]:
    """One text that holds both, with the marks of each; `checked` are marks of the second text."""
    pieces: list[str] = []
    marks: list[Mark] = []
    at = after = 0
    for op in ops:
        if op.kind == "equal":
            pieces.append(op.after)
        else:
            pieces += [op.before, op.after]
            marks.append(Mark(at, at + len(op.before), "del"))
            at += len(op.before)
            marks.append(Mark(at, at + len(op.after), "ins"))
        for mark in checked:  # what the check is about may be cut up by words that went
            low, high = max(mark.start, after), min(mark.end, after + len(op.after))
            if low < high:
                marks.append(Mark(at + low - after, at + high - after, "check", mark.said))
        at, after = at + len(op.after), after + len(op.after)
    return "".join(pieces), marks


# checks

_QUOTED = re.compile(r"`([^`]+)`|'((?:[^'\\]|\\.)+)'|\"((?:[^\"\\]|\\.)+)\"")
_LISTED = re.compile(r"(?:: |to |such as |of |is |says )([^.;`'\"]{1,80})")
_MOST_PLACES = 3


def places(content: str, checks: Sequence[Check]) -> list[Mark]:
    """Where in the text the words of checks that did not pass stand, as far as they quote it."""
    quotes: list[Mark] = []
    for check in checks:
        if check.status is CheckStatus.PASS:
            continue
        quoted = [next(group for group in m.groups() if group) for m in _QUOTED.finditer(check.message)]
        listed = [part for m in _LISTED.finditer(check.message) for part in m[1].split(",")]
        for words in quoted or listed:
            parts = re.findall(r"\w+|[^\w\s]", words.rstrip("…").strip())
            if not parts or len(parts) > 200:
                continue
            pattern = r"\s*".join(map(re.escape, parts))
            bounded = rf"(?<![\w.]){pattern}(?![\w])" if re.match(r"\w", parts[0]) else pattern
            said = f"{check.name}: {check.message}"
            where = list(re.finditer(bounded, content))[-_MOST_PLACES:]
            quotes += [Mark(*found.span(), "check", said) for found in where]
    out: list[Mark] = []
    for mark in sorted(quotes, key=lambda mark: mark.start - mark.end):  # a sum before the number inside it
        if not any(mark.start < other.end and other.start < mark.end for other in out):
            out.append(mark)
    return out


def checks_told(checks: Sequence[Check]) -> dict[str, Any]:
    """What the gate says: checks that did not pass, in its words, and the names of those that did."""
    return {
        "open": [
            {"name": c.name, "status": str(c.status), "reason": c.reason, "message": seen(c.message)}
            for c in checks
            if c.status is not CheckStatus.PASS
        ],
        "passed": [c.name for c in checks if c.status is CheckStatus.PASS],
    }
