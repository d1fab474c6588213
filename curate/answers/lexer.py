"""Tokens of mathematical notation, LaTeX or plain: numbers, names, functions, operators. Parsed by `expressions`."""

from __future__ import annotations

import re

from recast.curate.maths.notation import signs

MAX_CHARS = 1_000

FUNCTIONS = frozenset(
    "sin cos tan exp ln sinh cosh tanh arcsin arccos arctan asin acos atan sec csc cot".split()
)
_GREEK = frozenset(
    (
        "alpha beta gamma delta epsilon varepsilon zeta eta theta vartheta kappa lambda mu nu xi rho sigma "
        "tau phi varphi chi psi omega Gamma Delta Theta Lambda Sigma Phi Psi Omega"
    ).split()
)
_SKIPPED = frozenset(
    "left right big Big bigl bigr Bigl Bigr displaystyle textstyle limits quad qquad".split()
)
_TOKEN = re.compile(
    r"(?P<rep>\d*\.\d*\\overline\s*\{\d{1,20}\})"
    r"|(?P<num>\d{1,3}(?:,\d{3})+(?!\d)(?:\.\d+)?|\d+(?:\.\d+)?(?:[eE][+-]?\d{1,3}(?![\w.]))?|\.\d+)"
    r"|\\(?P<cmd>[A-Za-z]+)"
    r"|(?P<skip>\\[,;:! ]|\s+|~)"
    r"|(?P<fn>(?:arc)?(?:sin|cos|tan)h?|sec|csc|cot|log|ln|exp|sqrt|abs|pi)(?![a-z])"
    r"|(?P<var>[A-Za-z])(?:_(?:\{(?P<sub>\w{1,8})\}|(?P<sub1>\w)))?"
    r"|_\{(?P<low>[^{}]{1,20})\}|_(?P<low1>\w)"
    r"|(?P<op>[-+*/^!|()\[\]{}°%])"
)
_WORD = re.compile(
    r"(?<![A-Za-z\\])(?!(?:arc)?(?:sin|cos|tan)h?(?![a-z])|sec|csc|cot|log|exp|sqrt|abs)[A-Za-z]{3,}"
)
_LETTER_PRODUCTS = tuple(frozenset(letters) for letters in ("xyz", "abc", "uvw", "pqr", "mnk"))


class UnreadableError(Exception):
    """The text is no expression that this module reads."""


def tokens_of(text: str) -> list[tuple[str, str]]:
    """Tokens `(kind, text)` of an expression. Raises `UnreadableError` where it holds anything else."""
    text = signs(text).replace("π", "\\pi ").replace("√", "\\sqrt ").replace("{,}", ",").replace("**", "^")
    text = re.sub(r"\\(?:mathrm|mathit|mathbf|text)\s*\{\s*(e|i|d|[A-Z])\s*\}", r"\1", text)
    text = re.sub(r"\^\s*\{?\s*\\circ\s*\}?", "°", text).replace("\\degree", "°")
    for word in _WORD.findall(text):
        if len(word) > 3 or not any(set(word) <= letters for letters in _LETTER_PRODUCTS):
            raise UnreadableError  # a word, not a product of its letters
    tokens: list[tuple[str, str]] = []
    place = 0
    while place < len(text):
        match = _TOKEN.match(text, place)
        if match is None:
            raise UnreadableError
        place = match.end()
        kind = match.lastgroup or ""
        if kind in ("sub", "sub1"):
            tokens.append(("var", f"{match.group('var')}_{match.group(kind)}"))
        elif kind in ("low", "low1"):
            tokens.append(("sub", match.group(kind)))
        elif kind == "cmd":
            name = match.group("cmd")
            if name in _SKIPPED:
                continue
            if name in ("cdot", "times", "ast"):
                tokens.append(("op", "*"))
            elif name == "div":
                tokens.append(("op", "/"))
            elif name in ("lfloor", "rfloor", "lceil", "rceil", "bmod"):
                tokens.append(("op", name))
            elif name in ("lvert", "rvert", "vert", "mid"):
                tokens.append(("op", "|"))
            elif name in _GREEK:
                tokens.append(("var", name))
            elif name in FUNCTIONS or name in ("log", "sqrt", "pi"):
                tokens.append(("fn", name))
            elif name in ("frac", "dfrac", "tfrac", "cfrac", "binom", "dbinom", "tbinom"):
                tokens.append(("cmd", "binom" if "binom" in name else "frac"))
            else:
                raise UnreadableError
        elif kind != "skip":
            tokens.append((kind, match.group()))
        if len(tokens) > MAX_CHARS:
            raise UnreadableError
    return tokens
