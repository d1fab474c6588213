"""What a text says of its own statements: that one is denied, withdrawn, or no more than guessed, asked or supposed.

English only. A denial speaks of `this`, `that`, `it` or of a result, not of something in the story (`Tom got 5 wrong`,
`it is wrong to steal`).

>>> denial("48 / 2 = 24, which is not correct."), denial("She was not at home."), retraction("No wait, it is 36.")
('which is not correct', '', 'No wait')
>>> unsettled("The answer could be 72."), unsettled("Is the answer 72?"), unsettled("The answer is 72.")
('hedged', 'asked', '')
"""

from __future__ import annotations

import re

_SAID = (
    r"(?:th(?:is|at|ese|ose)|it|which|both|all of (?:this|that|it)|everything"
    r"|(?:the|this|that|my|our|these|those|such an?) (?:\w+ )?"
    r"(?:results?|answers?|sums?|totals?|numbers?|values?|calculations?|computations?|equations?|equalit(?:y|ies)|steps?"
    r"|statements?|claims?|solutions?|reasoning|conclusions?|above))"
)
_BE = r"(?:\s+(?:is|are|was|were|seems?(?: to be)?|looks?|must be|may be|might be|could be)|['’]s)"
_BAD = r"(?:wrong|incorrect|false|untrue|mistaken|inaccurate|invalid|nonsense|an? (?:mistake|error|lie|falsehood))"
_GOOD = r"(?:right|correct|true|accurate|valid|the (?:right|correct|true) \w+|the case)"
_NOT_BE = (
    r"(?:\s+(?:is|are|was|were|does|do|seems?|looks?)\s*(?:not|n['’]t|never|hardly|far from|anything but)"
    r"|['’]s not|\s+(?:can|could|must|may)\s*(?:not|n['’]t|never)|\s+cannot|\s+fails? to)"
)
_ADVERB = (
    r"(?:\s+(?:all|just|simply|clearly|obviously|completely|quite|actually|really|entirely|totally|in fact|even|at all"
    r"|very|be|seem|look))*"
)
_DENIAL = re.compile(
    rf"\b{_SAID}(?:{_BE}{_ADVERB}\s+{_BAD}|{_NOT_BE}{_ADVERB}\s+{_GOOD})\b"
    r"(?!\s+(?:to|if|that|when|for|of|on|side)\b)"
    r"|\bit is (?:not true|untrue|false|wrong|incorrect) that\b"
    r"|\b(?:have|has|get|gets|got|give|gives|gave|is|are|be|yields?|makes?)\s+(?:an?|the|our) "
    r"(?:wrong|incorrect|false|inaccurate|mistaken) (?:answers?|results?|sums?|totals?|numbers?|values?|solutions?)\b"
    r"|\b(?:none|nothing|not (?:one|all|any)|hardly any) of (?:this|that|it|these|those|the above|what)\b[^.;!?]{0,20}"
    r"\b(?:right|correct|true|accurate|valid|holds)\b"
    r"|\b(?:this|that|it)\s+(?:can(?:not|['’]t|\snot)|could(?:n['’]t|\snot))\s+be\s*(?=[.!,;]|\Z)",
    re.IGNORECASE,
)
_RETRACTION = re.compile(
    r"\b(?:oops|scratch that|on second thoughts?|no,? wait|wait,? no|correction:|i take (?:that|it|this) back"
    r"|i (?:was|am|have been) (?:wrong|mistaken)|i(?:['’]ve| have)? ma(?:d|k)e an? (?:mistake|error)"
    r"|let me (?:re-?do|try (?:that |this )?again|start (?:over|again)|correct (?:that|this|myself|it))"
    r"|(?:forget|ignore|reject|disregard) (?:that|this|what i|the above|the (?:\w+ )?(?:answer|result|total|solution))"
    r"|(?:that|this|it|answer|result|total) should (?:rather |really )?have been|who knows|nobody knows"
    r"|do(?: no|n['’])t (?:trust|believe) (?:this|that|it|me|the)"
    r"|i (?:guess|suppose|doubt|have no idea|do(?: not|n['’]t) know|(?:could|may|might) be (?:wrong|mistaken))"
    r"|i(?:['’]m| am) (?:not sure|unsure|guessing)|i(?:['’]ve| have)? made (?:that|this|it|these) up)\b",
    re.IGNORECASE,
)
_NOUN = r"(?:answers?|solutions?|results?|total)"
_HEDGED = re.compile(
    rf"\b{_NOUN}\b(?:\s+(?:to|for|of)\s+(?:the|this)\s+\w+)?\s+(?:(?:could|might|may|can)(?:\s+\w+)?\s+be\b"
    r"(?!\s+(?:\w+ly\s+)?(?:\w+ed|found|written|shown|seen|got|given)\b)"  # can be computed by
    r"|(?:is|are|would be|will be)\s+(?:probably|possibly|perhaps|maybe|likely|presumably|supposedly|unlikely"
    r"|hopefully)\b)"
    r"|\b(?:maybe|perhaps|possibly|probably|not sure|unsure|uncertain|no idea|guess|wonder|doubt)\b"
    rf"[^.;!?]{{0,30}}\b{_NOUN}\b"
    rf"|\b{_NOUN}\s+(?:is|are|:)[^.;!?]{{1,30}},?\s+(?:maybe|perhaps|possibly|i guess|i suppose|or so|or something"
    r"|(?:but )?i(?:['’]m| am) not sure|give or take)\b",
    re.IGNORECASE,
)
_SUPPOSED = re.compile(
    rf"\b(?:if|suppose|supposing|assum(?:e|ing)|unless|whether|imagine|pretend|let us say|provided)\s+(?:that\s+)?"
    rf"(?:the|our|my|your)\s+(?:\w+\s+)?{_NOUN}\s+(?:is|are|was|were|be)\b",
    re.IGNORECASE,
)
_DENIED = re.compile(
    rf"\b{_NOUN}\s+(?:is|are|was|can|could|will|would)\s*(?:not|n['’]t|never|hardly)\b(?![^.;!?]*\bbut\b)"
    rf"|\b{_NOUN}\s+cannot\b"
    rf"|(?:\b(?:not|never|hardly|nobody|untrue|false|wrong|incorrect|deny|denies|mistaken)|n['’]t)\b[^,.;!?]{{0,25}}"
    rf"\b(?:that|say|says|think|believe|if)\s+(?:the|our|my)\s+(?:\w+\s+)?{_NOUN}\s+(?:is|are|was)\b",
    re.IGNORECASE,
)
_LISTED = re.compile(
    rf"\b{_NOUN}\s+(?:is|are|:)\s+(?:either\b|[^.;!?\d]{{0,8}}\d[\d,.]*%?(?:\s+\w+)?,?\s+or\s+(?:\w+\s+)?[$€£]?\d)",
    re.IGNORECASE,
)
_ASKED = re.compile(rf"\b{_NOUN}\b.*\d.*\?\W*\Z|\d.*\b{_NOUN}\b.*\?\W*\Z", re.IGNORECASE | re.DOTALL)
_NUMBER_DENIED = re.compile(
    r"(?:\b(?:not|never)|n['’]t)\s+"
    r"(?:(?:exactly|actually|really|equal to|be)\s+)*(?:[a-z]+\s+)?[$€£]?(\d[\d,]*(?:\.\d+)?)"
    r"(?![^.;]*\bbut\b)"
    r"|(\d[\d,]*(?:\.\d+)?)\s+(?:\w+\s+)?(?:is|are|was|were)\s+(?:\w+ly\s+)?"
    r"(?:(?:an?\s+|the\s+)?(?:wrong|incorrect|false)"
    r"|(?:not|never)\s+(?:right|correct|true|the (?:right|correct|true)))\b",
    re.IGNORECASE,
)
_NOT_THE_ANSWER = re.compile(
    r"\b(?:(?:is|are|was|were)\s*(?:not|n['’]t|never)|cannot be|can['’]t be)\s+(?:the|our|my|an?)\s+(?:\w+\s+)?"
    r"(?:answers?|results?|totals?|sums?|solutions?)\b(?!\s+(?:yet|to))",
    re.IGNORECASE,
)
_HEDGED_NUMBER = re.compile(
    r"=\s*(?:maybe|perhaps|probably|possibly|presumably|hopefully)\b"
    r"|\b(?:maybe|perhaps|probably|possibly|presumably|hopefully|i guess|i think)\s+(?:it is |it's )?[$€£]?\d",
    re.IGNORECASE,
)
_GUESSES = ("maybe", "perhaps", "probably", "possibly", "presumably", "hopefully", "i guess", "i think")
_ENDS = str.maketrans("\n!?", ";;;")  # where a sentence ends at the latest
_NOUNS = ("answer", "solution", "result", "total")
_KINDS = (("denied", _DENIED), ("supposed", _SUPPOSED), ("hedged", _HEDGED), ("listed", _LISTED))
# Below, what must occur in a text in lower case before it is worth reading sentence by sentence: most texts hold none.
_NEGATIONS = ("not", "n't", "n’t", "never", "hardly", "wrong", "false", "incorrect", "untrue")
_DOUBTS = (
    *_NEGATIONS, "cannot", "nobody", "deny", "denies", "mistak", "could", "might", " may ", "can be", "probably",
    "possibl", "perhaps", "maybe", "likely", "presum", "suppos", "hopeful", "unsure", "uncertain", "no idea", "guess",
    "wonder", "doubt", " or ", "give or take", "if ", "assum", "unless", "whether", "imagine", "pretend", "let us say",
    "provided", "?", "either",
)  # fmt: skip
_DENIALS = (
    *_NEGATIONS, "mistak", "inaccurate", "invalid", "nonsense", "error", "lie", "falsehood", "far from", "anything but",
    "fails to", "fail to", "none of", "nothing of", "any of",
)  # fmt: skip
_RETRACTS = (
    "oops", "scratch that", "second thought", "wait", "correction:", "take that back", "take it back", "take this back",
    "i was", "i am", "i'm", "i’m", "i have", "i made", "i've made", "i’ve made", "i make", "let me", "forget", "ignore",
    "reject", "regard", "should", "knows", "trust", "believe", "i guess", "i suppose", "i doubt", "i do", "i could",
    "i may", "i might",
)  # fmt: skip
_EVERY = tuple(dict.fromkeys((*_DOUBTS, *_DENIALS, *_RETRACTS)))
_HINTS = tuple(hint for hint in _EVERY if not any(other in hint for other in _EVERY if other != hint))


def may_waver(text: str) -> bool:
    """Whether any of what this module finds can be in `text`; a fast test that is never wrong when it says no."""
    return _hinted(text, _HINTS)


def _hinted(text: str, hints: tuple[str, ...]) -> bool:
    return any(map(text.lower().__contains__, hints))


def denial(text: str) -> str:
    """The words that call a statement of the text wrong; empty where none do."""
    match = _DENIAL.search(text) if _hinted(text, _DENIALS) else None
    return match.group() if match else ""


def may_deny(text: str) -> bool:
    """Whether a sentence of `text` can hold a denial or a retraction of any kind; never wrong when it says no."""
    told = text.translate(_ENDS)
    if denial(told) or retraction(told):
        return True
    return _hinted(told, _NEGATIONS) and bool(_NUMBER_DENIED.search(told) or _NOT_THE_ANSWER.search(told))


def hedged_number(text: str) -> str:
    """The words that make a number of the text a guess; empty where none do."""
    match = _HEDGED_NUMBER.search(text) if _hinted(text, _GUESSES) else None
    return match.group() if match else ""


def denied_numbers(text: str) -> list[str]:
    """Numbers, as written, that the text says are not there or are wrong: `there are not 24 of them`."""
    return [one or other for one, other in _NUMBER_DENIED.findall(text)]


def not_the_answer(text: str) -> bool:
    """Whether `text` says of something that it is not the answer, which is right of every other number."""
    return _NOT_THE_ANSWER.search(text) is not None


def retraction(text: str) -> str:
    """The words that take back what was said; empty where none do."""
    match = _RETRACTION.search(text) if _hinted(text, _RETRACTS) else None
    return match.group() if match else ""


def unsettled(sentence: str) -> str:
    """Why a sentence about the answer states none: `denied`, `hedged`, `supposed`, `listed` or `asked`; empty else."""
    if not _hinted(sentence, _NOUNS):
        return ""
    for kind, pattern in _KINDS:
        if pattern.search(sentence):
            return kind
    return "asked" if "?" in sentence and _ASKED.search(sentence) else ""
