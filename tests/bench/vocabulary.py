"""Figures of the checks of characters and words.

    python -m tests.bench.vocabulary --data FOLDER [--show N] [misspelt|foreign|noise|withheld|real|speed ...]

FOLDER holds the real data sets (gsm8k, mwp, mmlu, gpteacher, pubmedqa); without names all parts run. `withheld` asks of
each demonstration whether it passes as a completion of its own row when only the question is known; `real` asks the
same of right solutions that models wrote, with the demonstration known. Prints each figure with its bound and asserts
nothing; processor microseconds of one process.
"""

from __future__ import annotations

import argparse
import json
import re
import string
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from random import Random

from recast.curate.gate.checks.case import Case
from recast.curate.gate.checks.words.characters import CharactersCheck
from recast.curate.gate.checks.words.format import FormatCheck
from recast.curate.gate.checks.words.vocabulary import VocabularyCheck
from recast.curate.language.prose import holds_code, prose
from recast.curate.records import CheckStatus

Row = tuple[str, str]
"""A question and its demonstration."""
MATH = (CharactersCheck(), VocabularyCheck())
TEXT = (CharactersCheck(), VocabularyCheck(open=True))
PROSE = ("gsm8k", "mwp", "mmlu", "pubmedqa")

FOREIGN = {
    "French": (
        "Au total il reste vingt-quatre billes.", "Chaque boîte contient huit crayons.",
        "On ajoute ensuite les deux nombres.",
        "Nous devons diviser le prix par trois.", "Elle a donc gagné dix euros de plus.", "Le résultat est juste.",
        "Pour finir, on soustrait la remise.", "Voici la dernière étape du calcul.",
    ),
    "German": (
        "Insgesamt bleiben ihr noch zwölf Äpfel.", "Jede Schachtel enthält acht Stifte.",
        "Dann addieren wir beide Zahlen.",
        "Der Preis wird durch drei geteilt.", "Also hat er zehn Euro mehr verdient.", "Das Ergebnis stimmt.",
        "Zum Schluss ziehen wir den Rabatt ab.", "Damit ist die Aufgabe gelöst.",
    ),
    "Spanish": (
        "En total quedan doce manzanas.", "Cada caja contiene ocho lápices.", "Después sumamos los dos números.",
        "El precio se divide entre tres.", "Por lo tanto ganó diez euros más.", "El resultado es correcto.",
        "Al final restamos el descuento.", "Con esto queda resuelto el problema.",
    ),
    "Italian": (
        "In tutto rimangono dodici mele.", "Ogni scatola contiene otto matite.", "Poi sommiamo i due numeri.",
        "Il prezzo si divide per tre.", "Quindi ha guadagnato dieci euro in più.", "Il risultato è giusto.",
        "Alla fine togliamo lo sconto.", "Così il problema è risolto.",
    ),
    "Polish": (
        "Razem zostaje dwanaście jabłek.", "Każde pudełko zawiera osiem ołówków.", "Potem dodajemy obie liczby.",
        "Cenę dzielimy przez trzy.", "Zarobił więc dziesięć złotych więcej.",
        "Wynik jest poprawny.", "Na końcu odejmujemy rabat.",
    ),
    "Turkish": (
        "Toplam on iki elma kalır.", "Her kutuda sekiz kalem var.", "Sonra iki sayıyı toplarız.", "Fiyat üçe bölünür.",
        "Demek ki on lira daha kazandı.", "Sonuç doğrudur.", "En sonunda indirimi çıkarırız.",
    ),
    "Indonesian": (
        "Jadi tersisa dua belas apel.", "Setiap kotak berisi delapan pensil.",
        "Kemudian kita jumlahkan kedua bilangan.",
        "Harganya dibagi tiga.", "Maka dia mendapat sepuluh lagi.",
        "Hasilnya sudah benar.", "Akhirnya kita kurangi potongannya.",
    ),
    "Latin": (
        "Ergo duodecim poma supersunt.", "Quaeque arca octo stilos continet.", "Deinde ambos numeros addimus.",
        "Pretium per tres dividitur.", "Itaque decem nummos plus accepit.",
        "Summa recta est.", "Postremo partem detrahimus.",
    ),
}  # fmt: skip


def lines(path: Path) -> Iterator[dict]:
    with path.open(encoding="utf-8") as file:
        yield from map(json.loads, file)


def read(data: Path) -> dict[str, list[Row]]:
    return {
        "gsm8k": [(d["question"], d["answer"]) for d in lines(data / "gsm8k" / "train.jsonl")],
        "mwp": [(d["question"], d["answer_cot"]) for d in lines(data / "mwp" / "svamp_nl.jsonl")],
        "mwp programs": [
            (d["question"], d["answer_cot"]) for d in lines(data / "mwp" / "svamp_python_sdp.jsonl")
        ],
        # the question with its right choice, of which only the other choices are known
        "mmlu": [
            ("\n".join(c for i, c in enumerate(d["choices"]) if i != "ABCD".index(d["answer"])),
             f"{d['question']} {d['choices']['ABCD'.index(d['answer'])]}")
            for d in lines(data / "mmlu" / "val.jsonl")
        ],
        "gpteacher": [
            (f"{d['instruction']}\n{d['input']}", d["response"]) for d in lines(data / "gpteacher" / "codegen.jsonl")
        ],
        "pubmedqa": [
            ("\n".join((d["QUESTION"], *d["CONTEXTS"])), d["LONG_ANSWER"])
            for d in lines(data / "pubmedqa" / "pqal_1000.jsonl")
        ],
    }  # fmt: skip


def case(completion: str, row: Row, *, withheld: bool = False) -> Case:
    """`withheld`: of the demonstration nothing is known but whether it is a program."""
    question, demonstration = row
    if withheld:
        demonstration = "```\n```" if holds_code(demonstration) else ""
    return Case(completion, demonstration, {"messages": [{"role": "user", "content": question}]})


def flagged(
    made: Case, checks: Iterable[CharactersCheck | VocabularyCheck | FormatCheck]
) -> tuple[str, str] | None:
    for check in checks:
        outcome = check.run(made)
        if outcome.status is CheckStatus.FAIL:
            return outcome.reason, outcome.message
    return None


def checks_of(name: str) -> tuple[CharactersCheck, VocabularyCheck]:
    return MATH if name in ("gsm8k", "mwp", "mwp programs") else TEXT


def slip(word: str, rng: Random) -> str:
    """`word` with one letter changed, put in, left out, or swapped with the next."""
    while True:
        at, kind = rng.randrange(len(word)), rng.randrange(4)
        letter = rng.choice(string.ascii_lowercase)
        made = (
            word[:at] + letter + word[at + 1 :],
            word[:at] + letter + word[at:],
            word[:at] + word[at + 1 :],
            word[:at] + word[at + 1 : at + 2] + word[at : at + 1] + word[at + 2 :],
        )[kind]
        if made != word:
            return made


def misspelt(sets: dict[str, list[Row]], show: int) -> None:
    rng = Random(7)
    for name in (*PROSE, "gpteacher"):
        seen, missed = 0, []
        rows = rng.sample(sets[name], min(1000, len(sets[name])))
        for question, demonstration in rows:
            words = list(re.finditer(r"(?<![\w'’-])[a-z]{4,}(?![\w'’-])", demonstration))
            if not words:
                continue
            at = rng.choice(words)
            wrong = slip(at.group(), rng)
            completion = demonstration[: at.start()] + wrong + demonstration[at.end() :]
            if wrong not in re.findall(r"\w+", prose(completion, holds_code(demonstration))):
                continue  # a name in a program
            found = flagged(case(completion, (question, demonstration)), checks_of(name))
            seen += found is not None
            if found is None:
                missed.append(f"{at.group()}>{wrong}")
        count = seen + len(missed)
        print(f"misspelt {name}: {seen}/{count} = {seen / count:.1%} seen (bound 90 %)", *missed[:show])


def foreign(sets: dict[str, list[Row]], show: int) -> None:
    rng = Random(3)
    for name, told in FOREIGN.items():
        missed = []
        for sentence in told:
            question, demonstration = rng.choice(sets["gsm8k"])
            marked = re.sub(r"<<.*?>>", "", demonstration).split("\n")
            completion = "\n".join([*marked[:1], sentence, *marked[1:]])
            if flagged(case(completion, (question, demonstration)), MATH) is None:
                missed.append(sentence)
        print(f"foreign {name}: {len(told) - len(missed)}/{len(told)} seen", *missed[:show])


def noises(rng: Random) -> dict[str, str]:
    """One text of each kind of noise."""

    def pick(alphabet: str, n: int) -> str:
        return "".join(rng.choice(alphabet) for _ in range(n))

    made_up = [
        "".join(rng.choice("bdfgklmnprstvz") + rng.choice("aeiou") for _ in range(rng.randint(2, 4)))
        for _ in range(9)
    ]
    return {
        "one letter": "a" * 5000,
        "newlines": "\n" * 500,
        "Chinese loop": "好的" * 60,
        "hex": pick("0123456789abcdef", 64),
        "base64": pick(string.ascii_letters + string.digits, 88),
        "emoji": "🙂" * 50,
        "letters": " ".join(pick(string.ascii_lowercase, rng.randint(3, 9)) for _ in range(8)),
        "made-up words": " ".join(made_up) + ".",
        "zero width": "the\u200b sum",
        "zalgo": "s\u0335\u0321\u0318u\u0336\u0322\u0319m",
        "escape": "\x1b[31mred\x1b[0m",
        "Cyrillic letter": "The t\u043etal is right.",
        "link": "See http://shop.example/offer for more.",
        "script": "<script>alert(1)</script>",
        "tool call": "<tool_call>{\"name\": \"calc\"}</tool_call>",
        "bidi": "The \u202etotal\u202c is right.",
    }  # fmt: skip


def noise(sets: dict[str, list[Row]], show: int) -> None:
    rng = Random(5)
    seen: Counter[str] = Counter()
    for _ in range(50):
        question, demonstration = rng.choice(sets["gsm8k"])
        for kind, text in noises(rng).items():
            completion = f"{demonstration}\n{text}"
            seen[kind] += (
                flagged(case(completion, (question, demonstration)), (*MATH, FormatCheck(max_ratio=1e9)))
                is not None
            )
    print("noise, seen of 50:", dict(seen))


def withheld(sets: dict[str, list[Row]], show: int) -> None:
    for name, rows in sets.items():
        checks = checks_of(name)
        reasons, shown = Counter(), []
        for row in rows:
            if found := flagged(case(row[1], row, withheld=True), checks):
                reasons[found[0]] += 1
                shown.append(found[1])
        share = sum(reasons.values()) / len(rows)
        print(
            f"withheld {name}: {sum(reasons.values())}/{len(rows)} = {share:.2%} flagged (bound 2 %)",
            dict(reasons),
        )
        print(*("    " + said for said in Random(1).sample(shown, min(show, len(shown)))), sep="\n")


def solutions(data: Path) -> Iterator[tuple[str, Row]]:
    """Right solutions of GSM8K's test questions that models wrote, with question and demonstration."""
    for d in lines(data / "gsm8k" / "example_model_solutions.jsonl"):
        row = (d["question"], d["ground_truth"])
        for told in d.values():
            if isinstance(told, dict) and told.get("is_correct"):
                yield told["solution"], row


def real(data: Path, show: int) -> None:
    reasons, shown, count = Counter(), [], 0
    for text, row in solutions(data):
        count += 1
        if found := flagged(case(text, row), MATH):
            reasons[found[0]] += 1
            shown.append(found[1])
    print(f"right solutions of models: {sum(reasons.values())}/{count} flagged", dict(reasons))
    print(*("    " + said for said in Random(1).sample(shown, min(show, len(shown)))), sep="\n")


def speed(sets: dict[str, list[Row]]) -> None:
    made = [case(row[1], row) for row in sets["gsm8k"]]
    for check in MATH:
        check.run(made[0])
    for warmed in (made[:3000], made[3000:]):
        for one in warmed:
            one.prompt  # noqa: B018 - read once by whichever check comes first
        begun = time.process_time()
        for one in warmed:
            for check in MATH:
                check.run(one)
        took = time.process_time() - begun
    print(f"speed: {took / len(made[3000:]) * 1e6:.0f} us a row (bound 120)")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "parts", nargs="*", default=["misspelt", "foreign", "noise", "withheld", "real", "speed"]
    )
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--show", type=int, default=0)
    args = parser.parse_args()
    sets = read(args.data)
    for part in args.parts:
        if part == "real":
            real(args.data, args.show)
        elif part == "speed":
            speed(sets)
        else:
            {"misspelt": misspelt, "foreign": foreign, "noise": noise, "withheld": withheld}[part](
                sets, args.show
            )


if __name__ == "__main__":
    main()
