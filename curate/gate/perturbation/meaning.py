"""Right retellings that come to say something wrong, something else, or nothing: kinds of meaning.

Every number stays right. A kind is `group/kind`; the first line of its function defines it in one sentence.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from random import Random

from recast.curate.gate.perturbation.told import SUM, Kind, Told
from recast.curate.language.polarity import opposites
from recast.curate.language.quantities import quantities
from recast.curate.language.tokens import read
from recast.curate.language.word_classes import GENERIC, GRAMMAR, NO_PERSON
from recast.curate.maths.numbers import numbers
from recast.curate.maths.units import dimensions, singular

_AUXILIARY = re.compile(r"\b(?:is|are|was|were|can|will|would|should|has to|did|does)\b(?! not)")
_OTHER_UNITS = ("litres", "degrees", "votes", "planets", "violins", "kilometres", "shadows", "passwords")
_OTHER_NAMES = ("Thorvald", "Ludmila", "Quentin", "Ximena", "Oswin", "Bettina")
_PERIODS = {"day": "week", "week": "month", "month": "year", "year": "week", "hour": "day", "minute": "hour"}
_SHARES = {
    "twice": "half",
    "half": "twice",
    "double": "triple",
    "triple": "half",
    "third": "fifth",
    "quarter": "third",
}
_PARTS = {
    "left": "initially",
    "remaining": "initial",
    "initial": "remaining",
    "initially": "now",
    "now": "initially",
}
_DEEDS = {
    "bought": "lost", "sold": "ate", "ate": "sold", "has": "wants", "gave": "received", "spent": "earned",
    "earned": "owed", "picked": "burned", "planted": "cut", "saved": "spent", "walked": "swam", "made": "broke",
}  # fmt: skip
_FIGURE = re.compile(r"(?<![\w.,$])\d+(?![\w.,%])")
_RATE = re.compile(r"\b([a-z]{3,}) per ([a-z]{3,})\b")
_QUOTIENT = re.compile(r"(/ \d+ )([a-z]+) per ([a-z]+)( = \d+ )[a-z]+")
_VERBS = {"+": "add", "-": "subtract", "*": "multiply", "/": "divide"}


# --- wrong meaning ----------------------------------------------------------------------------------------


def _unit_changed(told: Told, random: Random) -> str | None:
    """What one number counts is something else throughout."""
    heads = {
        q.head for q in quantities(told.body)
        if len(q.head) > 3 and q.head.endswith("s") and not q.nouns & GENERIC
    }  # fmt: skip
    if not heads:
        return None
    head = random.choice(sorted(heads))
    known = told.question + told.text
    other = random.choice([unit for unit in _OTHER_UNITS if singular(unit) not in known])
    return told.with_body(re.sub(rf"\b{head}\b", other, told.body))


def _units_swapped(told: Told, random: Random) -> str | None:
    """Two things that numbers count change places."""
    heads = sorted({q.head for q in quantities(told.body) if len(q.head) > 3 and not dimensions(q.head)})
    if len(heads) < 2:
        return None
    return told.with_body(_swap(told.body, *random.sample(heads, 2)))


def _person_new(told: Told, random: Random) -> str | None:
    """A person has another name, which nobody mentioned."""
    names = _people(told)
    if not names:
        return None
    return told.with_body(re.sub(rf"\b{random.choice(names)}\b", random.choice(_OTHER_NAMES), told.body))


def _people_swapped(told: Told, random: Random) -> str | None:
    """Two persons change places."""
    names = _people(told)
    if len(names) < 2:
        return None
    return told.with_body(_swap(told.body, *random.sample(names, 2)))


def _opposite(told: Told, random: Random) -> str | None:
    """One word is its opposite."""
    places = [(m, opposites(m.group())) for m in re.finditer(r"\b[a-z]+\b", told.body)]
    places = [(match, others) for match, others in places if others]
    if not places:
        return None
    match, others = random.choice(places)
    return told.with_body(f"{told.body[: match.start()]}{random.choice(others)}{told.body[match.end() :]}")


def _negated(told: Told, random: Random) -> str | None:
    """One statement is denied."""
    places = list(_AUXILIARY.finditer(told.body))
    if not places:
        return None
    place = random.choice(places)
    return told.with_body(f"{told.body[: place.end()]} not{told.body[place.end() :]}")


def _operation_misnamed(told: Told, random: Random) -> str | None:
    """Every sum is called by the name of another operation."""

    def called(match: re.Match[str]) -> str:
        others = [verb for sign, verb in _VERBS.items() if sign not in match.group()]
        return f"we {random.choice(others)} to get {match.group()}" if others else match.group()

    return told.with_body(SUM.sub(called, told.body))


def _fact_invented(told: Told, random: Random) -> str | None:
    """A sentence states things and numbers that nobody mentioned."""
    known = numbers(told.question + told.text)
    one, two = random.sample([n for n in range(11, 400) if n not in known], 2)
    return told.inserted(f"By then {one} musicians had taken {two} photographs of the harbour.", random)


def _false_in_words(told: Told, random: Random) -> str | None:
    """A sentence states a false sum in words."""
    sum_ = random.choice(
        ("six and five make fourteen", "nine minus two is eight", "three times four equals ten")
    )
    return told.inserted(f"Note that {sum_}.", random)


def _names_unbound(told: Told, random: Random) -> str | None:
    """A sentence relates symbols that stand for nothing."""
    return told.inserted("Put r = 2s + 5 and s = 3t, hence r = t.", random)


def _period_changed(told: Told, random: Random) -> str | None:
    """What happens in one period happens in another."""
    return _one_word(told, _PERIODS, random)


def _share_changed(told: Told, random: Random) -> str | None:
    """A share or multiple in words is another one."""
    return _one_word(told, _SHARES, random)


def _part_changed(told: Told, random: Random) -> str | None:
    """What is left is what there was at first, or the other way round."""
    return _one_word(told, _PARTS, random)


def _deed_changed(told: Told, random: Random) -> str | None:
    """Somebody does something else."""
    return _one_word(told, _DEEDS, random)


def _facts_swapped(told: Told, random: Random) -> str | None:
    """Two numbers of a sentence without a sum change places."""
    for line in told.body.split("\n"):
        found = list(dict.fromkeys(_FIGURE.findall(line)))
        if len(found) > 1 and "=" not in line:
            swapped = re.sub(
                rf"(?<![\w.,])(?:{found[0]}|{found[1]})(?![\w.,])",
                lambda m, pair=found: pair[1] if m.group() == pair[0] else pair[0],
                line,
            )
            return told.with_body(told.body.replace(line, swapped))
    return None


def _rate_inverted(told: Told, random: Random) -> str | None:
    """So many of one thing for each of another are so many of the other for each of the one."""
    return told.with_body(_RATE.sub(r"\2 per \1", told.body, count=1))


def _result_as_rate(told: Told, random: Random) -> str | None:
    """A quotient has the unit that was divided by."""
    return told.with_body(_QUOTIENT.sub(r"\1\2 per \3\4\2 per \3", told.body, count=1))


def _one_word(told: Told, other: Mapping[str, str], random: Random) -> str | None:
    places = [m for m in re.finditer(r"\b[a-z]+\b", told.body) if m.group() in other]
    if not places:
        return None
    place = random.choice(places)
    return told.with_body(f"{told.body[: place.start()]}{other[place.group()]}{told.body[place.end() :]}")


# --- contradiction ----------------------------------------------------------------------------------------


def _answer_denied(told: Told, random: Random) -> str | None:
    """The answer is given and taken back."""
    return f"{told.text} But this answer is wrong."


def _other_answer(told: Told, random: Random) -> str | None:
    """Another answer is stated before the right one."""
    if not told.answer.isdigit():
        return None
    return told.inserted(f"So the final answer is {int(told.answer) + random.randint(2, 90)}.", random)


def _hypothetical(told: Told, random: Random) -> str | None:
    """The answer is stated as what it would be if something else held."""
    return f"{told.body}\nIf nothing had been forgotten, the answer might be {told.answer}."


def _results_denied(told: Told, random: Random) -> str | None:
    """The result of every sum is denied."""
    return told.with_body(SUM.sub(lambda m: f"it is false that {m.group()}", told.body))


# --- no reasoning -----------------------------------------------------------------------------------------


def _sums_alone(told: Told, random: Random) -> str | None:
    """The sums stand without a word."""
    return told.with_body(". ".join(told.sums) + ".") if told.sums else None


def _sums_backwards(told: Told, random: Random) -> str | None:
    """The sums stand without a word, the last one first."""
    return told.with_body(". ".join(reversed(told.sums)) + ".") if len(told.sums) > 1 else None


def _identities(told: Told, random: Random) -> str | None:
    """Every result equals itself."""
    results = [said.rpartition("=")[2].strip() for said in told.sums]
    return told.with_body(" ".join(f"We see that {r} = {r}." for r in results)) if results else None


def _vacuous_sums(told: Told, random: Random) -> str | None:
    """Every result is one less than it, and one."""
    results = [r for said in told.sums if (r := said.rpartition("=")[2].strip(" $")).isdigit()]
    return told.with_body(" ".join(f"Here {int(r) - 1} + 1 = {r}." for r in results)) if results else None


def _results_listed(told: Told, random: Random) -> str | None:
    """The results stand in a list."""
    results = [said.rpartition("=")[2].strip() for said in told.sums]
    return told.with_body(", ".join(results) + ".") if results else None


def _answer_repeated(told: Told, random: Random) -> str | None:
    """The answer is said twice, and nothing else."""
    return f"{told.last} {told.last}"


# --- other problem ----------------------------------------------------------------------------------------


def _other_row(told: Told, random: Random) -> str | None:
    """The reasoning is that of another question."""
    return told.with_body(told.other.rpartition("\n")[0]) if told.other else None


def _advertisement(told: Told, random: Random) -> str | None:
    """A sentence sells something."""
    return told.inserted("Order your new phone cover today and save 40% with free delivery!", random)


def _insult(told: Told, random: Random) -> str | None:
    """A sentence insults the reader."""
    return told.inserted("You must be really stupid and worthless if you cannot do this.", random)


def _people(told: Told) -> list[str]:
    """Names of the question that the body has, too."""
    told_of = {t for s in read(told.body) for t in s.tokens}
    said = [t for s in read(told.question) for t in s.tokens]
    lower = {t for t in said if t.islower()}
    return sorted(
        {
            t for t in said
            if t in told_of and len(t) > 2 and t[0].isupper() and t[1:].islower() and t.lower() not in lower
            and t.lower() not in GRAMMAR and t not in NO_PERSON
        }
    )  # fmt: skip


def _swap(text: str, one: str, two: str) -> str:
    return re.sub(rf"\b(?:{one}|{two})\b", lambda m: two if m.group() == one else one, text)


KINDS: dict[str, Kind] = {
    "meaning/unit_changed": _unit_changed,
    "meaning/units_swapped": _units_swapped,
    "meaning/person_new": _person_new,
    "meaning/people_swapped": _people_swapped,
    "meaning/opposite": _opposite,
    "meaning/negated": _negated,
    "meaning/operation_misnamed": _operation_misnamed,
    "meaning/fact_invented": _fact_invented,
    "meaning/false_in_words": _false_in_words,
    "meaning/names_unbound": _names_unbound,
    "meaning/period_changed": _period_changed,
    "meaning/share_changed": _share_changed,
    "meaning/part_changed": _part_changed,
    "meaning/deed_changed": _deed_changed,
    "meaning/facts_swapped": _facts_swapped,
    "meaning/rate_inverted": _rate_inverted,
    "meaning/result_as_rate": _result_as_rate,
    "contradiction/answer_denied": _answer_denied,
    "contradiction/other_answer": _other_answer,
    "contradiction/hypothetical": _hypothetical,
    "contradiction/results_denied": _results_denied,
    "no_reasoning/sums_alone": _sums_alone,
    "no_reasoning/sums_backwards": _sums_backwards,
    "no_reasoning/identities": _identities,
    "no_reasoning/vacuous_sums": _vacuous_sums,
    "no_reasoning/results_listed": _results_listed,
    "no_reasoning/answer_repeated": _answer_repeated,
    "other_problem/other_row": _other_row,
    "other_problem/advertisement": _advertisement,
    "other_problem/insult": _insult,
}
