"""English words that say nothing about what a text is about: function words, and those of any worked solution.

Beside function words (`curate.language.english`) there is a list that was drawn from what demonstrations of word
problems say that their questions do not (the words that many of them share), with other forms and near synonyms added.
Units of time, money and measure stand in it, since a solution may convert them.

>>> is_common("therefore"), is_common("dollars"), is_common("casino")
(True, True, False)
"""

from __future__ import annotations

from recast.curate.language.english import FUNCTION_WORDS
from recast.curate.language.stems import stem

SOLUTION = frozenset(
    """
    answer solution question problem result conclusion step part case way method approach reasoning
    explanation check verify confirm proof first second third fourth fifth sixth seventh eighth ninth tenth
    last next finally lastly firstly secondly initially originally previously afterwards later earlier
    beforehand similarly likewise further furthermore additionally namely simply directly accordingly
    consequently overall altogether together combined alone respectively zero two three four five six seven
    eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen nineteen twenty thirty
    forty fifty sixty seventy eighty ninety hundred thousand million billion dozen pair half quarter twice
    thrice single double triple quadruple number figure digit amount quantity value sum total difference
    product quotient remainder remaining ratio rate rest share portion fraction percent percentage
    proportion average mean median unit variable equation expression formula term side size count factor
    multiple equality equal equivalent numerator denominator decimal whole add addition subtract subtraction
    multiply multiplication divide division minus plus times increase decrease reduce raise square root
    power round convert conversion simplify substitute plug solve compute computation calculate calculation
    determine find obtain get give given yield make work set let call denote represent express write state
    say tell show note notice see know consider assume suppose think take use need want start begin
    beginning end finish become come go stay keep remain leave left put bring reach follow arrive apply
    perform combine split separate group compare match cancel isolate expand distribute evaluate account
    include contain consist hold belong involve require correspond indicate imply depend ask seek look try
    help understand recall remember reason fact information data detail example due algebra algebraic system
    parenthesis parentheses bracket cross constant coefficient integer deduct deduction proceed repeat
    identical define definition substitution rearrange exceed left-hand right-hand sign operation arithmetic
    break simple easy straightforward careful carefully scenario situation context list order goal aim task
    turn approach manner logic logical solved organize summarize summary breakdown walk through clear clearly obvious
    monday tuesday wednesday thursday friday saturday sunday january february march april june july
    august september october november december ago answered answering st nd rd th
    according based using going regardless thereby new old extra additional original initial final current
    present previous following certain different various able possible necessary needed required desired
    available correct right true actual entire full complete exact long short big small large great high low
    time minute hour day week weekend month year decade today tomorrow yesterday daily weekly monthly yearly
    hourly annual morning afternoon evening night age price cost worth money cash dollar cent penny nickel
    dime euro pound pay payment spend charge buy purchase sell sale earn earnings save profit loss lose gain
    bill budget expense income revenue change discount length width height depth weight distance speed area
    volume perimeter capacity mile kilometer metre meter centimeter millimeter inch foot yard gram kilogram
    ounce ton liter litre gallon cup degree mph km cm mm kg lb oz ft sq min hr item thing object piece type
    kind people person individual place back away receive collect gather own possess eat consume remove
    """.split()
)  # fmt: skip
TELLING = frozenset("he him his she her hers they them their theirs who whom whose".split())
"""Function words that speak of somebody."""
EMPTY = (FUNCTION_WORDS - TELLING) | frozenset(
    """
    answer solution result conclusion step number total sum first second third fourth fifth sixth next last
    finally firstly secondly lastly get got gets have make makes give gives equal equals plus minus times
    compute calculate solve find final
    """.split()
)
"""Words of a text that puts sums and its answer in a row and says no more."""
_COMMON = FUNCTION_WORDS | SOLUTION
_STEMS = frozenset(stem(word) for word in SOLUTION)


def is_common(word: str) -> bool:
    """Whether a word in lower case, is in one of the lists, or its stem is that of a word of solutions."""
    return word in _COMMON or stem(word) in _STEMS
