"""What kinds of edit are called, and what each name means. A name never changes its meaning: gate files hold it."""

from __future__ import annotations

import re
from types import MappingProxyType

NAMES = MappingProxyType(
    {
        "writes_anew": "hardly a sentence is left of the text before",
        "adds_opening": "begins with words that the text before lacks, such as `Let's think`",
        "drops_opening": "leaves the first sentence out",
        "adds_ending": "ends with a sentence that the text before lacks",
        "drops_ending": "leaves the last sentence out",
        "adds_sentence": "says something more in the middle",
        "drops_sentence": "leaves a sentence of the middle out",
        "adds_plan": "says what is going to be done before doing it",
        "drops_plan": "leaves out what is going to be done",
        "repeats_question": "asks the question again",
        "drops_question": "no longer asks the question again",
        "restates_facts": "tells again what the question tells",
        "drops_facts": "no longer tells again what the question tells",
        "adds_step": "adds a sentence with a sum",
        "drops_step": "leaves a sentence with a sum out",
        "merges_steps": "makes one sentence of two",
        "splits_step": "makes two sentences of one",
        "moves_step": "says a sentence at another place",
        "shows_sum": "shows the sum where only its result stood",
        "drops_sum": "keeps the sentence and leaves its sum out",
        "adds_number": "brings a number that neither the text before nor the question has",
        "changes_number_format": "writes a number in another way, as 5.0 for 5",
        "adds_units": "names what a number counts where it stood alone",
        "drops_units": "leaves out what a number counts",
        "changes_units": "names what a number counts otherwise",
        "adds_conclusion": "adds a last sentence that says what was found",
        "drops_conclusion": "leaves out the last sentence that says what was found",
        "adds_answer_line": "marks its final answer where the text before did not",
        "drops_answer_line": "no longer marks its final answer",
        "changes_answer_form": "marks its final answer in another form, as `#### 5` for `The answer is 5`",
        "repeats_answer": "marks its final answer more often",
        "answers_first": "begins with the answer",
        "repeats_itself": "says a sentence of its own again",
        "changes_connective": "begins a sentence with another word of order, as `So` for `Therefore`",
        "changes_punctuation": "the same words with other signs or capitals",
        "changes_layout": "breaks lines elsewhere",
        "adds_annotations": "adds calculator annotations",
        "drops_annotations": "leaves calculator annotations out",
        "adds_markdown": "adds headings, lists or emphasis",
        "drops_markdown": "leaves headings, lists or emphasis out",
        "adds_latex": "writes formulas in LaTeX",
        "drops_latex": "writes formulas without LaTeX",
        "adds_code": "writes a program",
        "drops_code": "puts words in the place of a program",
        "rewords_sentence": "says a sentence in other words, more than a few of them",
    }
)

_BY_WORDS = re.compile(r"(?:inserted|deleted): \S.*|replaced: \S.* -> \S.*")


def is_name(text: str) -> bool:
    """Whether an edit can be called so: by one of `NAMES`, or by its own words as `replaced: total -> sum`."""
    return text in NAMES or _BY_WORDS.fullmatch(text) is not None


def by_words(old: tuple[str, ...], new: tuple[str, ...]) -> str:
    """What an edit without a name of its own is called: by its words, numbers as # and names as @."""
    if not old:
        return f"inserted: {' '.join(new)}"
    if not new:
        return f"deleted: {' '.join(old)}"
    return f"replaced: {' '.join(old)} -> {' '.join(new)}"
