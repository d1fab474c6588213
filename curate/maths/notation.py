"""One plain notation for the arithmetic that people, programs and LaTeX write differently.

`plain` turns `\\frac{1}{2} \\times 1{,}200` into `((1)/(2)) * 1,200`, typographic signs into ASCII ones and
markdown emphasis into nothing, and keeps line breaks. It knows no arithmetic; `curate.arithmetic.equalities` reads
what it returns. Every step is linear in the text, so hostile input cannot stall it.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

MAX_CHARS = 200_000
"""Longer texts are cut: no demonstration of arithmetic is as long, and a check must end."""

_SIGNS = str.maketrans(
    {
        "−": "-", "–": "-", "—": " - ", "‐": "-", "‑": "-", "⁃": "-",
        "×": "*", "⋅": "*", "·": "*", "∙": "*", "∗": "*", "•": "*", "✕": "*", "✖": "*", "÷": "/", "∕": "/",
        "⁄": "/", "≅": "≈", "≃": "≈", "∼": "≈", "⟹": "⇒", "⟶": "→", "∴": "\n", "∵": "\n",
        "“": '"', "”": '"', "’": "'", "‘": "'", "\u00a0": " ", "\u2009": " ", "\u202f": " ", "\u200b": "",
        "\ufeff": "", "\r": "\n", "\x00": " ", "¼": " 1/4", "½": " 1/2", "¾": " 3/4", "⅓": " 1/3", "⅔": " 2/3",
        "⅛": " 1/8", "＝": "=", "＋": "+", "％": "%", "＄": "$",
    }
)  # fmt: skip
_SUBSCRIPTS = str.maketrans("₀₁₂₃₄₅₆₇₈₉₊₋", "0123456789+-")
_SUPERSCRIPTS = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻ⁿ", "0123456789+-n")
_RAISED = re.compile("[⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻ⁿ]+")
_LOWERED = re.compile("[₀₁₂₃₄₅₆₇₈₉₊₋]+")

_COMMANDS = {
    "times": "*", "cdot": "*", "ast": "*", "div": "/", "approx": "≈", "simeq": "≈", "sim": "≈",
    "implies": "⇒", "Rightarrow": "⇒", "Longrightarrow": "⇒", "therefore": "\n", "to": "→", "rightarrow": "→",
    "ne": "≠", "neq": "≠", "leq": "≤", "le": "≤", "geq": "≥", "ge": "≥", "lt": "<", "gt": ">",
    "left": "", "right": "", "big": "", "Big": "", "bigl": "", "bigr": "", "displaystyle": "",
    "quad": " ", "qquad": " ", "ldots": "…", "dots": "…", "cdots": "…", "par": "\n", "newline": "\n",
    "boxed": "", "fbox": "", "underline": "", "mathbf": "", "boldsymbol": "", "bm": "", "mathrm": " ",
    "text": " ", "textbf": " ", "textit": " ", "mbox": " ", "operatorname": " ", "mathit": " ", "hbox": " ",
    "begin": "\n", "end": "\n", "item": "\n", "hline": "\n",
}  # fmt: skip

_FRACTION = re.compile(r"\\[dtc]?frac\s*(?:\{([^{}]*)\}\s*\{([^{}]*)\}|(\d)\s*(\d)|(\d)\s*\{([^{}]*)\})")
_LATEX_ROOT = re.compile(r"\\sqrt\s*(?:\{([^{}]*)\}|(\d)(?!\d))")  # \sqrt8; of \sqrt12 nobody can say
_TEXT = re.compile(r"\\(?:text|textbf|textit|mbox|mathrm|operatorname|hbox)\s*\{([^{}]*)\}")
_WRAP = re.compile(r"\\(?:boxed|fbox|underline|mathbf|boldsymbol|bm|mathit)\s*\{([^{}]*)\}")
_COMMAND = re.compile(r"\\([A-Za-z]+)\*?")
_ENVIRONMENT = re.compile(r"\\(?:begin|end)\s*\{[^{}]*\}(?:\{[^{}]*\})?")
_MARKDOWN_POWER = re.compile(r"(?<=[\w)])\*\*(?=[\w(])|(?<=[\w)]) \*\* (?=[\w(])")
_ROOT = re.compile(r"√\s?(\d{1,12}(?:\.\d{1,9})?)")
_MIXED = re.compile(r"(?<![\d./])(\d{1,6}) and (\d{1,3}/\d{1,3})(?![\d./])")  # 1 and 1/3
_MAY_MIX = re.compile(r"\d and \d")
_CURRENCY_BEFORE_TEXT = re.compile(r"\\[$%#&_]")


@lru_cache(maxsize=256)
def plain(text: str) -> str:
    """Return `text` in the plain notation. Never raises; at most `MAX_CHARS` characters are read."""
    text = text[:MAX_CHARS]
    if not text.isascii():
        if "√" in text:
            text = _ROOT.sub(r"sqrt(\1)", text).replace("√(", "sqrt(")
        text = raised(text, "()").translate(_SIGNS).translate(_SUBSCRIPTS)
        text = unicodedata.normalize("NFKC", text)
    elif "\r" in text or "\x00" in text:
        text = text.translate(_SIGNS)
    if "\\" in text:
        text = _latex(text)
    if " and " in text and _MAY_MIX.search(text):
        text = _MIXED.sub(r"\1 \2", text)
    if "**" in text:
        text = _MARKDOWN_POWER.sub("^", text).replace("**", " ")
    return text


def signs(text: str) -> str:
    """`text` with typographic signs (minus, times, fractions, full-width digits) as ASCII ones."""
    return text if text.isascii() else unicodedata.normalize("NFKC", raised(text, "{}").translate(_SIGNS))


def raised(text: str, brackets: str = "{}") -> str:
    """`10⁻³` as `10^{-3}`, `x²` as `x^2`: compatibility forms would make 102 of 10²."""
    return _RAISED.sub(lambda m: _script("^", m.group().translate(_SUPERSCRIPTS), brackets), text)


def lowered(text: str) -> str:
    """`a₁` as `a_1`, `x₁₂` as `x_{12}`."""
    return _LOWERED.sub(lambda m: _script("_", m.group().translate(_SUBSCRIPTS), "{}"), text)


def _script(sign: str, digits: str, brackets: str) -> str:
    return f"{sign}{digits}" if len(digits) == 1 else f"{sign}{brackets[0]}{digits}{brackets[1]}"


def _latex(text: str) -> str:
    text = (
        text.replace("\\\\", "\n")
        .replace("{,}", ",")
        .replace("\\!", "")
        .replace("\\{", "{")
        .replace("\\}", "}")
    )
    text = re.sub(r"\\[,;: ]", " ", text)
    text = re.sub(r"\\[()\[\]]", "\n", text)
    text = _CURRENCY_BEFORE_TEXT.sub(lambda m: m.group()[1], text)
    text = _ENVIRONMENT.sub("\n", text)
    text = re.sub(r"_\{(\w+)\}", r"_\1", text)
    for _ in range(6):  # innermost first; deeper nesting stays unread and makes its equality undecided
        before = text
        text = _TEXT.sub(r" \1 ", text)
        text = _WRAP.sub(r" \1 ", text)
        text = _FRACTION.sub(_fraction, text)
        text = _LATEX_ROOT.sub(lambda m: f"sqrt({m[1] or m[2]})", text)
        text = re.sub(r"\^\s*\{([^{}]*)\}", r"^(\1)", text)
        if text == before:
            break
    text = _COMMAND.sub(lambda m: _COMMANDS.get(m.group(1), f" {m.group(1)} "), text)
    return text.replace("&", " ").replace("\\", " ")


def _fraction(match: re.Match[str]) -> str:
    a, b, c, d, e, f = match.groups()
    top, bottom = (a, b) if a is not None else (c, d) if c is not None else (e, f)
    return f"(({top})/({bottom}))"
