"""What no English sentence has, by the look of it: a phrase said twice in a row, verbs that do not go together, a
comparison of nothing, a question that asks for nothing.

Each form is rare in what people write, and common in what a small model writes that loses its place. Whether a text
may have one is soon found by its words; only then are its letters read.

>>> found = "They own 3 red and 3 red and 2 blue pens. He is buy 5. She sold 4 pounds of ham than beef."
>>> list(ungrammatical(found, bare_letters(found)))
['3 red and 3 red and', 'He is buy', 'She sold 4 pounds of ham than']
>>> whole = "Tom bakes more pies than Ann, and Ann eats 3 of them, so 3 are left. How many is that?"
>>> list(ungrammatical(whole, bare_letters(whole)))
[]
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import pairwise

from recast.curate.language.english import FUNCTION_WORDS
from recast.curate.language.prose import bare_letters
from recast.curate.language.sentences import sentences

MAX_PHRASE = 13
"""Words of a phrase that is said twice."""
MIN_AROUND = 4
"""Words of one that is said twice around another."""
_WORD = r"(?:[a-z]+|\d[\d,./%]*+[a-z]?)"
# never from within a number: a text of figures would be read again from each of them
_PHRASE_TWICE = re.compile(rf"(?<![\w.,])({_WORD}(?: {_WORD}){{1,{MAX_PHRASE - 1}}}) \1\b", re.IGNORECASE)
# with nothing but what it counts between: `for the pies 3 pounds of ham for the`
_AROUND = re.compile(rf"(?<![\w.,])({_WORD}(?: {_WORD}){{4,{MAX_PHRASE - 1}}}) ([a-z]+(?: [a-z]+)?) \1\b")
_COUNT_TWICE = re.compile(r"(?<![\w.,])(\d[\d,.]*+ [a-z]+) \1\b")
# with a comma within; or, where it has a verb or begins like a clause, with one between
_CLAUSE_TWICE = re.compile(
    rf"(?<![\w.,$])([a-z]+(?: [a-z]+){{0,5}}, [a-z]+(?: [a-z]+){{0,5}}) \1\b"
    rf"|\b((?:then|so|which|for|with|because|that) {_WORD}(?: {_WORD}){{1,{MAX_PHRASE - 1}}}), \2\b"
    rf"|(?<![\w.,$])(?=[^,.\n]{{0,60}} (?:is|are|was|were|has|have|had|will|would|can) )"
    rf"({_WORD}(?: {_WORD}){{3,{MAX_PHRASE - 1}}}), \3\b",
    re.IGNORECASE,
)
_AND_ITSELF = re.compile(r"\b([A-Za-z]{4,}) (?:and|or) \1\b(?![-'])")
_MAY_STAND_TWICE = frozenset("over again more less fewer years miles hours days round".split())
# what stands before a comma at the beginning of a sentence, and at its end again
_BOTH_ENDS = re.compile(
    r"[A-Z](?:(?<=\A.)|(?<=[.!?] .)|(?<=\n.))([a-z]* [a-z]+ [a-z]+(?: [a-z]+){0,3}), "
    r"[^.!?\n]{5,120}? [a-z]\1(?=[.!?\n]|\Z)"
)

_SUBJECT = r"\b(?:[Hh]e|[Ss]he|[Ii]t|[Tt]hey|[Ww]e|[Yy]ou|I)"
_BE = frozenset("is are was were am".split())
_BASES = frozenset(
    "buy sell eat give take make get have spend earn pay keep bring become want send receive lose say tell know go "
    "contain include remain require add subtract multiply divide find save collect share".split()
)
_MODALS = frozenset("will would could should must".split())
_HELPERS = _MODALS | frozenset(
    "did does didn't doesn't don't won't wouldn't couldn't shouldn't can't cannot".split()
)
_PASTS = frozenset(
    "bought sold gave took went ate drove rode wrote grew threw knew thought told kept sent caught taught drank broke "
    "chose wore paid made spent lost brought began had was were gotten given taken eaten".split()
)
_NO_PAIRS = (
    {(one, two) for one in _HELPERS for two in _PASTS}
    | {(one, two) for one in _MODALS - {"will"} for two in _MODALS | {"can"}}
    | {(one, two) for one in _BE for two in _BASES}
    | {(one, "be") for one in ("that", "which", "who")}
)
"""Words that may be verbs which do not go together; the letters of the text tell."""


def _any(words: frozenset[str]) -> str:
    return f"(?:{'|'.join(sorted(words))})"


_VERBS = re.compile(
    rf"{_SUBJECT} {_any(_BE)} {_any(_BASES)}\b"
    rf"|\b(?<!\bthe )(?<!\bhis )(?<!\bher )(?<!\ba ){_any(_HELPERS)} {_any(_PASTS)}\b"
    rf"|\b{_any(_MODALS - {'will'})} {_any(_MODALS | {'can'})}\b"
    r"|\b(?!let|if|so|should|could|can|would|must|may|might|will|shall|to|and|all|now)[a-z]{2,} (?:that|which|who) be\b"
)
_MODAL_ING = re.compile(
    rf"{_SUBJECT} {_any(_MODALS)} (?!bring|sing|ring|swing|cling|fling|sting|spring|string|wring)[a-z]{{2,}}ing\b"
)
_COMPARES = frozenset(
    "more mores less fewer rather other else different differently worse elder as times twice thrice half double "
    "triple no if".split()
)
_NO_COMPARATIVES = frozenset(
    "number per over under after water paper together never ever whether either neither however another summer winter "
    "dinner order remainder her answer customer quarter member brother sister mother father letter silver computer "
    "teacher player butter flower corner center".split()
)
_ASKS = frozenset(
    "how what which who whom whose when where why what's who's how's calculate find determine if whether right "
    "correct".split()
)
_INVERTED = frozenset(
    "is are was were do does did has have had can could will would shall should may might must isn't aren't don't "
    "doesn't didn't won't can't so and but ok okay ready".split()
)
_TAGS = frozenset("i you he she it we they there that".split())
MIN_QUESTION = 3
"""Words of a question that is no `Right?`."""


def ungrammatical(text: str, words: Sequence[str], source: str = "") -> Iterator[str]:
    """Phrases of `text`, whose words are `words` (`curate.language.prose.bare_letters`), that no sentence has; those
    of `source` are left out."""
    return (said for said in _found(text, words, source) if said not in source)


def _found(text: str, words: Sequence[str], source: str) -> Iterator[str]:
    pairs = set(pairwise(words))
    if _comes_again(words):
        yield from _all(_PHRASE_TWICE, text)
        yield from _all(_CLAUSE_TWICE, text)
        yield from (
            found.group() for found in _AROUND.finditer(text) if FUNCTION_WORDS.isdisjoint(found[2].split())
        )
    if any(one == two for one, two in pairs):
        yield from _all(_COUNT_TWICE, text)
    if any(
        b in ("and", "or") and a == c and a not in _MAY_STAND_TWICE and a[-2:] != "er"
        for a, b, c in zip(words, words[1:], words[2:], strict=False)
    ):
        yield from _all(_AND_ITSELF, text)
    if not pairs.isdisjoint(_NO_PAIRS):
        yield from _all(_VERBS, text)
    if any(one in _MODALS and two[-3:] == "ing" for one, two in pairs):
        yield from _all(_MODAL_ING, text)
    for said in _BOTH_ENDS.finditer(text):
        if all(theirs[1] != said[1] for theirs in _BOTH_ENDS.finditer(source)):
            yield said.group()
    if " than " in text:
        yield from filter(_compares_nothing, map(_up_to_than, sentences(text)))
    if "?" in text:
        yield from filter(_asks_nothing, sentences(text))


def _all(form: re.Pattern[str], text: str) -> Iterator[str]:
    return (found.group().strip() for found in form.finditer(text))


def _comes_again(words: Sequence[str]) -> bool:
    """Whether two words or more come twice in a row, whatever figures and signs stand between, or `MIN_AROUND` with at
    most two words between."""
    last: dict[tuple[str, str], int] = {}
    for at, pair in enumerate(pairwise(words)):
        begun = last.get(pair, -1)
        size = at - begun
        if (
            begun >= 0
            and size <= MAX_PHRASE + 2
            and (
                words[begun:at] == words[at : at + size]
                or (size > MIN_AROUND and words[begun : at - 1] == words[at : at + size - 1])
                or (size > MIN_AROUND + 1 and words[begun : at - 2] == words[at : at + size - 2])
            )
        ):
            return True
        last[pair] = at
    return False


def _up_to_than(sentence: str) -> str:
    """The beginning of a sentence up to its last `than`; empty where it has none."""
    at = sentence.rfind(" than ")
    return sentence[: at + len(" than")] if at > 0 else ""


def _compares_nothing(said: str) -> bool:
    words = bare_letters(said)
    return (
        bool(words)
        and _COMPARES.isdisjoint(words)
        and all(w[-2:] != "er" or w in _NO_COMPARATIVES for w in words)
    )


def _asks_nothing(sentence: str) -> bool:
    words = bare_letters(sentence) if sentence[-1] == "?" else []
    if len(words) < MIN_QUESTION or not _ASKS.isdisjoint(words) or words[0] in _INVERTED:
        return False
    return not (words[-1] in _TAGS and words[-2] in _INVERTED)  # `..., isn't it?`
