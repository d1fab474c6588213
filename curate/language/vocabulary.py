"""Does a language have this word? Word lists of seven languages, and what is built from their words by rule.

The lists are those of `pyspellchecker`, which are counted in subtitles; English has in addition the inflected forms of
`simplemma`, whose lists hold names with their capital only, so that `natalie` is no word. Short words must stand in
both: a list long enough for every term holds `ther`, `fet` and `weer` too, and those are what misspellings look like.
A list is read when its language is first met (half a second) and the last four are kept (English: 45 MiB).

>>> english = vocabulary("English")
>>> [word for word in ("jellybeans", "they'll", "undervalued", "freind", "zorblax") if word not in english]
['freind', 'zorblax']
>>> english.misspelt("freind"), english.misspelt("zorblax")
(True, False)
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator
from functools import cached_property, lru_cache

from recast.curate.language.english import FUNCTION_WORDS

CODES = {
    "English": "en",
    "German": "de",
    "Spanish": "es",
    "French": "fr",
    "Italian": "it",
    "Portuguese": "pt",
    "Dutch": "nl",
}
"""The languages that have a list, by the names that `curate.language.identify` gives them. The library has others,
which are too short, or whose words carry others (Russian, Persian, Arabic)."""
_RICH = 100_000  # words from which a list tells a mistake from a gap: all but that of Spanish
COMMON = 1500  # times that subtitles have a common word
_SHORT = 5  # letters up to which an English word must stand in both lists
_CONTRACTED = re.compile(r"(?:'(?:s|ll|d|ve|re|m|t|em|clock)|s'|n't)\Z")
_NOT = frozenset(
    "don doesn didn isn aren wasn weren hasn haven hadn won wouldn couldn shouldn can mustn ain shan".split()
)
_ELIDED = re.compile(
    r"\A(?:l|d|qu|n|s|j|m|t|c|un|jusqu|lorsqu|puisqu|dell|all|nell|sull|dall|quell|quest|com|dov)'(?=.)"
)
_PREFIXES = tuple(
    "un re non pre post over under inter intra anti hyper hypo multi semi super sub trans extra mis de "
    "dis bio micro macro neuro cardio electro photo thermo hydro immuno radio psycho socio geo astro "
    "cyber auto co counter ex fore in im infra iso mega mid mini mono nano omni out para peri poly pro "
    "proto pseudo quasi retro self step tele tri ultra uni up".split()
)
_COMPOUNDING = frozenset({"German", "Dutch"})
_LINKS = ("", "s", "n", "en", "es", "er", "e")
_ABBREVIATED = frozenset(
    "etc vs approx eq eqn ie eg lhs rhs gcd lcm hcf lcd avg max min sqrt log lim sin cos tan cot sec csc "
    "exp mod det dim qty tbsp tsp tbs ppl pts pcs rpm wpm mph kph mpg kmh hrs hr mins min secs lbs lb oz "
    "ft sq cu km cm mm kg mg ml gal qt pt doz dz usd eur gbp am pm ok okay abc xyz abcd bcd iff wlog qed "
    "nth ith jth kth 1st st nd rd th mon tue wed thu fri sat sun jan feb mar apr jun jul aug sep sept oct "
    "nov dec no nos fig figs vol gonna app apps kwh vice versa per annum vitro vivo situ utero fide facto "
    "quo hoc von mol esq bono res faire laissez  dept hw yr yrs wk wks sec".split()
)
_TAILS = ("er", "ers", "est", "ness", "ly", "able", "less", "ish", "ings", "like", "wise")
_GRAM = 4
_TERM = 8  # letters from which an unlisted word that looks like the list's may be a term
_ALPHABET = "abcdefghijklmnopqrstuvwxyz"


class Vocabulary:
    """The words of one language: `word in vocabulary` for a word in lower case."""

    def __init__(
        self,
        language: str,
        listed: Iterable[str],
        common: Iterable[str] = (),
        spoken: Iterable[str] = (),
        names: Iterable[str] = (),
    ) -> None:
        self.language = language
        self.listed = _kept(listed)
        self.common = _kept(common)
        """The words that everybody uses; what is one slip away from them and rare is more likely that slip."""
        self.spoken = _kept(spoken)
        """Words of subtitles that the list lacks: words where a text has them small, names where not."""
        self.names = _kept(names)
        """Proper names in lower case, where the list tells them apart: places, months, nations."""
        self.whole = language == "English"
        """Whether the list is so complete that a word outside it and the row is a mistake, not a gap of the list."""
        self.rich = len(self.listed) >= _RICH

    def __contains__(self, word: str) -> bool:
        return word in self.listed or word in _ABBREVIATED or self._built(word)

    def _built(self, word: str) -> bool:
        """Whether a rule of the language makes `word` of listed ones."""
        word = word.replace("’", "'")
        if "'" in word:
            if _ELIDED.match(word) and self.language != "English":
                return _ELIDED.sub("", word) in self
            bare = _CONTRACTED.sub("", word)
            return bare != word and (bare in _NOT or bare in self or f"{bare}s" in self.listed)
        if not self.whole:
            return self.language in _COMPOUNDING and self._compound(word, _LINKS)
        return (self._derived(word) and not self.misspelt(word, self.common)) or self._term(word)

    def _derived(self, word: str) -> bool:
        """An English word with a prefix or an ending, or of two words."""
        return (
            any(word.startswith(head) and self._base(word[len(head) :]) for head in _PREFIXES)
            or any(word.endswith(tail) and self._base(word[: -len(tail)]) for tail in _TAILS)
            or self._compound(word, ("",))
        )

    def _base(self, word: str) -> bool:
        return len(word) >= 4 and word in self.listed

    def _compound(self, word: str, links: tuple[str, ...]) -> bool:
        """Two listed words in one, neither of them short nor a function word, in English the first in the singular:
        `jellybean`, not `ofthe` or `jarscover`."""
        for cut in range(4, len(word) - 3):
            tail = word[cut:]
            if tail not in self.listed or tail in FUNCTION_WORDS:
                continue
            for link in links:
                head = word[: cut - len(link)] if word[:cut].endswith(link) else ""
                if (
                    len(head) >= 4 and head in self.listed and head not in FUNCTION_WORDS
                    and not (self.whole and head[-1] == "s" and head[:-1] in self.listed)
                ):  # fmt: skip
                    return True
        return False

    def coined(self, word: str) -> bool:
        """Whether nothing speaks for an English word of the list but that it looks like its words: `tellaspoons`.

        >>> english = vocabulary("English")
        >>> [english.coined(word) for word in ("jellybean", "countertop", "tellaspoons")]
        [False, False, True]
        """
        if (
            not self.whole
            or "'" in word
            or word in self.listed
            or word in _ABBREVIATED
            or self._derived(word)
        ):
            return False
        head, tail = word[:-3], word[-3:]
        return not (
            len(head) > 3 and head in self.common and tail in self.common and tail not in FUNCTION_WORDS
        )

    def _term(self, word: str) -> bool:
        """A long word whose every four letters occur in listed ones, and that is no slip of the pen in one of them."""
        if len(word) < _TERM or not word.isalpha():
            return False
        known = self._grams
        return all(gram in known for gram in _fours(word)) and not self.misspelt(word)

    @cached_property
    def _grams(self) -> Collection[str]:
        return _kept(gram for word in self.listed if len(word) > _SHORT for gram in _fours(word))

    def misspelt(self, word: str, among: Collection[str] | None = None) -> bool:
        """Whether one letter put in, left out, changed, or swapped with its neighbour makes a word of the list.

        `among`: the words to compare with, in place of the list.
        """
        listed = self.listed if among is None else among
        return any(other in listed and other != word for other in _one_edit(word))


def _kept(words: Iterable[str]) -> Collection[str]:
    """Words to look up. No set: each full run of the garbage collector would walk it, a fifth of the gate's time; a
    dictionary of nothing but strings it leaves alone."""
    return dict.fromkeys(words)


def _fours(word: str) -> Iterator[str]:
    return (word[i : i + _GRAM] for i in range(len(word) - _GRAM + 1))


def one_edit_apart(one: str, two: str) -> bool:
    """Whether one letter put in, left out, changed, or swapped with its neighbour makes `two` of `one`.

    >>> one_edit_apart("freind", "friend"), one_edit_apart("clip", "chips")
    (True, False)
    """
    if one == two or abs(len(one) - len(two)) > 1:
        return False
    at = 0
    while at < min(len(one), len(two)) and one[at] == two[at]:
        at += 1
    if len(one) != len(two):
        short, long = sorted((one, two), key=len)
        return short[at:] == long[at + 1 :]
    return one[at + 1 :] == two[at + 1 :] or (
        one[at : at + 2] == two[at : at + 2][::-1] and one[at + 2 :] == two[at + 2 :]
    )


def _one_edit(word: str) -> Iterator[str]:
    for i in range(len(word) + 1):
        head, tail = word[:i], word[i:]
        if tail:
            yield head + tail[1:]
            for letter in _ALPHABET:
                yield head + letter + tail[1:]
        if len(tail) > 1:
            yield head + tail[1] + tail[0] + tail[2:]
        for letter in _ALPHABET:
            yield head + letter + tail


def _slip_of(word: str, lemma: str) -> bool:
    """Whether an entry such as `becuse` for `because` records a misspelling, not a form."""
    return word[:-2] != lemma[: len(word) - 2] and one_edit_apart(word, lemma)


@lru_cache(maxsize=4)
def vocabulary(language: str | None) -> Vocabulary | None:
    """The words of a language, None where it has no list; reads the list, and keeps the last four."""
    if language not in CODES:
        return None
    from spellchecker import SpellChecker

    counted = SpellChecker(language=CODES[language]).word_frequency.dictionary
    common = {word for word, count in counted.items() if count >= COMMON}
    if language != "English":
        return Vocabulary(language, counted, common)
    from simplemma.strategies import DefaultDictionaryFactory

    listed, names = set[str](FUNCTION_WORDS), set[str]()
    for word, lemma in DefaultDictionaryFactory().get_dictionary("en").items():
        if not word.islower():
            names.add(word.lower())
        elif word in counted or (len(word) > _SHORT and not _slip_of(word, lemma)):
            listed.add(word)
            if lemma in common:
                common.add(word)  # `bakes` is as common as `bake`
    return Vocabulary(language, listed, common, counted.keys() - listed, names)
