"""Exports through each trainer's own loader, in an environment of its own, against our account of it.

    make trainers                                       # all of them; the first time installs what is missing
    python -m tests.bench.trainers llamafactory mlx     # these

For each trainer 200 varied rows (plain, with a system turn, of several turns, with calls, with thoughts) are exported
and read by the trainer's own code (`pipelines.wiring.loaders`) with the tokenizer of a tiny model; the tokens that it
trains must be those that `curate.export.check.masks` says, one by one, and the same for `--turns all` where it means
that. The exit status is 1 where one differs. An environment shares this one's packages by a `.pth` file and holds the
trainer alone, without what it declares to need: `OUT` (default out/trainers) keeps it for the next time.
"""

from __future__ import annotations

import argparse
import json
import random
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
PACKAGES: dict[str, list[str]] = {
    "llamafactory": ["llamafactory==0.9.5", "trl==0.24.0", "omegaconf", "antlr4-python3-runtime==4.9.3"],
    "mlx": ["mlx-lm==0.32.2", "mlx==0.32.4", "mlx-cpu==0.32.4"],
    "openrlhf": ["openrlhf==0.11.2", "pylatexenc", "sympy", "mpmath"],
    "axolotl": ["axolotl==0.19.0", "addict", "colorama", "python-dotenv", "s3fs", "fastcore"],
    "nemo-automodel": ["nemo-automodel==0.7.0", "torchdata", "pillow"],
    "unsloth": ["unsloth", "unsloth_zoo==2026.10.9"],
    "verl": [
        *("verl==0.9.1", "omegaconf", "antlr4-python3-runtime==4.9.3", "tensordict==0.10.0", "pyvers", "orjson"),
        *("cloudpickle", "codetiming", "hydra-core", "ray", "click", "msgpack", "jsonschema", "protobuf"),
        *("jsonschema-specifications", "referencing", "rpds-py"),
    ],
    "verifiers": ["verifiers==0.4.0"],
    "torchtune": [
        *("torchtune==0.6.1", "torchdata", "omegaconf", "antlr4-python3-runtime==4.9.3", "torchao==0.9.0"),
        *("blobfile", "tiktoken", "sentencepiece", "kagglehub", "pycryptodomex", "lxml", "regex"),
    ],
}  # fmt: skip
"""What an environment holds beside the packages of this one."""
WITH_ALL_THEY_NEED = ("verifiers",)  # no package of it is among ours
ROWS, SEED = 200, 0


def environment(name: str, out: Path) -> Path:
    """The interpreter of the trainer's environment, made and filled where there is none."""
    folder = out / name
    stamp = folder / "installed.json"
    packages = folder / "lib" / f"python{sys.version_info.major}.{sys.version_info.minor}" / "site-packages"
    if not (stamp.exists() and json.loads(stamp.read_text()) == PACKAGES[name]):
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
        shared = sysconfig.get_path("purelib")
        (packages / "shared.pth").write_text(shared + "\n")
        pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "install", "--quiet"]
        pip += [] if name in WITH_ALL_THEY_NEED else ["--no-deps"]
        subprocess.run([*pip, "--no-compile", "--upgrade", "--target", packages, *PACKAGES[name]], check=True)
        stamp.write_text(json.dumps(PACKAGES[name]))
    return folder / "bin" / "python"


def varied_rows() -> list[dict[str, Any]]:
    """`ROWS` rows of all kinds that a trainer may know, in texts of many shapes."""
    from tests.fakes.exports import kinds_of_rows

    rng = random.Random(SEED)
    words = [
        " 12",
        " apples",
        "\n\n",
        "The",
        " answer",
        " is",
        " x = 3",
        "é",
        " 日本",
        "  two",
        "{a}",
        '"q"',
        " <b>",
        ".",
    ]
    text = lambda: ("Tom" + "".join(rng.choices(words, k=rng.randint(1, 30)))).strip()  # noqa: E731
    kinds = [row for row in kinds_of_rows() if row["row_id"] in ("talks", "calls", "thinks")]
    rows: list[dict[str, Any]] = []
    for n in range(ROWS):
        row = {"messages": [{"role": "user", "content": text()}], "completion": text(), "answer": "1"}
        if n % 8 == 1:
            row["messages"] = [{"role": "system", "content": text()}, *row["messages"]]
        elif n % 8 in (2, 3, 4):
            odd = json.loads(json.dumps(kinds[n % 8 - 2]))
            for turn in odd["messages"]:
                if turn["role"] in ("user", "system") or (turn["role"] == "assistant" and turn["content"]):
                    turn["content"] = text()
            row = {**odd, "completion": text()}
        rows.append({**row, "row_id": f"v{n}"})
    return rows


def held_against(name: str, turns: str, model: Path, out: Path) -> tuple[int, int, int, list[str]]:
    """Rows written, refused, tokens that train, and what differs."""
    from transformers import AutoTokenizer

    from recast.curate.export.export import export
    from recast.pipelines.wiring.loaders.witness import witness

    to, objective = parts(name)
    said: Any = None if objective != "sft" else turns
    store, folder = varied(out / "store"), out / f"{name}-{turns}"
    done = export(store, "varied", to, folder, objective=objective, turns=said)
    python = sys.executable if to == "trl" else environment(to, out / "environments")
    # torchtune asks its models' own tokenizers; the one that it is given here trains up to the end of a turn
    like = "unsloth" if to == "torchtune" else to
    told = witness(done, AutoTokenizer.from_pretrained(model), str(model), python=Path(python), like=like)
    wrong = [f"its loader failed: {told['failed']}"] if told["failed"] else []
    wrong += [f"{told['left_out']} rows were left out"] * bool(told["left_out"])
    wrong += [f"it makes {told['more']} examples of no row"] * bool(told["more"])
    if first := told.get("first"):
        wrong.append(f"{first['row']}: it trains {first['it_trains']!r}, we say {first['we_say']!r}")
    return done.rows, done.refused_rows, told["tokens_trained"], wrong + told["differ"][1:]


def parts(name: str) -> tuple[str, Any]:
    """Trainer and objective of a loader's name."""
    to, _, objective = name.rpartition("-")
    return (to, objective) if objective in ("dpo", "grpo") else (name, "sft")


def varied(home: Path) -> Any:
    """A store with `varied_rows`, each with a candidate that was refused."""
    from recast.curate.records import Candidate, Verdict, VerdictStatus
    from recast.curate.schema import candidate_table
    from recast.curate.store.store import Store

    store = Store(home)
    if not store.has("varied"):
        rows, bad = varied_rows(), Verdict(VerdictStatus.REJECTED)
        beside = [
            Candidate(row["row_id"], 0, 0, 0, f"Not {row['completion']}", 1, "stop", 0, bad) for row in rows
        ]
        store.commit(rows, "varied", candidates=candidate_table(beside))
    return store


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else None)
    parser.add_argument("names", nargs="*", metavar="TRAINER")
    parser.add_argument("--without-marks", action="store_true", help="a template without generation markers")
    parser.add_argument("--out", type=Path, default=Path("out/trainers"))
    given = parser.parse_args()
    from recast.curate.export.registry import FORMATS
    from recast.pipelines.wiring.loaders.readers import READERS
    from tests.fakes.models import TOOL_TEMPLATE, make_model

    out = given.out.absolute()
    model = make_model("llama", out / "model")
    template = TOOL_TEMPLATE
    if given.without_marks:
        template = template.replace("{% generation %}", "").replace("{% endgeneration %}", "")
    (model / "chat_template.jinja").write_text(template)
    failed = 0
    varied(out / "store")
    for name in given.names or READERS:
        to, objective = parts(name)
        trains = FORMATS[to].shapes["sft"].trains if objective == "sft" else "last"
        for turns in ("last", "all") if trains == "both" else (trains,):
            rows, refused, tokens, wrong = held_against(name, turns, model, out)
            failed += bool(wrong)
            print(
                f"{name:15} {turns:5} {rows:4} rows ({refused} refused)  {tokens:6} tokens train  {len(wrong)} differ"
            )
            for said in wrong[:3]:
                print(f"    {said}")
    return int(failed > 0)


if __name__ == "__main__":
    raise SystemExit(main())
