"""What the words of a completion are compared with: the row's words, its language, how its words stand together."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import pairwise

from recast.curate.language.english import FUNCTION_WORDS, content_pairs
from recast.curate.language.identify import FUNCTION_WORDS as OF_LANGUAGES
from recast.curate.language.identify import language
from recast.curate.language.prose import bare_letters, holds_code, prose, spaced_words
from recast.curate.language.prose import vocabulary as words_of
from recast.curate.language.vocabulary import vocabulary

_OTHER = frozenset[str]().union(*OF_LANGUAGES.values()) - OF_LANGUAGES["English"] - FUNCTION_WORDS
SHORT = 2
"""Letters up to which a word may be a variable, a unit, an initial."""
_TELLING = 3  # English words from which a row is English
_GAPS = 3  # unknown words of the row from which its own share of them is allowed


@dataclass(frozen=True)
class Source:
    """What question and demonstration say, as far as a completion's words are compared with it."""

    prompt: str
    demonstration: str

    @cached_property
    def text(self) -> str:
        return f"{self.prompt}\n{self.demonstration}"

    @cached_property
    def words(self) -> frozenset[str]:
        return words_of(self.prompt) | words_of(self.demonstration)

    @cached_property
    def language(self) -> str | None:
        """By function words; where they are few, most words of the row must be in the language's list."""
        if 2 * len(self.words & _OTHER) < len(self.words & FUNCTION_WORDS) >= _TELLING:
            return "English"  # in a tenth of the time, and of shorter texts
        text = self.text
        spoken = language(self.demonstration) or language(text) or language(text, 4)
        if spoken is None:
            guessed = language(text, 2, 1.01)
            least = ((guessed, 0.6), ("English", 0.8))
            spoken = next((name for name, share in least if self._covered(name) >= share), None)
        return spoken

    def _covered(self, name: str | None) -> float:
        """The share of the row's words that a language's list has; 0.0 where there is no list, or hardly a word."""
        known = vocabulary(name)
        long = [word for word in self.words if len(word) > SHORT]
        return (
            sum(word in known.listed for word in long) / len(long) if known and len(long) >= _TELLING else 0.0
        )

    @cached_property
    def gaps(self) -> float:
        """The share of its words in lower case that its language's list lacks, 0.0 where they are too few to tell."""
        known = vocabulary(self.language)
        text = prose(self.text, self.code)
        told = {word for word in spaced_words(text) if len(word) > SHORT and word.islower()}
        strange = sum(known is not None and word not in known for word in told)
        return strange / len(told) if strange >= _GAPS else 0.0

    @cached_property
    def code(self) -> bool:
        return holds_code(self.demonstration) or holds_code(self.prompt)

    @cached_property
    def pairs(self) -> frozenset[tuple[str, str]]:
        """Words that follow each other, whatever stands between them."""
        asked, shown = bare_letters(self.prompt), bare_letters(self.demonstration)
        return frozenset(pairwise(asked)).union(pairwise(shown))

    @cached_property
    def follow(self) -> dict[str, set[str]]:
        """The words that follow a word, with no sign between them."""
        found: dict[str, set[str]] = {}
        for text in (self.prompt, self.demonstration):
            for one, two in pairwise(text.lower().split()):
                if one[-1].isalnum():
                    found.setdefault(one, set()).add(two.strip(".,;:!?()"))
        return found

    @cached_property
    def neighbours(self) -> tuple[frozenset[tuple[str, str]], frozenset[tuple[str, str]]]:
        """Pairs of content words that stand side by side, and pairs with function words between them."""
        pairs = content_pairs(f"{self.prompt}\n{self.demonstration}".split())
        return (
            frozenset(pair for pair, between in pairs if not between),
            frozenset(pair for pair, between in pairs if between),
        )


@lru_cache(maxsize=512)
def source(prompt: str, demonstration: str) -> Source:
    return Source(prompt, demonstration)
