"""What is left of labelled rewrites when those that their writer was least sure of are not kept.

    python -m tests.bench.doubt --data DATA --out out/doubt [--model pocket smollm2] [--refused 0.72] [--json]

Rewrites that a gate accepted, read one by one: the pocket's of GSM8K (pocket-labels.jsonl, where these tell `wrong`
from the rest alone), SmolLM2's of draws 2 to 7 (fresh-labels.jsonl, each of the gate of its day). Their hesitation
(`agent.rewriting.choice`) is that of the same tokens under the prompt that they were drawn under; it is kept in --out,
so a killed run goes on. `--refused` is the share of all candidates that the gate refuses, which decides how much of the
doubt counts: 0.72 for the pocket and 0.97 for SmolLM2 unless said.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from recast.agent.prompts import templates
from recast.agent.rewriting.choice import HESITATION, hesitation
from recast.curate import chat
from recast.curate.files import append_line, read_lines
from recast.curate.intervals import wilson
from recast.pipelines.models.names import model_path
from recast.train.model.loading import load
from tests.bench.accepted import rows_of
from tests.bench.alignment import auc

FOLDER = Path(__file__).parent
WRITERS = {  # labels, the share of all candidates that the gate refused
    "pocket": ("pocket-labels.jsonl", 0.72),
    "smollm2": ("fresh-labels.jsonl", 0.97),
}
DOUBTS = (0.0, 0.1, 0.25, 0.5, 0.75)


class Writer:
    """The model that wrote the texts, asked how likely each of their tokens was to it."""

    def __init__(self, name: str) -> None:
        model, self.tokenizer = load(model_path(name), "float32" if name == "pocket" else "bfloat16", "cpu")
        self.model = model.eval()

    @torch.no_grad()
    def hesitation(self, row: Mapping[str, Any], text: str) -> float:
        asked = templates.rewrite(row["messages"], row["demonstration"])
        prompt = chat.prompt_ids(self.tokenizer, asked)
        told = chat.completion_ids(self.tokenizer, text)
        logits_TV = self.model(torch.tensor([[*prompt, *told]])).logits[0, len(prompt) - 1 : -1].float()
        logprobs_T = logits_TV.log_softmax(-1).gather(1, torch.tensor(told)[:, None])[:, 0]
        return hesitation(logprobs_T.tolist())


def measured(name: str, data: Path, out: Path) -> list[dict[str, Any]]:
    """The labels of a writer whose texts were accepted without doubt, each with the hesitation of its text."""
    lines = (FOLDER / WRITERS[name][0]).read_text(encoding="utf-8").splitlines()
    labels = [label for label in map(json.loads, lines) if not label.get("doubt")]
    file, rows = out / f"{name}.jsonl", rows_of(data)
    there = {line["place"]: line[HESITATION] for line in read_lines(file)}
    writer = Writer(name) if len(there) < len(labels) else None
    for place, label in enumerate(labels):
        if place not in there:
            assert writer is not None
            of = writer.hesitation(rows[label["source"], label["question_hash"]], label["completion"])
            append_line(file, {"place": place, HESITATION: of})
            there[place] = of
            print(f"{name}  {place + 1} of {len(labels)}", file=sys.stderr, end="\r")
    return [{**label, HESITATION: there[place]} for place, label in enumerate(labels)]


def table(items: list[dict[str, Any]], refused: float) -> dict[str, Any]:
    surest_first = sorted(items, key=lambda item: item[HESITATION])
    of = {label: [i[HESITATION] for i in items if i["label"] == label] for label in ("right", "wrong")}
    kept: dict[str, Any] = {}
    for doubt in DOUBTS:
        left = surest_first[: len(items) - int(doubt * refused * len(items))]
        right, arguable, wrong = (
            sum(item["label"] == label for item in left) for label in ("right", "arguable", "wrong")
        )
        low, high = wilson(right, right + wrong)
        kept[str(doubt)] = {
            "right": right, "arguable": arguable, "wrong": wrong,
            "right_among_kept": f"{right / (right + wrong):.1%} [{low:.1%}, {high:.1%}]",
            "right_ones_kept": f"{right / len(of['right']):.1%}",
        }  # fmt: skip
    return {
        "texts": len(items),
        "auc": round(auc(np.array(of["wrong"]), np.array(of["right"])), 3),
        "doubt": kept,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--model", nargs="+", choices=tuple(WRITERS), default=list(WRITERS))
    parser.add_argument("--refused", type=float, help="share of all candidates that the gate refuses")
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)
    result = {
        name: table(measured(name, args.data, args.out), args.refused or WRITERS[name][1])
        for name in args.model
    }
    print(json.dumps(result, indent=None if args.json else 2))


if __name__ == "__main__":
    main()
