"""What a text supposes before it works it out: `if 3 are left, then 7 - 4 = 3 are left`.

A number of an `if` that the text has not told before and that a sum behind it makes. Whether it was given is for the
caller to say: a question gives numbers, too. English only.

>>> suppositions("If 3 cats are left, he has 7 - 4 = 3 cats. If 3 cats eat 6 fish, each eats 2.")
((3, 'If 3 cats are left, he has 7 - 4 = 3 cats.'),)
"""

from __future__ import annotations

from functools import lru_cache

from recast.curate.language.prose import vocabulary
from recast.curate.language.tokens import EQUAL, OPERATORS, number, read
from recast.curate.maths.numbers import Value

_ENDS = frozenset((",", "then", ";", ".", ":"))
_SIGNS = OPERATORS | {"-"}


@lru_cache(maxsize=2048)
def suppositions(text: str) -> tuple[tuple[Value, str], ...]:
    """The numbers that `text` supposes and makes only behind that, with the sentences that suppose them, in order."""
    if "if" not in vocabulary(text):
        return ()
    found: list[tuple[Value, str]] = []
    told = set[Value]()
    sentences = read(text)
    last = {value: i for i, sentence in enumerate(sentences) for value in _made(sentence.tokens)}
    for i, sentence in enumerate(sentences):
        low = [token.lower() for token in sentence.tokens]
        for begin in (at for at, word in enumerate(low) if word == "if"):
            end = next((at for at in range(begin, len(low)) if low[at] in _ENDS), len(low))
            if not _SIGNS.isdisjoint(low[begin:end]):
                continue
            behind = _made(sentence.tokens[end:])
            found += [
                (value, sentence.text) for at, value in sentence.numbers.items()
                if begin < at < end and value not in told and (value in behind or last.get(value, i) > i)
            ]  # fmt: skip
        told |= set(sentence.numbers.values())
    return tuple(found)


def _made(tokens: tuple[str, ...]) -> frozenset[Value]:
    """The numbers right behind an equals sign."""
    return frozenset(
        value for at, token in enumerate(tokens)
        if at and tokens[at - 1 - (tokens[at - 1] in "$€£")] in EQUAL and (value := number(token)) is not None
    )  # fmt: skip
