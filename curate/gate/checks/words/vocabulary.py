"""Are these the words of the row's language, put together as that language does?

Catches: misspelt and made-up words, those that only look like the language's, gibberish, another language in whole or
in one sentence, words run into numbers, a new name that begins a sentence and is no word (`names` sees those that are,
by what they do), and in English what `curate.gate.checks.words.grammar` calls broken. A word is known that the
question, the demonstration or the language's list has, or that a rule makes of such words. Cannot catch: a misspelling
that is another word (`form` for `from`), a wrong word of the right language; nor anything but its script (`characters`,
`format`) in a language without a list, where the check passes and says so.
"""

from __future__ import annotations

import re
import unicodedata
from math import ceil
from typing import ClassVar, Literal

from recast.curate.gate.checks.case import Case, CheckConfig, shown
from recast.curate.gate.checks.words.grammar import broken
from recast.curate.gate.checks.words.source import SHORT, Source, source
from recast.curate.language.english import FUNCTION_WORDS
from recast.curate.language.identify import FUNCTION_WORDS as OF_LANGUAGES
from recast.curate.language.prose import bare_letters, prose, spaced_words
from recast.curate.language.sentences import sentences
from recast.curate.language.vocabulary import Vocabulary, one_edit_apart, vocabulary
from recast.curate.maths.units import MULTIPLIERS, dimensions
from recast.curate.records import Check

_BEGINS = re.compile(r"(?:\A|[.!?:;…。！？\n)\]•*>#|=\"“-]|\d[.)])[\s\"'(\[“‘*#>-]*\Z")
_GLUED = re.compile(r"(?<![\w\\{$#/.(-])([a-z]{2,})(\d+)(?![\w.]*[\w(])")
# what marks an answer in rows of any language
_MARK = re.compile(r"\b(?:the )?(?:final )?answer(?: is)?\b", re.IGNORECASE)
# a figure in place of a letter
_CODED = re.compile(r"(?<![\w.])(?=\w*[a-z]\w*[a-z])(?=\w*\d)(?:[a-z]+\d|\d[a-z])[a-z\d]+(?![\w.]*\w)")
_FIGURES = str.maketrans("0134578", "oleastb")
# letters behind a number, as `5ounces` has them
_RUN_IN = re.compile(r"(?<![\w./\\-])\d[\d,]*([a-z]{2,})(?![\w-])")
_NEVER_UNITS = frozenset(
    "of to is and the are has have for was were with which that he she it they we".split()
)
_DIGIT_AFTER = re.compile(r"[a-z]\d|\d[a-z]")
# function words of two letters that no English text has, but as a name or in a quotation
_SMALL_OF_OTHERS = (
    frozenset("le et du il je ne qui el la un es se y ou der von zu und het een och de".split())
    - OF_LANGUAGES["English"]
)
_FOREIGN_WITHIN = re.compile(
    r"\b[a-z]+ (?:le|et(?! al\b)|du|der|von|zu|und|het|een|och|de|el|qui|(?<!per )se) [A-Za-z\d$]"
)
_TEXT_PER_TERM = 250  # characters for each of which an open answer may have one more unknown word


class VocabularyCheck(CheckConfig):
    """Every word is the row's or its language's, and every sentence is in that language."""

    type: Literal["vocabulary"] = "vocabulary"
    open: bool = False
    """Whether an answer may bring names and now and then a term that neither the row nor the list has, as texts about
    the world do, and sums do not."""
    grammar: bool = True
    """Whether English is refused whose function words were dropped, doubled, or whose words were shuffled."""

    name: ClassVar[str] = "vocabulary"
    revision: ClassVar[int] = 15
    packages: ClassVar[tuple[str, ...]] = ("pyspellchecker", "simplemma")

    def run(self, case: Case) -> Check:
        row = source(case.prompt, case.demonstration)
        if row.language is None:
            return self.passed(message="No language was recognised in the row: its words are not judged.")
        known = vocabulary(row.language)
        text = prose(case.completion, row.code).rstrip()
        if row.language != "English":
            text = _MARK.sub(" ", text)
        if known is None:
            return self._foreign(text, row) or self.passed(
                message=f"There is no list of {row.language} words: only the language of sentences is judged."
            )
        told = bare_letters(text)
        strange = _SMALL_OF_OTHERS.intersection(told) - row.words if row.language == "English" else ()
        if len(strange) > 1 or (strange and _FOREIGN_WITHIN.search(text)):
            return self.failed("language_changed", f"{', '.join(sorted(strange))}: no words of English.")
        new = {low for low in set(told) - row.words if len(low) > SHORT}
        lacking = {low for low in new if low not in known.listed}
        if lacking and (found := self._judged(lacking, text, known, row)):
            return found
        if known.language != "English":
            return self._foreign(text, row) or self.passed()
        for low in new - lacking:
            if low not in known.common and (meant := _slip(low, row.words)):
                return self.failed("unknown_word", f"{low!r} is a rare word, and the row has {meant!r}.")
        if _DIGIT_AFTER.search(text):
            for coded in _CODED.findall(text):
                if coded.lstrip("0123456789") in known:
                    continue  # `5ounces`
                if (meant := coded.translate(_FIGURES)) in known.common or meant in row.words:
                    return self.failed("unknown_word", f"{coded!r} is {meant!r} with figures for letters.")
            for run_in in _RUN_IN.finditer(text):
                word = run_in[1]
                strange = (
                    word not in known and _no_unit(word, row) if len(word) > SHORT else word in _NEVER_UNITS
                )
                if (strange or word in _NEVER_UNITS) and run_in[0] not in row.text:
                    return self.failed("unknown_word", f"{run_in[0]!r} is a number and a word in one.")
            for glued in _GLUED.finditer(text):
                odd = glued[1] in FUNCTION_WORDS or (
                    len(glued[1]) > SHORT and glued[1] not in known and glued[1] not in row.words
                )
                if odd and glued[0] not in row.text:
                    return self.failed("unknown_word", f"{glued[0]!r} is a word and a number in one.")
        if self.grammar and not row.code and (wrong := broken(text, told, row)):
            if wrong.dropped:
                return self.failed("words_dropped", wrong.message, wrong.share)
            return self.failed("noise", wrong.message, wrong.share)
        return self.passed()

    def _judged(self, lacking: set[str], text: str, known: Vocabulary, row: Source) -> Check | None:
        """What unknown words mean: another language, mistakes, or no more than the row's own gaps in the list."""
        strange = [
            word for word in dict.fromkeys(spaced_words(text))
            if word.lower() in lacking and not _known(word, text, known, row, self.open)
        ]  # fmt: skip
        if not strange:
            return None
        for sentence in sentences(text):
            told = [word for word in spaced_words(sentence) if word.lower() not in row.words]
            alien = sum(word in strange for word in told)
            if (len(told) >= 3 and alien >= max(2, 0.5 * len(told))) or _speaks(sentence, known.language):
                return self.failed("language_changed", f"{shown(sentence)!r} is not {known.language}.")
        allowed = ceil(row.gaps * len(set(spaced_words(text))))
        if self.open or not known.whole:
            allowed = max(allowed, 1 + len(text) // _TEXT_PER_TERM)
        mistakes: list[str] = []
        if allowed and known.rich:
            # a term of an open answer is often a letter away from another term, as is a form from another form
            listed = known.listed if known.whole and not self.open else known.common
            mistakes = [
                w for w in strange if known.misspelt(w.lower(), listed) or _slip(w.lower(), row.words)
            ]
        if not mistakes and len(strange) <= allowed:
            return None
        named = ", ".join(repr(word) for word in (mistakes or strange)[:3])
        return self.failed("unknown_word", f"{named}: no word of the row and none of {known.language}.")

    def _foreign(self, text: str, row: Source) -> Check | None:
        """The first sentence in another language than the row's."""
        for sentence in sentences(text):
            if _speaks(sentence, row.language or "") and sentence not in f"{row.prompt}\n{row.demonstration}":
                return self.failed("language_changed", f"{shown(sentence)!r} is not {row.language}.")
        return None


def _known(word: str, text: str, known: Vocabulary, row: Source, open_: bool) -> bool:
    """Whether a word that neither the row nor the list holds as it stands is all right by its shape."""
    low = unicodedata.normalize("NFKC", word).lower().replace("’", "'")
    if (
        low in known.listed
        or low in row.words
        or (low in known and (open_ or not word.islower() or not known.coined(low)))
        or _relative(low, row.words)
        or dimensions(word)
        or low in MULTIPLIERS
    ):
        return True
    if (
        word.islower()
        and low in known.spoken
        and (open_ or (len(low) > 5 and not known.misspelt(low, known.common)))
    ):
        return True
    if word.isupper():
        return (len(word) <= 6 or not word.isascii()) and not _shouts(text)
    if any(letter.isupper() for letter in word[1:]):
        return True  # a brand, a formula: mRNA, JavaScript
    if known.whole and not word.isascii() and not any("a" <= letter <= "z" for letter in low):
        return True  # of another script: `characters` looks at it
    places = [match.start() for match in re.finditer(rf"(?<!\w){re.escape(word)}(?!\w)", text)]
    if any(
        text[max(0, at - 1) : at] == "-" or text[at + len(word) : at + len(word) + 1] == "-" for at in places
    ) and (low in _BOUND or any(part in known.listed for part in (low + "s", low + "e"))):
        return True
    if word[0].isupper():
        if low in known.names or low.removesuffix("'s") in known.names:
            return True
        if open_ or any(not _BEGINS.search(text[max(0, at - 12) : at]) for at in places):
            # a name, as far as this check can tell, unless it is one of the row's with a slip in it
            return len(word) < 5 or not known.misspelt(low, row.words)
        return False
    return False


def _no_unit(letters: str, row: Source) -> bool:
    """Whether letters behind a figure are neither a unit, nor the ending of an ordinal, nor a product of variables."""
    return letters not in _OF_ORDINALS and not dimensions(letters) and not row.words.issuperset(letters)


_OF_ORDINALS = frozenset("rds sts nds ths".split())
_BOUND = frozenset(
    "non pre post semi multi anti self sub inter intra co ex mid pro bi tri quasi pseudo meta".split()
)


def _shouts(text: str) -> bool:
    """Whether a text is in capitals, so that a word in capitals is no short form."""
    letters = [char for char in text if char.isalpha()]
    return sum(char.isupper() for char in letters) > 0.6 * len(letters)


def _relative(word: str, words: frozenset[str]) -> bool:
    """Whether the row has the word in another form: its plural, its genitive, with -ed or -ing."""
    if any(f"{word}{end}" in words for end in ("s", "es", "'s", "s'", "ed", "ing")):
        return True
    return any(
        word.endswith(end) and (base := word.removesuffix(end)) in words
        and not (end in ("ed", "ing") and base.endswith(("ed", "ing", "s")))  # no `donateding`
        for end in ("'s", "s'", "es", "s", "ed", "ing")
    )  # fmt: skip


def _slip(word: str, words: frozenset[str]) -> str:
    """The word of the row that `word` is one letter away from and no form of; empty where there is none."""
    if len(word) < 4:
        return ""
    for other in words:
        if (
            -2 < len(other) - len(word) < 2 and len(other) > 3
            and (other[0] == word[0] or other[-1] == word[-1])
            and one_edit_apart(word, other) and not _forms(word, other)
        ):  # fmt: skip
            return other
    return ""


def _forms(one: str, two: str) -> bool:
    """Whether two words are one in two forms or spellings: `sale` and `sales`, `diagnosis` and `diagnoses`, `metre`."""
    short, long = sorted((one, two), key=len)
    same = next((i for i, (a, b) in enumerate(zip(short, long, strict=False)) if a != b), len(short))
    return same >= max(3, len(long) - 2) or _american(one) == _american(two)


def _american(word: str) -> str:
    for theirs, ours in (
        ("our", "or"),
        ("tre", "ter"),
        ("ae", "e"),
        ("oe", "e"),
        ("is", "iz"),
        ("ll", "l"),
        ("able", "ible"),
    ):
        word = word.replace(theirs, ours)
    return word


def _speaks(sentence: str, expected: str) -> bool:
    """Whether a sentence has far more function words of another language than of the expected one."""
    low = set(bare_letters(sentence))
    if len(low) < 3:
        return False
    own = OF_LANGUAGES.get(expected, frozenset[str]()) | (
        FUNCTION_WORDS if expected == "English" else frozenset[str]()
    )
    ours = len(low & own)
    return any(
        len(theirs) >= 2 and len(theirs) > 2 * ours and len(theirs) >= 0.25 * len(low)
        for other, words in OF_LANGUAGES.items()
        if other != expected and (theirs := (low & words) - own)
    )
