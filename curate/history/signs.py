"""Texts that look the same and are not: composed otherwise, letters of another script, blanks of another kind."""

from __future__ import annotations

import unicodedata
from difflib import SequenceMatcher

# Letters of Cyrillic and Greek that fonts draw as a Latin one, and signs that stand for a plain one (after the table of
# confusables of Unicode Technical Standard 39, what of it occurs in ordinary text).
_LIKE = str.maketrans(
    "АВЕЗКМНОРСТУХЅІЈԚԜаеорсухѕіјһԛԝԁӏΑΒΕΖΗΙΚΜΝΟΡΤΥΧοανικρυ‘’‚′“”″‐‑‒–—−⁄∕∶․×·∙⋅",
    "ABE3KMHOPCTYXSIJQWaeopcyxsijhqwdlABEZHIKMNOPTYXoavikpu''''\"\"\"------//:.x...",
)
_UNSEEN = dict.fromkeys(map(ord, "\u00ad\u200b\u200c\u200d\u2060\ufeff\ufe0e\ufe0f"))
_SAME_SHAPE = ("<wide>", "<narrow>", "<font>", "<noBreak>", "<compat>")
_MOST = 4  # signs that are named


def skeleton(text: str) -> str:
    """What two texts that look the same have in common."""
    if text.isascii():
        return text
    text = "".join(map(_usual, unicodedata.normalize("NFC", text)))
    return unicodedata.normalize("NFC", text.translate(_LIKE).translate(_UNSEEN))


def _usual(sign: str) -> str:
    """A sign of another width, font or blank as the usual one; x² is not x2 to a reader, so it stays."""
    tag = unicodedata.decomposition(sign).partition(" ")[0]
    return unicodedata.normalize("NFKC", sign) if tag in _SAME_SHAPE else sign


def alike(a: str, b: str) -> bool:
    """Whether two different texts look the same."""
    return a != b and skeleton(a) == skeleton(b)


def told(a: str, b: str) -> str:
    """In what two texts that look the same differ, as `é (U+00E9) is now e (U+0065) + U+0301`."""
    found = []
    left, right = (_clusters(text) for text in (a, b))
    for kind, i, k, j, m in SequenceMatcher(None, left, right, autojunk=False).get_opcodes():
        if kind != "equal":
            was, now = "".join(left[i:k]), "".join(right[j:m])
            found.append(f"{_named(was)} is now {_named(now)}")
    more = f" and {len(found) - _MOST} more" if len(found) > _MOST else ""
    what = "composed otherwise (NFC, NFD)" if _same_composed(a, b) else "signs that look alike"
    return f"{what}: {', '.join(dict.fromkeys(found[:_MOST]))}{more}"


def _same_composed(a: str, b: str) -> bool:
    return unicodedata.normalize("NFC", a) == unicodedata.normalize("NFC", b)


def _clusters(text: str) -> list[str]:
    """Signs with the marks that combine with them."""
    found: list[str] = []
    for sign in text:
        if found and unicodedata.combining(sign):
            found[-1] += sign
        else:
            found.append(sign)
    return found


def _named(text: str) -> str:
    if not text:
        return "nothing"
    return " + ".join(
        f"U+{ord(s):04X}"
        if unicodedata.combining(s) or not s.isprintable() or s.isspace()
        else f"{s} (U+{ord(s):04X})"
        for s in text[:8]
    )
