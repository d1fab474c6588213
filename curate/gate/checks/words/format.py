"""Is the completion a whole, plain answer to the question, and nothing else?

Catches: empty and cut-off text, a length far from the demonstration's, talk about the rewriting itself, pieces of the
rewriting prompt, chat markers and tool calls, markup that the row does not expect, an open code fence, refusals,
another script or language than the question's and the demonstration's. Cannot catch: anything about its content; nor
the language of a text of few words.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from typing import ClassVar, Literal

from pydantic import Field

from recast.curate.gate.checks.case import Case, CheckConfig, shown
from recast.curate.language.identify import language
from recast.curate.language.prose import holds_code
from recast.curate.records import Check
from recast.curate.texts import words

_MARKERS = re.compile(
    r"<[|｜][^<>\s|｜]{1,40}[|｜]?>|<[^<>\s|｜]{1,40}[|｜]>|\[/?INST\]|<</?SYS>>|<(?:start|end)_of_(?:turn|text|image)>"
    r"|</?(?:s|eos|bos|pad|unk|endoftext|think(?:ing)?|thought|reason(?:ing)?|reflection|scratchpad|analysis|solution"
    r"|tool|tools|tool_?(?:calls?|response|result|use)|function|function_?calls?|invoke|parameter|observation|python"
    r"|system|user|assistant|human|instructions?|prompt|response|output|context)(?:\s[^<>\n]{0,80}|=[^<>\n]{0,40})?>"
    r"|^\s{0,8}(?:### )?(?:user|assistant|system|human|instruction|response)\s{0,4}:\s",
    re.IGNORECASE | re.MULTILINE,
)
# what a page is written in; a letter alone must be closed, since mathematics writes <a> for what a generates
_MARKUP = re.compile(
    r"<!--|-->|</[a-z][a-z0-9]{0,11}>|<(?:script|style|div|span|html|head|body|table|tr|td|th|ul|ol|li|br|hr|h[1-6]|img"
    r"|iframe|input|form|button|font|center|strong|em|pre|code|svg|link|meta|video|audio)\b[^<>\n]{0,200}>"
    r"|<a\s+href|<\?(?:xml|php)|&(?:nbsp|lt|gt|amp|quot|#\d{2,6});|https?://\S+|\bwww\.\w+\.\w+"
    r"|(?:\A|(?<=\n))<(?=\w)[^<>\n]*(?=\n|\Z)"  # a bracket that nothing closes
    r"|!\[[^\]\n]{0,80}\]\([^)\n]{1,200}\)|\A\s*(?:```json\s*)?\{\s*\"[^\"\n]{1,60}\"\s*:",
    re.IGNORECASE,
)
_PAGE = re.compile(
    r"\b(?:html|xml|json|markdown|url|links?|web|css|tags?|program|code|script)\b", re.IGNORECASE
)
# a table, or a statement of a program on a line of its own
_LAID_OUT = re.compile(
    r"^\s*\|[^\n]*\|\s*$|^\s*:?-{3,}:?\s*\|"
    r"|^\s*(?:print|console\.log|printf|echo)\s?\(.*\)\s*;?\s*$|^\s*(?:for|while|if|def|class)\b[^\n]*:\s*(?:print\b.*|return\b.*|pass)?$"
    r"|^\s*(?:int|void)\s+main\s*\(|\w+\s*=\s*(?:int\()?input\(|^\s*SELECT\s.+\sFROM\s"
    r"|^\s*import\s+\w+\s*$|^\s*return\s+\w+\s*;?\s*$",
    re.MULTILINE,
)
# a question that is set before the solution or in it
_ASKS = re.compile(
    r"^\s*(?:\W{0,3})(?:question|problem|prompt|task|input|q)(?:\s*\d{1,2})?\W{0,3}:",
    re.IGNORECASE | re.MULTILINE,
)
_META = re.compile(
    r"\b(?:re-?writ(?:e|ing|ten)|rephras(?:e|ing|ed)|paraphras(?:e|ing|ed)|reword(?:ed|ing)?)\b[^.\n]{0,40}"
    r"\b(?:solution|answer|version|text|response|explanation|words|above|below)\b"
    r"|\b(?:the|your|this|given|provided)\s+(?:reference|provided|given|original|expert|earlier)\s+"
    r"(?:solution|answer|demonstration|text|response|attempt)\b"
    r"|\bin (?:my|your) own (?:words|way)\b"
    # what `agent.prompts.templates` says to the model
    r"|\bkeep every result\b|\ban earlier attempt failed\b|\bsolution of a teacher\b|\bstudy this solution\b"
    r"|\bthe question that this solution answers\b|\banswer yes or no\b|\bwrite the question only\b"
    r"|\b(?:the|a) response of your own\b|\b(?:reference|other) response:"
    r"|\bhere(?:'s| is) (?:the|a|my|your) (?:re-?written|revised|rephrased|updated|new version)\b"
    r"|\b(?:as|according to|based on) the (?:solution|demonstration|reference)\b"
    # what stands elsewhere, and nowhere in the answer
    r"|\b(?:previous|preceding|next|last) (?:answer|question|problem|example|section|page|chapter|exercise|worksheet)\b"
    r"(?! (?:\d|is\b|was\b|of\b|in\b|that\b|he\b|she\b|they\b))"
    r"|\b(?:question|problem|example|section|paragraph|table|figure) (?:above|below)\b",
    re.IGNORECASE,
)
_REFUSAL = re.compile(
    r"\b(?:I(?:'m| am) (?:sorry|unable|not able)"
    r"|I (?:cannot|can't|can not|won't) (?:help|answer|solve|assist|provide|comply|rewrite)"
    r"|as an AI(?: language)? model|I do not have enough information)\b",
    re.IGNORECASE,
)


# reason, one of which must occur in lower case (a fast necessary condition), pattern, sentence
_PHRASES = (
    ("chat_marker", ("<", "[", "user", "assistant", "system", "human", "instruction", "response"), _MARKERS,
     "It holds the chat marker"),
    ("markup", ("<!--", "-->", "</", "<", "&", "http", "www.", "](", '":', '" :'), _MARKUP, "It holds markup,"),
    ("markup", ("|", "print", "(", ":", "import ", "return ", "select "), _LAID_OUT, "It holds a table or a program,"),
    ("prompt_told", (":",), _ASKS, "It sets a question:"),
    ("meta_talk", ("writ", "phras", "word", "own way", "the solution", "this solution", "every result", "attempt",
                   "teacher", "yes or no", "response",  "demonstration", "reference", "provided", "given",
                   "original", "expert", "earlier", "here's", "here is", "previous", "preceding", "next", "last",
                   "above", "below"), _META, "It talks about the rewriting:"),
    ("refusal", ("i'm", "i am", "i can", "i won", "as an ai", "i do not"), _REFUSAL, "It refuses:"),
)  # fmt: skip


class FormatCheck(CheckConfig):
    """Not empty, not cut off, of a sensible length, and no talk about anything but the question."""

    type: Literal["format"] = "format"
    min_ratio: float = Field(default=0.3, ge=0.0)
    """Smallest length in words, as a share of the demonstration's."""
    max_ratio: float = Field(default=3.0, gt=0.0)
    """Largest length in words, as a share of the demonstration's (rho_hi)."""
    slack_words: int = Field(default=60, ge=0)
    """Differences in length up to this many words are never refused: short texts may double."""
    max_chars: int = Field(default=50_000, gt=0)
    """Longest completion in characters, whatever its demonstration."""

    name: ClassVar[str] = "format"
    revision: ClassVar[int] = 6

    def run(self, case: Case) -> Check:
        text = case.completion
        if not text.strip() or "\x00" in text:
            return self.failed(
                "empty", "The completion is empty." if "\x00" not in text else "It holds null bytes."
            )
        if case.finish_reason != "stop":
            return self.failed("truncated", f"The completion was cut off ({shown(case.finish_reason)}).")
        if len(text) > self.max_chars:
            return self.failed("too_long", f"{len(text)} characters, more than {self.max_chars}.")
        ours, theirs = len(words(text)), len(words(case.demonstration))
        ratio = ours / max(1, theirs)
        if theirs - ours > self.slack_words and ratio < self.min_ratio:
            return self.failed("too_short", f"{ours} words for the demonstration's {theirs}.", ratio)
        if ours - theirs > self.slack_words and ratio > self.max_ratio:
            return self.failed("too_long", f"{ours} words for the demonstration's {theirs}.", ratio)
        lower = text.lower()
        for reason, hints, pattern, said in _PHRASES:
            match = pattern.search(text) if any(map(lower.__contains__, hints)) else None
            if match and pattern in (_MARKUP, _LAID_OUT) and (_expects_markup(case) or "```" in text):
                continue
            if match and match.group().lower() not in case.demonstration.lower():
                return self.failed(reason, f"{said} {shown(match.group())!r}.", ratio)
        if text.count("```") % 2:
            return self.failed("open_fence", "A code fence is not closed.", ratio)
        if not text.isascii():
            foreign = scripts(text) - scripts(case.demonstration) - scripts(case.prompt) - {"LATIN", "GREEK"}
            if foreign:
                return self.failed(
                    "script_changed", f"It is written in {', '.join(sorted(foreign))} too.", ratio
                )
        spoken, expected = language(text), language(case.demonstration)
        if spoken and expected and spoken not in (expected, language(case.prompt)):
            return self.failed("language_changed", f"It is {spoken}, the demonstration {expected}.", ratio)
        return self.passed(ratio)


def _expects_markup(case: Case) -> bool:
    """Whether the row speaks of pages, holds markup itself, or is a program, which may write any."""
    asked = f"{case.prompt}\n{case.demonstration}"
    return _MARKUP.search(asked) is not None or _PAGE.search(asked) is not None or holds_code(asked)


def scripts(text: str) -> set[str]:
    """The scripts of a text's letters (LATIN, CYRILLIC, CJK, ...), those with at least two letters."""
    counts: Counter[str] = Counter()
    for char in dict.fromkeys(text):
        if char.isalpha():
            counts["LATIN" if char.isascii() else unicodedata.name(char, "UNNAMED").split(" ")[0]] += 1
    return {script for script, count in counts.items() if count >= 2}
