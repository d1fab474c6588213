"""What holds English sentences together, and what no English sentence holds.

Function words carry no content of their own; a text that lacks or shuffles them is no prose, whatever its other words.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

FUNCTION_WORDS = frozenset(
    """
    a an the let this that these those such same other others another each every either neither both all any some none
    no not nor only i me my mine myself we us our ours ourselves you your yours yourself he him his himself
    she her hers herself it its itself they them their theirs themselves one ones who whom whose which what
    whatever when whenever where wherever why how and or but if then than so as because since while although
    though unless until whereas whether of in on at by for with from to into onto upon out off up down over
    under above below between among amongst through throughout during before after against about around
    across along within without toward towards per via like am is are was were be been being isn't aren't
    wasn't weren't do does did done doing don't doesn't didn't has have had having haven't hasn't hadn't
    will would shall should can could may might must won't wouldn't can't cannot couldn't there's that's
    it's he's she's they're we're i'm you're let's they'll he'll she'll we'll it'll who's what's here's
    there here now already still yet also too very just quite even ever never always again once more most
    less least few fewer many much several enough almost nearly exactly however therefore thus hence
    moreover otherwise instead etc well else rather everything everyone everybody something someone somebody
    anything anyone anybody nothing nobody everywhere somewhere anywhere somehow whichever whoever
    """.split()
)
"""The one list of them; what else a reading passes over is said where it is added."""
_DOUBLED = frozenset(
    "the a an of to in and for with are he she it was by from at or as how what which this these my "
    "your his her their they we you has".split()
)
_DETERMINERS = frozenset("the an my your their our its every".split())
_NEVER_AFTER = frozenset(
    "the an my your their our its and or of is are was were in on at to for from with by he she it they "
    "we has have had so because if than per into".split()
)
_MODALS = frozenset("will would can could should must may might to".split())
IMPOSSIBLE = (
    frozenset((word, word) for word in _DOUBLED)
    | {(a, b) for a in _DETERMINERS for b in _NEVER_AFTER}
    | {(a, b) for a in _MODALS for b in ("has", "is", "was", "were")}
    | {("does", "has"), ("did", "has")}
    | {(a, b) for a in ("they", "we") for b in ("is", "has", "was")}
    | {("he", "are"), ("she", "are"), ("it", "are"), ("i", "has"), ("i", "is"), ("you", "has"), ("you", "is")}
)
"""Words that never follow each other."""
_FOLLOW = """
of: of and is if has was are were have had will can could does did would because though he she they we i then than
in: of is if has are was were have had he she they we i
for: of is has are was were have had will can could does did would he she they we i
with: of is has are was were have had will can could does did would he she they i
from: of is has are was were have had he she they we i
by: of is has are was were have had does did he she they we i
to: of is has was are were had does did would could he she they
at: of is has was are were have had he she they i
and: of per than
per: the of and to is for he she with are was by there were her his we it they be an than i
than: of and so per
he: the of a for she we it they an i them their her many much each
she: the of a for he we it they an i them their his many much each
they: the of a for he she we it i an is has was
we: the of a he she it they i is has was
is: of has have can will does did would
are: is has was have can will does did would
was: is has are have can will does did
were: is are was has have can will does did
has: of is are was were have will does did
have: of is are was were has will does did
had: of is are was were has have will does did
will: of is has are was were had can
if: of is has was were have had
"""
SELDOM = frozenset(
    (first, second)
    for line in _FOLLOW.strip().splitlines()
    for first, listed in (line.split(": "),)
    for second in listed.split()
)
"""Words that follow each other in one of some thousand sentences, as `what he lives for is` does; drawn from pairs of
function words that 1.8 million words of questions, solutions, abstracts and instructions hold a sixtieth as often as
chance would have them, or less."""
TWICE = frozenset("very that had is really much far so no bye ha knock".split())
"""Words that may stand twice in a row."""
NEVER_LAST = frozenset(f"{word}{sign}" for word in _DETERMINERS | {"than"} for sign in ".,;!")
"""Words that no clause ends in, with the sign after them."""
NEVER_THE_END = _DETERMINERS | frozenset(
    "a and or but of than because if with into from at by per is are was were".split()
)
"""Words after which a text without a last sign was cut off."""
SELDOM_THE_END = NEVER_THE_END | frozenset(
    "to so for on in as that which who whose since while when where be been has have had will would can could should "
    "his her this these those each then".split()
)
"""Words after which one may have been: `what it is for` is whole."""
NUMBER = "#"
_FIGURE = re.compile(r"[$€£]?\d[\d,]*(?:\.\d+)?%?[.,;:!?]?")


def content_pairs(pieces: Iterable[str]) -> list[tuple[tuple[str, str], bool]]:
    """Content words that follow each other with no sign between them, and whether function words stand between.

    `pieces` are what white space parts. Signs end a run; a number, whichever it is, stands in it as NUMBER.

    >>> content_pairs("She sold clips in May.".split())
    [(('sold', 'clips'), False), (('clips', 'may'), True)]
    >>> content_pairs("She sold 48 of the clips.".split())
    [(('sold', '#'), False), (('#', 'clips'), True)]
    """
    found: list[tuple[tuple[str, str], bool]] = []
    last, between = "", False
    for piece in pieces:
        word = piece if piece.isalpha() else piece.replace("'", "").rstrip(".,;:!?")
        if not word.isalpha():
            if not _FIGURE.fullmatch(piece):
                last, between = "", False
                continue
            word = NUMBER
        low = word.lower()
        if low in FUNCTION_WORDS and word not in ("May", "Will"):  # a month, a man
            between = True
        else:
            if last:
                found.append(((last, low), between))
            last, between = low, False
        if piece[-1] in ".,;:!?":
            last, between = "", False
    return found
