"""What a rewrite did to a text, each edit by a name that many rewrites share.

Rules over what an edit looks like (where it stands, what was added, left out or replaced, whether it computes, asks or
marks the answer) give the names of `names.NAMES`; a few words that changed for others are named by these words. The
same texts have the same edits, in the same order, whatever else was read before.

Catches what stands in whole sentences and in words. Cannot catch what an edit means: a step that is added may be false.

>>> [edit.name for edit in edits("8 sets * 7 = 56 chairs.", "Let's think. 8 * 7 = 56 chairs.")]
['adds_opening', 'drops_units']
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from difflib import SequenceMatcher
from functools import lru_cache
from typing import NamedTuple

from recast.curate.language.edits.lines import Alignment, Line, align, held, lines, same, split, without_lead
from recast.curate.language.edits.names import by_words
from recast.curate.language.prose import holds_code
from recast.curate.language.quantities import Quantity, quantities
from recast.curate.language.tokens import number
from recast.curate.maths.numbers import Value
from recast.curate.maths.units import dimensions, singular

ANEW = 0.25
"""Share of the sentences before of which something is left, below which a text was written anew."""
RESTATED = 0.75
"""Share of a sentence's keys that the prompt has, from which the sentence repeats it."""
FEW_WORDS = 4
"""Words on either side up to which an edit is named by its words."""
STAYS = 0.5
"""Share of both sentences' words that stay, from which what changed is named by its words: of another sentence nearly,
those that happen to be the same part nothing."""
MOST_WORD_PAIRS = 100_000
"""Pairs of words of two sentences up to which they are compared word by word."""
MOST_CHARS = 200_000
"""Characters of both texts, beyond which nothing but their form is compared."""

_ANSWER = re.compile(
    r"(?P<hash>####)\s*(?P<hashed>\S.*)"
    r"|(?P<boxed>\\boxed)"
    r"|(?P<words>\b(?:final |correct )?(?:answer|solution|result)\b"
    r"(?:\s+(?:to|of)\s(?:[^.:=\"“”]{0,80}[\"“][^\"”\n]{1,300}[\"”]|[^.:=]{0,80}?))?"
    r"(?:\s+(?:is|would be|equals)\b|\s*:)[:\s]*)(?P<open>[<*${(\[\"']*)(?P<said>[^\s:].*)",
    re.IGNORECASE,
)
_BARE_MARK = re.compile(
    r"\b(?:answer|solution|result)\b[^.\n]{0,20}(?:\bis)?\s*:\s*\Z|####\s*\Z", re.IGNORECASE
)
_MOST_SAID, _SOON, _SHORT = 12, 4, 3
"""Words of a marked answer: at most, before its number comes, and where it has none. `The solution is to add ...` marks
nothing."""
_JUDGED = frozenset({"correct", "right", "wrong", "incorrect", "good"})
"""What is said of an answer and is none."""
_PLAN = re.compile(
    r"(?:first(?:ly)?,? |so,? |now,? |then,? )?(?:in order )?"
    r"to (?:find|determine|calculate|solve|figure|get|know|compute|answer|see|work|do)\b"
    r"|(?:first,? )?(?:we|i|you|one)(?:'ll| will| need| have| want| can| must| should| could)\b(?! (?:now|then) )"
    r"[^=]*?\b(?:find|determine|calculate|figure|compute|solve|add|subtract|multiply|divide)\b"
    r"|let(?:'s|’s| us) (?:find|calculate|determine|figure|compute|solve|add|subtract|multiply|divide)\b",
    re.IGNORECASE,
)
_PLANS = re.compile(
    r"\b(?:we|you|one) (?:can|could|need to|must|should|have to) (?:then |now |simply )?(?:find|determine|calculate|"
    r"figure|compute|solve|add|subtract|multiply|divide)\b",
    re.IGNORECASE,
)
_CONCLUDES = re.compile(
    r"(?:therefore|thus|so|hence|altogether|overall|as a result|finally|in total|in conclusion|this means|"
    r"that means)\b",
    re.IGNORECASE,
)
_MARKDOWN = re.compile(
    r"^\s{0,3}(?:#{1,3} \S|[-*+•] \S|\d{1,2}[.)] \S|\|.*\|)|\*\*\S[^*\n]*\*\*|^\s{0,3}```", re.MULTILINE
)
_LATEX = re.compile(r"\\(?:frac|times|cdot|div|sqrt|text|begin|left|\(|\[|\\)|\$[^$\n]*\\[a-zA-Z][^$\n]*\$")
_SPACE = re.compile(r"\s+")
_OR_VERBS = frozenset({"leaves", "times"})
"""Plurals that otherwise are a verb or a sign of operation (`12 - 4 leaves 8`, `3 times 8`), ..."""
_BEHIND_NOUNS = frozenset(
    {*".,;!?)", "a", "an", "per", "each", "every", "in", "on", "from", "of", "and", "fell", "fall"}
)
"""... unless one of these follows."""


class Edit(NamedTuple):
    """One edit. `before` and `after` are what it concerns of the two texts, empty where there is nothing."""

    name: str
    before: str = ""
    after: str = ""


@lru_cache(maxsize=512)
def edits(before: str, after: str, prompt: str = "") -> tuple[Edit, ...]:
    """What was done to `before` to make it `after`, each name once, with the first place of it.

    `prompt` is the question that both answer. Empty where nothing differs.
    """
    if before == after:
        return ()
    found: dict[str, Edit] = {}
    for edit in _edits(before, after, prompt):
        found.setdefault(edit.name, edit)
    return tuple(found.values())


def _edits(before: str, after: str, prompt: str) -> Iterator[Edit]:
    program = [holds_code(text) and "\\" not in text for text in (before, after)]  # a formula is no program
    if program[0] != program[1]:
        yield Edit("drops_code" if program[0] else "adds_code")
    elif len(before) + len(after) <= MOST_CHARS:
        (told, marked), (retold, remarked) = _marked(before), _marked(after)
        yield from _answer(marked, remarked, retold)
        old, new = lines("\n".join(told)), lines("\n".join(retold))
        yield from _sentences(_Texts(old, new, prompt), align(old, new))
    yield from _form(before, after)


# the answer


class _Mark(NamedTuple):
    text: str
    form: str
    """The frame of the mark, whatever it marks."""
    at: int
    """Place among the sentences."""


def _marked(text: str) -> tuple[list[str], list[_Mark]]:
    """The sentences of a text that do not mark its answer, and those that do."""
    told: list[str] = []
    marks: list[_Mark] = []
    every = split(text.replace("\\\\", "\n"))  # lines of a LaTeX display are sentences
    at = 0
    while at < len(every):
        sentence, at = every[at], at + 1
        if _BARE_MARK.search(sentence) and at < len(every) and len(every[at].split()) <= 3:
            sentence, at = (
                f"{sentence} {every[at]}",
                at + 1,
            )  # `The answer is:` with the answer on a line of its own
        form = _mark_of(sentence)
        marks.append(_Mark(sentence, form, len(told) + len(marks))) if form else told.append(sentence)
    return told, marks


def _mark_of(sentence: str) -> str:
    found = _ANSWER.search(sentence)
    if found is None:
        return ""
    if found["hash"]:
        return "####"
    if found["boxed"]:
        return "boxed"
    said = found["said"].split()
    soon = any(sign.isdigit() for word in said[:_SOON] for sign in word)
    judged = not soon and said[0].lower().strip(".,!") in _JUDGED
    if judged or len(said) > (_MOST_SAID if soon else _SHORT):
        return ""
    mark = _SPACE.sub(" ", found["words"].lower()).strip().removeprefix("final ").removeprefix("correct ")
    return f"{mark} {found['open']}".strip()


def _answer(before: list[_Mark], after: list[_Mark], retold: list[str]) -> Iterator[Edit]:
    first, last = (side[-1].text if side else "" for side in (before, after))
    if not before and after:
        yield Edit("adds_answer_line", "", last)
    elif before and not after:
        yield Edit("drops_answer_line", first, "")
    elif before and before[-1].form != after[-1].form:
        yield Edit("changes_answer_form", first, last)
    if before and len(after) > len(before):
        yield Edit("repeats_answer", first, after[0].text)
    if after and after[0].at == 0 and retold and not (before and before[0].at == 0):
        yield Edit("answers_first", "", after[0].text)


# sentences


class _Texts:
    """Both texts as lines, and what the prompt says."""

    def __init__(self, old: tuple[Line, ...], new: tuple[Line, ...], prompt: str) -> None:
        self.old, self.new = old, new
        self.asked = lines(prompt) if prompt else ()
        self.questions = [line for line in self.asked if line.asks] or list(self.asked)
        self.known = Counter[str]()
        for line in (*self.asked, *old):
            self.known |= Counter(dict.fromkeys((*line.keys, *line.words), 1))

    def restates(self, line: Line) -> str:
        """`question` or `facts` where a sentence is the prompt's, else nothing."""
        if not self.asked or (line.computes and not line.asks) or len(line.keys) < 2:
            return ""
        whole = sum((told.keys for told in self.asked), Counter[str]())
        if any(key not in whole for key in line.keys if key[0].isdigit()):
            return ""  # it says what was found
        asked = max(held(line.keys, told.keys) for told in self.questions)
        facts = max(
            (held(line.keys, told.keys) for told in self.asked if told not in self.questions), default=0.0
        )
        if (
            asked >= RESTATED
            and asked >= facts
            and (line.asks or not any(told.asks for told in self.questions))
        ):
            return "question"
        if max(facts, asked, held(line.keys, whole)) >= RESTATED:
            return "question" if line.asks else "facts"
        return ""


def _sentences(texts: _Texts, found: Alignment) -> Iterator[Edit]:
    old, new = texts.old, texts.new
    left = {i for i, _ in (*found.pairs, *found.merged, *found.split, *found.moved)}
    anew = bool(old and new) and len(left) < ANEW * len(old)
    if anew:
        yield Edit("writes_anew", old[0].text, new[0].text)
    kept_old = [i for i, _ in found.pairs] or [len(old)]
    kept_new = [j for _, j in found.pairs] or [len(new)]
    for j in found.added:
        if not new[j].asks and any(same(line, new[j]) for line in old):
            yield Edit("moves_step", "", new[j].text)
            continue
        name = _kind(texts, new, j, kept_new[0], kept_new[-1], "adds")
        if not (anew and name == "adds_sentence"):
            yield Edit(name, "", new[j].text)
    for i in found.dropped:
        name = _kind(texts, old, i, kept_old[0], kept_old[-1], "drops")
        if not (anew and name == "drops_sentence"):
            yield Edit(name, old[i].text, "")
    for i, j in found.merged:
        yield Edit("merges_steps", old[i].text, new[j].text)
    for i, j in found.split:
        fact = held(new[j].keys, old[i].keys) < 1 and texts.restates(new[j]) == "facts"
        yield (
            Edit("restates_facts", "", new[j].text) if fact else Edit("splits_step", old[i].text, new[j].text)
        )
    for i, j in found.moved:
        yield Edit("moves_step", old[i].text, new[j].text)
    joined, cut = {j for _, j in found.merged}, {i for i, _ in found.split}
    for i, j in found.pairs:
        if old[i].text != new[j].text:
            whole = j not in joined and i not in cut
            yield from _pair(old[i], new[j], first=j == 0, whole=whole, known=texts.known)
    yield from _repeats(old, new)


def _kind(texts: _Texts, side: tuple[Line, ...], at: int, first: int, last: int, verb: str) -> str:
    """What a sentence that one side alone has is called; the places of `side` that are paired are `first` to `last`."""
    line = side[at]
    adds = verb == "adds"
    numbers = any(number(word) is not None for word in line.written)
    concludes = at == len(side) - 1 and at > 0 and numbers and not line.computes
    if concludes and _CONCLUDES.match(line.text) and not line.asks:
        return f"{verb}_conclusion"
    if said := texts.restates(line):
        return {
            ("question", True): "repeats_question",
            ("question", False): "drops_question",
            ("facts", True): "restates_facts",
            ("facts", False): "drops_facts",
        }[said, adds]
    if line.computes:
        return f"{verb}_step"
    if _PLAN.match(line.text) or _PLANS.search(line.text):
        return f"{verb}_plan"
    if concludes and at > last:
        return f"{verb}_conclusion"
    if at == 0 and first > 0:
        return f"{verb}_opening"
    return f"{verb}_ending" if at > last and at == len(side) - 1 else f"{verb}_sentence"


def _repeats(old: tuple[Line, ...], new: tuple[Line, ...]) -> Iterator[Edit]:
    before = Counter(line.words for line in old)
    now = Counter(line.words for line in new)
    for line in new:
        if len(line.words) > 2 and now[line.words] > max(1, before[line.words]):
            yield Edit("repeats_itself", "", line.text)
            return


# words of a sentence


def _pair(old: Line, new: Line, *, first: bool, whole: bool, known: Counter[str]) -> Iterator[Edit]:
    """What was done to a sentence that stands on both sides; `whole`: nothing of it stands elsewhere."""
    both = old.text, new.text
    if old.words == new.words and [*map(str.lower, old.written)] == [*map(str.lower, new.written)]:
        if _SPACE.sub(" ", old.text) != _SPACE.sub(" ", new.text):
            yield Edit("changes_punctuation", *both)
        return
    if whole and old.computes and not new.computes:
        yield Edit("drops_sum", *both)
    elif whole and new.computes and not old.computes:
        yield Edit("shows_sum" if _results(new) & set(old.words) else "adds_step", *both)
    yield from _numbers(old, new, known)
    units = list(_units(old, new))
    for name, _ in units:
        yield Edit(name, *both)
    if old.words == new.words or not whole:
        return
    bare_old, bare_new = without_lead(old.words), without_lead(new.words)
    lead = len(old.words) - len(bare_old), len(new.words) - len(bare_new)
    if old.words[: lead[0]] != new.words[: lead[1]]:
        yield Edit("changes_connective", *both)
    names = _names(old) | _names(new)
    nouns = {noun for _, group in units for noun in group}
    yield from _words(bare_old, bare_new, names, nouns, both, first=first and not lead[1])


def _results(line: Line) -> set[str]:
    """The numbers of a sentence to which a sum of it comes."""
    return {line.words[at + 1] for at, word in enumerate(line.words[:-1]) if word in ("=", "equals")}


def _numbers(old: Line, new: Line, known: Counter[str]) -> Iterator[Edit]:
    written: dict[Value, set[str]] = {}
    for word in old.written:
        if (value := number(word)) is not None:
            written.setdefault(value, set()).add(word.strip("$€£% "))
    for word in new.written:
        value = number(word)
        if value is None:
            continue
        if value in written and word.strip("$€£% ") not in written[value]:
            yield Edit("changes_number_format", old.text, new.text)
        elif value not in written and not known[str(value)]:
            yield Edit("adds_number", old.text, new.text)


def _units(old: Line, new: Line) -> Iterator[tuple[str, set[str]]]:
    """Names of edits of what numbers count, each with the nouns that changed.

    A noun is lost where the sentence says it less often: what follows a number that lost its noun may be any word.
    """
    before, after = _counted(old), _counted(new)
    said = [Counter(map(singular, line.words)) for line in (old, new)]
    for value in before.keys() & after.keys():
        lost, gained = (
            {noun for noun in one[value] - other[value] if there[noun] < here[noun] or not other[value]}
            for one, other, here, there in ((before, after, *said), (after, before, *reversed(said)))
        )
        if lost or gained:
            yield (
                "changes_units" if lost and gained else "drops_units" if lost else "adds_units",
                lost | gained,
            )


def _counted(line: Line) -> dict[Value, Counter[str]]:
    """The units of each number of a sentence, in the singular, as often as it has them."""
    found: dict[Value, Counter[str]] = {}
    for quantity in quantities(line.text):
        units = found.setdefault(quantity.value, Counter())
        if unit := _unit(quantity):
            units[unit] += 1
    return found


def _unit(quantity: Quantity) -> str:
    """Of the words after a number, in the singular: a measure right behind it; the one before `of`; the plural before
    what it does (`5 students carrying chairs`); the last plural (`36 students got`); the head."""
    words: list[str] = []
    after = quantity.sentence.tokens[quantity.at + 1 :]
    first = after[0].lower() if after else ""
    if dimensions(first) and singular(first) in quantity.nouns - {first}:
        return singular(first)
    if first in _OR_VERBS and (len(after) == 1 or after[1].lower() in _BEHIND_NOUNS):
        return singular(first)
    plural = quantity.head
    for token in after:
        word = token.lower()
        if word == "of" and words and singular(words[-1]) in quantity.nouns:
            return singular(words[-1])
        if words and words[-1] == plural and word.endswith("ing"):
            break
        if word.endswith("s") and singular(word) in quantity.nouns:
            plural = word
        words.append(word)
        if word == quantity.head:
            break
    return singular(plural)


def _names(line: Line) -> set[str]:
    """Words in capitals that do not begin the sentence, in lower case."""
    return {word.lower() for word in line.written[1:] if word[0].isupper()}


def _words(
    old: tuple[str, ...],
    new: tuple[str, ...],
    names: set[str],
    nouns: set[str],
    both: tuple[str, str],
    *,
    first: bool,
) -> Iterator[Edit]:
    """The stretches of words that differ; a noun that a number lost or gained is no second edit."""

    if len(old) * len(new) > MOST_WORD_PAIRS:
        yield Edit("rewords_sentence", *both)
        return

    def shown(words: Iterable[str]) -> tuple[str, ...]:
        kept = (word for word in words if singular(word) not in nouns)
        return tuple("@" if word in names else "#" if word[-1].isdigit() else word for word in kept)

    found = SequenceMatcher(None, old, new, autojunk=False)
    stays = found.ratio() >= STAYS
    for tag, i, k, j, m in found.get_opcodes():
        was, now = shown(old[i:k]), shown(new[j:m])
        if tag == "equal" or was == now:
            continue
        if first and not was and j == 0 and len(now) > 1 and "#" not in now:
            yield Edit("adds_opening", "", both[1])
        elif stays and max(len(was), len(now)) <= FEW_WORDS:
            yield Edit(by_words(was, now), *both)
        else:
            yield Edit("rewords_sentence", *both)


# the form of the whole text


def _form(before: str, after: str) -> Iterator[Edit]:
    for name, pattern in (("annotations", "<<"), ("markdown", _MARKDOWN), ("latex", _LATEX)):
        had, has = (
            pattern in text if isinstance(pattern, str) else pattern.search(text) is not None
            for text in (before, after)
        )
        if had != has:
            yield Edit(f"{'drops' if had else 'adds'}_{name}")
    if ("\n" in before.strip()) != ("\n" in after.strip()):
        yield Edit("changes_layout")
