"""What of a text is prose: everything but code, formulas in LaTeX, links and calculator annotations.

>>> prose("So $\\\\frac{48}{2} = 24$ clips.<<48/2=24>>")
'So   clips. '
>>> holds_code("total = price * 3\\nreturn total"), holds_code("Total = 5 + 3 = 8")
(True, False)
"""

from __future__ import annotations

import re
from functools import lru_cache

from recast.curate.language.english import FUNCTION_WORDS

_ANNOTATION = re.compile(r"<<[^<>\n]{0,300}>>")
_FENCED = re.compile(r"```.*?(?:```|\Z)|`[^`\n]{1,200}`", re.DOTALL)
_LINK = re.compile(r"https?://\S+|\bwww\.\S+|\S+@\S+\.\w+")
_TEXT = re.compile(r"\\(?:text|textbf|textit|textrm|mathrm|mbox)\s?\{([^{}]{0,200})\}")
_FORMULA = re.compile(
    r"\$[^$\n]{0,300}?\\[a-zA-Z][^$\n]{0,300}\$|\\\[.{0,1000}?\\\]|\\\(.{0,1000}?\\\)", re.DOTALL
)
_COMMAND = re.compile(r"\\(?:begin|end)\{\w+\*?\}|\\[a-zA-Z]+")
_CODE_LINE = re.compile(
    r"^[ \t]*(?:[^\n]*[;{}][ \t]*$"
    r"|(?:def|class|for|if|while|elif|with|function|func|fn|public|private|static)\b[^\n]*[:{(][ \t]*$"
    r"|(?:else|try|finally):[ \t]*$"
    r"|(?:import|from|package|using|return|const|let|var|print|echo|export|raise|throw|yield|assert|except|case|end)\b[^\n]*$"
    r"|(?:#|//|/\*|\*|--|<|@|\"\"\"|''')[^\n]*$"
    r"|[A-Za-z_][\w.\[\]'\"]*[ \t]*(?:[+\-*/%|&]|:|<)?=[ \t]*[^\n]*$"
    r"|[A-Za-z_][\w.]*\([^\n]*\)?[ \t]*[,;)]*$|(?:SELECT|FROM|WHERE|JOIN|CREATE|INSERT|UPDATE|ORDER|GROUP)\b[^\n]*$"
    r"|[)\]}'\",]+[^\n]*$|[^\n]*[{}()\[\]<>|=&$_\\;][^\n]*[{}()\[\]<>|=&$_\\;][^\n]*$|[^\n]*\s--?[a-z][^\n]*$)",
    re.MULTILINE,
)
# what prose about sums does not hold, so that a line such as `Total = 5 + 3` alone is no program
_PROGRAM = re.compile(
    r"```|^[ \t]*(?:def|class|import|from|return|function|func|fn|public|private|static|const|let|var|using|package)\b"
    r"[^\n.]{0,120}[\w)\]:;{}'\"][ \t]*$|#include|</\w+>|;[ \t]*$|\{[ \t]*$|^[ \t]*(?:#!/|<[!?\w])"
    r"|\w\(\w*[^()\n]{0,80}\)[;:]"
    r"|^[ \t]*(?:SELECT|INSERT|CREATE|UPDATE)\b|^[ \t]*\w+_\w+[ \t]*=|\w\.\w+\(|\becho\b|\bprint\("
    r"|^[ \t]*(?:sudo[ ]+)?(?:ls|cd|grep|find|awk|sed|cat|tar|chmod|mkdir|ssh|git|curl|wget|npm|pip|docker|sort|ps)[ ]"
    r"|\s--?[a-z]\w*[ ]\S|\w\[\w+\]|=>|->|\blambda\b|::|:=",
    re.MULTILINE,
)
# one of which stands in every program that `_PROGRAM` finds, and in few sums told in words
_SIGN = re.compile(r"[`{;_\[|]")
_PIECES = ("#include", "#!", "::", "=>", "->", ":=", "</", "<!", "()", "):", " --")
_KEYWORDS = frozenset(
    "echo select insert create update import return def const var package sudo ls grep awk sed chmod mkdir ssh "
    "git curl wget npm pip docker ps lambda".split()
)
_WORDLY = re.compile(r"\w")
_TYPESET = (("’", "'"), ("“", " "), ("”", " "), ("–", " "), ("—", " "), ("×", " "), ("−", " "))
_LETTERS = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)*")
_SPACED = re.compile(rf"(?<![\w\\'’]){_LETTERS.pattern}(?![\w])")
# every byte that is no letter and no apostrophe becomes a space, every capital small
_SMALL = bytes(
    byte | 32 if 65 <= byte <= 90 else byte if 97 <= byte <= 122 or byte == 39 else 32 for byte in range(256)
)


def bare_letters(text: str) -> list[str]:
    """The words of letters of `text` in lower case and in order, with apostrophes inside them.

    >>> bare_letters("Ann's 3kg x_1 'twas")
    ["ann's", 'kg', 'x', 'twas']
    """
    if not text.isascii():
        for sign, plain in _TYPESET:
            text = text.replace(sign, plain)
    if text.isascii():  # ten times as fast as the expression
        small = text.encode("ascii").translate(_SMALL).decode("ascii")
        words = small.split()
        if "' " not in small and " '" not in small and small[:1] != "'" != small[-1:]:
            return words
        return [word.strip("'") for word in words if word.strip("'")]
    return _LETTERS.findall(text.lower())


@lru_cache(maxsize=2048)
def vocabulary(text: str) -> frozenset[str]:
    """The different words of `text`, as `bare_letters` reads them."""
    return frozenset(bare_letters(text))


def stands(word: str, text: str) -> bool:
    """Whether `word` stands in `text` with no letter, figure or underscore beside it.

    >>> stands("ann", "ann's"), stands("ann", "annual")
    (True, False)
    """
    at = text.find(word)
    while at >= 0:
        end = at + len(word)
        if not (at and _WORDLY.match(text, at - 1)) and not _WORDLY.match(text, end):
            return True
        at = text.find(word, at + 1)
    return False


def spaced_words(text: str) -> list[str]:
    """The words of `text` as they stand and in order, without those that are part of a number or an identifier.

    >>> spaced_words("Ann's 3kg of x_1")
    ["Ann's", 'of']
    """
    return _SPACED.findall(text)


@lru_cache(maxsize=1024)
def holds_code(text: str) -> bool:
    """Whether a text is a program, or holds one."""
    hinted = (
        _SIGN.search(text) is not None
        or any(map(text.__contains__, _PIECES))
        or not _KEYWORDS.isdisjoint(vocabulary(text))
    )
    return hinted and _PROGRAM.search(text) is not None


def prose(text: str, code: bool = False) -> str:
    """`text` with a space in place of all that is no prose; with `code`, lines of a program are left out, too."""
    if "<<" in text:
        text = _ANNOTATION.sub(" ", text)
    if "`" in text:
        text = _FENCED.sub(" ", text)
    if "\\" in text:
        text = _COMMAND.sub(" ", _FORMULA.sub(" ", _TEXT.sub(r" \1 ", text)))
    if "http" in text or "@" in text or "www." in text:
        text = _LINK.sub(" ", text)
    return _CODE_LINE.sub(_unless_told, text) if code else text


def _unless_told(line: re.Match[str]) -> str:
    """A space for a line of a program; a sentence that has signs of one stays."""
    told = sum(word in FUNCTION_WORDS for word in bare_letters(line.group()))
    return line.group() if told >= 4 and line.group().rstrip()[-1:] in (".", "?", "!") else " "
