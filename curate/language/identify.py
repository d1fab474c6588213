"""Which of ten languages in Latin script a text is written in, by its function words; None where too few tell.

Deliberately shy: it speaks only where function words are many and those of one language lead by far, so that sums,
names and short answers have no language. Words that several languages share count for each of them.
"""

from __future__ import annotations

import re
from collections import Counter
from functools import lru_cache

_WORDS = {
    "English": "the and of are was that with for his her they each from how many has have will then this which",
    "French": "le la les des une est dans pour qui sur avec elle il sont donc combien et du au ce cette nous",
    "German": "der die das und ist ein eine nicht mit auf für sie wir von zu den dem hat insgesamt wie viele",
    "Spanish": "el la los las una es por con para que del su son cuántos tiene hay y se cada más",
    "Italian": "il gli una è di che per con non sono della nel quindi ha del ogni più alla",
    "Portuguese": "os um uma é em por com para que não são do da tem cada mais ao quantos",
    "Dutch": "het een van dat met voor niet zijn op heeft dus elke hoeveel wordt naar en de",
    "Swedish": "och att det är som på med för inte hon han har av till den ett en hur många",
    "Polish": "jest nie się że na do jak ile oraz ma są każdy więc po dla które",
    "Turkish": "bir ve bu için ile kaç çok her daha olarak var toplam olan ne",
}
_LANGUAGES: dict[str, tuple[str, ...]] = {}
for _language, _listed in _WORDS.items():
    for _word in _listed.split():
        _LANGUAGES[_word] = (*_LANGUAGES.get(_word, ()), _language)
MIN_WORDS = 5
MIN_LEAD = 2.0
_LETTERS = re.compile(r"[^\W\d_]+")


@lru_cache(maxsize=1024)
def language(text: str) -> str | None:
    """The language of which `text` has at least five different function words, and twice as many as of any other."""
    hits = Counter(
        language for word in set(_LETTERS.findall(text.lower())) for language in _LANGUAGES.get(word, ())
    )
    (first, most), (_, next_most) = [*hits.most_common(2), ("", 0), ("", 0)][:2]
    return first if most >= MIN_WORDS and most >= MIN_LEAD * next_most else None
