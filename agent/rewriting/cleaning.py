"""What a small model wraps around a rewrite, cut off before the gate: whole leading or trailing spans, by listed rules.

    request   the request of the prompt again, in its own words or nearly, with whatever comes after it
    question  the whole of the row's question again, before the rewrite (its facts alone are how solutions begin)
    opening   "Here is the rewritten solution:", "Sure!"
    turn      another turn or task that the model opens for itself ("User:", "Question:"), and what comes after it
    closing   "I hope this helps!", "Let me know if you have questions.", "This is the answer to the question."
    again     sentences at the end that repeat, word by word, those directly before them

What remains is a contiguous part of the text, so nothing is made up. A span that marks another answer than what would
remain is never cut, since the cut would hide that the text contradicts itself; nor is a span that would leave nothing.
Learning sees the text as it was sampled: an agent whose junk were cut for it would never learn to leave it out.

>>> clean("5 + 7 = 12. #### 12\\n\\nRewrite the solution in your own words.", instruction="Rewrite the solution.").text
'5 + 7 = 12. #### 12'
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from recast.curate.answers.extract import equivalent, final_answer, find_answer
from recast.curate.language.sentences import sentences
from recast.curate.texts import bare_words, grams

MIN_SHARED = 0.5
"""Share of a sentence's word trigrams that stand in the request, from which on it is the request again."""
REVISION = 2
"""Goes up when another text would be kept for the same input; part of a run's identity."""

_OPENING = re.compile(
    # no fact may pass for an opening: "Great Britain has 5 ships.", "Okay, so each has an apple."
    r"(?:(?:sure|certainly|of course|okay|ok|absolutely|great)"
    r"(?:,?\s+(?:thing|question|job|idea|here|I|I'(?:m|ll|d)|let|happy|glad)\b[^.:\n\d]{0,60})?[!.,:]?"
    r"|(?:sure[,!]?\s+)?here(?:'s| is| are)\b[^.\n]{0,120}:"
    r"|(?:re-?written|rephrased|revised|reworded)\s+(?:solution|answer|version|text|response)\s*:"
    r"|(?:the\s+)?(?:solution|rewrite)\s*:)\Z",
    re.IGNORECASE,
)
_TURN = re.compile(
    r"(?:<\|im_(?:start|end)\|>|\[INST\]|#{0,4}\s*\**(?:user|human|assistant|system|question|problem|instruction|"
    r"exercise|task)(?:\s+\d+)?\**\s*:)",
    re.IGNORECASE,
)
_CLOSING = re.compile(
    r"(?:I hope (?:this|that|it)\b|(?:please\s+)?let me know\b|(?:please\s+)?feel free\b|is there anything else\b"
    r"|this is (?:the|your) (?:final |correct |right )?answer(?: to (?:the|your) (?:original )?question)?[.!]?\Z"
    r"|do you (?:have|need) any\b|if you (?:have|need) any\b|I'm (?:here|happy|ready) to (?:help|assist)\b)",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Cleaned:
    """`before + text + after` is the sampled text; `rules` names what was cut, in the order of the cuts."""

    text: str
    before: str = ""
    after: str = ""
    rules: tuple[str, ...] = ()


def clean(text: str, *, instruction: str = "", question: str = "") -> Cleaned:
    """Cut what is not the rewrite from both ends of `text`.

    `instruction` is the prompt's request without the row's own texts, `question` the row's question.
    """
    spans = _spans(text)
    said = [_plain(text[begin:end]) for begin, end in spans]
    kinds = [_kind(text[begin:end], instruction) for begin, end in spans]
    first, last = 0, len(spans)
    rules: list[str] = []
    while first < last:
        if kinds[first] in ("request", "opening"):
            rules.append(kinds[first])
            first += 1
        elif asked := _asked_again(said[first:], _plain(question)):
            rules.append("question")
            first += asked
        else:
            break
    ends = [i for i in range(first + 1, last) if kinds[i] in ("request", "turn")]
    if ends:
        last = ends[0]
        rules.append(kinds[last])
    while last - first > 1:
        if kinds[last - 1] == "closing":
            rules.append("closing")
            last -= 1
        elif repeated := _repeated(said[first:last]):
            rules.append("again")
            last -= repeated
        else:
            break
    if first == last or not rules:
        return Cleaned(text)
    begin, end = spans[first][0], spans[last - 1][1]
    kept, before, after = text[begin:end], text[:begin], text[end:]
    if not all(_agrees(kept, cut) for cut in (before, after)):
        return Cleaned(text)
    return Cleaned(kept, before, after, tuple(dict.fromkeys(rules)))


def _spans(text: str) -> list[tuple[int, int]]:
    """Where the sentences of `text` begin and end."""
    spans: list[tuple[int, int]] = []
    at = 0
    for sentence in sentences(text):
        begin = text.index(sentence, at)
        at = begin + len(sentence)
        spans.append((begin, at))
    return spans


def _kind(sentence: str, instruction: str) -> str:
    """Which rule a sentence falls under by itself, or the empty string."""
    if _is_request(sentence, instruction):
        return "request"
    if _OPENING.match(sentence):
        return "opening"
    if _TURN.match(sentence):
        return "turn"
    return "closing" if _CLOSING.match(sentence) else ""


def _is_request(sentence: str, instruction: str) -> bool:
    """Whether a sentence opens as the request does, or says most of what a sentence of it says."""
    said, asked = bare_words(sentence), bare_words(instruction)
    if len(said) < 3 or not asked:
        return False
    if said[:2] == asked[:2]:
        return True
    ours, theirs = set(grams(said, 3)), set(grams(asked, 3))
    # "And the final answer is 12." has words of the request, and an answer
    return len(ours & theirs) >= MIN_SHARED * len(ours) and find_answer(sentence, False) is None


def _asked_again(said: list[str], question: str) -> int:
    """How many sentences at the beginning are the question, all of it; 0 where they are not."""
    told = ""
    for number, sentence in enumerate(said, start=1):
        told = f"{told} {sentence}".strip()
        if question and told == question:
            return number
        if not question.startswith(told):
            break
    return 0


def _repeated(said: list[str]) -> int:
    """How many sentences at the end are the same as those directly before them, word by word; 0 where none are."""
    for number in range(1, len(said) // 2 + 1):
        block = said[-number:]
        if block == said[-2 * number : -number] and sum(len(s.split()) for s in block) >= 3:
            return number
    return 0


def _plain(text: str) -> str:
    return " ".join(bare_words(text))


def _agrees(kept: str, cut: str) -> bool:
    """Whether the cut span marks no answer, or the one of what is kept."""
    marked = find_answer(cut, False)
    if marked is None:
        return True
    ours = final_answer(kept)
    return ours is not None and equivalent(ours, marked.text) is True
