"""The main job on real text: GSM8K and program solutions, learned on one half, rewritten on the other.

    python tests/bench/real_input.py --data ../shared/data --out real-input [--limit 400] [--source programs]

Uses the `recast` command as a person would, then judges the accepted rewrites by a checker of its own that
shares no code with the gate: final answers and every `a op b = c` in plain notation, worked out as
fractions. Prints JSON: acceptance, fallback reasons, rightness, word-level edit distance from the
demonstration without its annotations, rows per second.
"""

from __future__ import annotations

import argparse
import difflib
import json
import re
import statistics
import subprocess
import sys
import time
from fractions import Fraction
from pathlib import Path
from typing import Any

from recast.pipelines.demo.world import half_of

SOURCES = {
    "gsm8k": ("gsm8k/train.jsonl", "answer", []),
    "programs": (
        "mwp/svamp_python_sdp.jsonl",
        "answer_cot",
        [
            "--map",
            "id=item_id",
            "--map",
            "prompt=question",
            "--map",
            "completion=answer_cot",
            "--map",
            "answer=answer_value",
        ],
    ),
}
LEARN = [
    "steps=30",
    "prompts_per_step=8",
    "candidates=8",
    "lr=1e-3",
    "lora_rank=32",
    "beta=0",
    "max_tokens=320",
]


def recast(*args: str, store: Path) -> dict[str, Any]:
    """Run one command and return its JSON. Exit code 3 (some rows failed) is an outcome, too."""
    command = [sys.executable, "-m", "recast.pipelines.cli", *args, "--store", str(store), "--json"]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True)
    if done.returncode not in (0, 3):
        raise SystemExit(f"{' '.join(args)} ended with {done.returncode}: {done.stdout}")
    return json.loads(done.stdout)


def split_halves(path: Path, out: Path) -> list[Path]:
    """The two halves of a file by the hash of the question, as files."""
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    halves = []
    for half in (0, 1):
        halves.append(out / f"half-{half}.jsonl")
        kept = [r for r in rows if half_of(r["question"]) == half]
        halves[-1].write_text("".join(json.dumps(r) + "\n" for r in kept), encoding="utf-8")
    return halves


NUMBER = r"-?\$?\d[\d,]*(?:\.\d+)?|-?\.\d+"
SUM = re.compile(
    rf"(?<![\d.\w])((?:{NUMBER})(?:\s*[-+*/x×]\s*(?:{NUMBER}))+)"
    rf"\s*=\s*\$?((?:{NUMBER})(?:/\d+)?)(?![\d,]*\.?\d|\s*[-+*/x×%])"
)
PIECE = re.compile(r"\d[\d,]*(?:\.\d+)?|\.\d+|[-+*/x×]")


def exact(text: str) -> Fraction:
    """`1,200`, `$3.50` or `1/6` as a fraction."""
    return Fraction(text.replace(",", "").replace("$", "").strip().rstrip("."))


def worked(expression: str) -> Fraction:
    """Value of a flat expression: products and quotients first, from the left."""
    pieces = PIECE.findall(expression.replace("$", ""))
    if pieces[0] == "-":
        pieces[:2] = ["-" + pieces[1]]
    terms, signs = [exact(pieces[0])], ["+"]
    for op, number in zip(pieces[1::2], pieces[2::2], strict=True):
        value = exact(number)
        if op in "*x×":
            terms[-1] *= value
        elif op == "/":
            terms[-1] /= value
        else:
            terms.append(value)
            signs.append(op)
    return sum((t if s == "+" else -t for t, s in zip(terms, signs, strict=True)), Fraction(0))


def judged_right(text: str, answer: str) -> str:
    """`right`, or what is wrong: `no answer`, `answer`, `sum`, `unreadable`."""
    said = re.findall(rf"answer is:?\s*<?\$?({NUMBER})", text) or re.findall(rf"####\s*({NUMBER})", text)
    if not said:
        return "no answer"
    try:
        if exact(said[-1]) != exact(answer):
            return "answer"
        for expression, result in SUM.findall(text):
            places = len(result.partition(".")[2])
            # a decimal may be rounded or cut at its last place, a whole number may not
            if abs(worked(expression) - exact(result)) > (Fraction(1, 10**places) if places else 0):
                return "sum"
    except (ValueError, ZeroDivisionError):
        return "unreadable"
    return "right"


def edit_distance(before: str, after: str) -> float:
    """1 - matched words / longer text, annotations stripped from the demonstration."""
    stripped = re.sub(r"<<[^>]*>>", "", before)
    a, b = stripped.split(), after.split()
    matched = sum(
        block.size for block in difflib.SequenceMatcher(None, a, b, autojunk=False).get_matching_blocks()
    )
    return 1 - matched / max(len(a), len(b), 1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, default=Path("real-input"))
    parser.add_argument("--source", choices=SOURCES, default="gsm8k")
    parser.add_argument("--model", default="pocket")
    parser.add_argument("--limit", type=int, help="rows of the second half to rewrite (default: all)")
    parser.add_argument("--bare", action="store_true", help="no agent: the backbone rewrites")
    args = parser.parse_args()
    file, _, mapping = SOURCES[args.source]
    args.out.mkdir(parents=True, exist_ok=True)
    store = args.out / "store"
    halves = split_halves(args.data / file, args.out)
    for half, path in enumerate(halves):
        recast("import", str(path), "--as", f"{args.source}-{half}", *mapping, store=store)
    agent: list[str] = []
    learned: dict[str, Any] = {}
    if not args.bare:
        sets = [part for s in LEARN for part in ("--set", f"learn.{s}")]
        learned = recast("learn", f"{args.source}-0", "--model", args.model, *sets, store=store)
        agent = ["--agent", learned["out"]]
    limit = ["--limit", str(args.limit)] if args.limit else []
    began = time.monotonic()
    new = recast(
        "rewrite", f"{args.source}-1", "--as", f"{args.source}-1-rewrites", "--model", args.model, *agent, *limit,
        "--set", "rewrite.candidates=4", "--set", "rewrite.max_tokens=320", store=store,
    )  # fmt: skip
    seconds = time.monotonic() - began
    from recast.curate.store.store import Store

    rows = Store(store).open(new["version"]).table().to_pylist()
    assert all(row["decision"] != "fallback" or row["reason"] for row in rows), "a fallback without a reason"
    accepted = [row for row in rows if row["decision"] in ("rewrite", "repair")]
    verdicts = [judged_right(row["completion"], row["answer"]) for row in accepted]
    wrong = [
        (v, r["completion"], r["answer"]) for v, r in zip(verdicts, accepted, strict=True) if v != "right"
    ]
    print(
        json.dumps(
            {
                "source": args.source,
                "rows": len(rows),
                "accepted_share": len(accepted) / len(rows),
                "right_share": verdicts.count("right") / max(1, len(accepted)),
                "not_right": wrong[:5],
                "edit_distance_median": statistics.median(
                    [edit_distance(r["demonstration"], r["completion"]) for r in accepted] or [0.0]
                ),
                "fallback_reasons": new["reasons"],
                "rows_per_second": len(rows) / seconds,
                "seconds": {k: round(v, 1) for k, v in new["seconds"].items()},
                "learned": {k: learned.get(k) for k in ("before", "after", "seconds")},
            },
            indent=1,
        )
    )


if __name__ == "__main__":
    main()
