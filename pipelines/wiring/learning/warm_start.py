"""The warm start of `recast learn`: a rewriting job in several rounds, then SFT of a LoRA on what passed.

out/warm/rounds/       the rewriting jobs, while they run
out/warm/texts.jsonl   what passed and was learnt, to be read
out/warm/adapter/      what learning begins with
out/warm/manifest.json written last
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from recast.curate.errors import DataError, UsageError
from recast.curate.files import write_json, write_lines
from recast.curate.fingerprint import fingerprint, seed_of

if TYPE_CHECKING:
    from recast.agent.engines.protocol import Engine
    from recast.agent.learning.config import LearnConfig
    from recast.agent.learning.warm_start import Round, WarmStart, WarmStartConfig
    from recast.agent.prompts.prompts import Prompts
    from recast.curate.gate.gate import Gate

WARM, ROUNDS, TEXTS, ADAPTER, TUNED = "warm", "rounds", "texts.jsonl", "adapter", "sft"
BATCH_ROWS = 16
"""Rows that are drawn together: on a CPU some minutes of work, which a kill undoes at most."""
Progress = Callable[[Mapping[str, Any]], None]


@dataclass(frozen=True, slots=True)
class Begun:
    """What a warm start and the learning after it share."""

    model: str  # folder or hub id
    gate: Gate
    prompts: Prompts
    learning: LearnConfig
    memory: int | None


def warm_start(
    rows: Any, begun: Begun, config: WarmStartConfig, out: Path, progress: Progress | None = None
) -> WarmStart:
    """Draw, keep what passes, learn it by likelihood; finished parts of an earlier call in `out` stand.

    Raises UsageError where `out` holds learning that began otherwise, DataError where nothing passed.
    """
    from recast.agent.engines.hf.engine import HFEngine
    from recast.agent.learning.learn import JOB, parted_rows
    from recast.agent.learning.warm_start import Round, WarmStart, described
    from recast.curate.model_folder import identify
    from recast.train.model import run_folder

    folder = out / WARM
    if (out / JOB).exists() and not folder.exists():
        raise UsageError(
            f"{out} holds learning without a warm start. Choose another folder, or leave warm_start.rows out."
        )
    learning = begun.learning
    engine = HFEngine.load(begun.model, batch_size=learning.engine_batch, memory=begun.memory)
    parts = parted_rows(rows, engine.model, engine.tokenizer, learning, begun.prompts)
    run = fingerprint(
        {
            "config": config.model_dump(mode="json"),
            "learning": {n: getattr(learning, n) for n in ("max_tokens", "lora_rank", "lora_alpha", "seed")},
            "rows": fingerprint(parts.train),
            "backbone": engine.fingerprint,
            "gate": begun.gate.id,
            "prompt": begun.prompts.rewrite_id,
        }
    )[:16]
    known = run_folder.begin(folder, run)
    if known is None:
        drawn, rounds = _drawn(parts.train, engine, begun, config, folder / ROUNDS, progress)
        # a text may have more tokens read than it had said; none is to be left out for that
        longest = parts.longest_prompt + 4 * learning.max_tokens
        del engine  # SFT loads the weights anew, in float32
        losses = _learnt(drawn, longest, begun, config, folder, progress)
        known = {
            "fingerprint": run,
            "rounds": [asdict(r) for r in rounds],
            "rows": len({text["row_id"] for text in drawn}),
            "texts": len(drawn),
            **losses,
        }
        write_json(folder / run_folder.MANIFEST, known)
    for leftover in (ROUNDS, TUNED):
        shutil.rmtree(folder / leftover, ignore_errors=True)
    found = WarmStart(
        adapter=folder / ADAPTER,
        id=identify(folder / ADAPTER),
        rows=known["rows"],
        texts=known["texts"],
        rounds=tuple(Round(**found) for found in known["rounds"]),
        loss_before=known["loss_before"],
        loss_after=known["loss_after"],
    )
    if progress:
        progress({"phase": "warm start", "say": [described(found.to_dict())]})
    return found


def _drawn(
    rows: Sequence[Mapping[str, Any]],
    engine: Engine,
    begun: Begun,
    config: WarmStartConfig,
    folder: Path,
    progress: Progress | None,
) -> tuple[list[dict[str, Any]], list[Round]]:
    """Accepted texts (row_id, messages, completion), at most `config.texts` a row, and what each round brought."""
    from recast.agent.batches.source import Source
    from recast.agent.learning.warm_start import Round
    from recast.agent.rewriting.forecast import draw
    from recast.agent.rewriting.rewrite import RewriteConfig, rewrite

    # learning needs less of a row than a version has
    source = Source.of([{**row, "completion": row["demonstration"]} for row in rows])
    table, *_ = draw(source, config.rows)
    texts: dict[str, list[str]] = {row_id: [] for row_id in table["row_id"].to_pylist()}
    rounds: list[Round] = []
    planned = [(asked, t) for asked in _asked(begun.prompts, config) for t in config.temperatures]

    for number, (asked, temperature) in enumerate(planned, start=1):
        left = table.filter([len(texts[row_id]) < config.texts for row_id in table["row_id"].to_pylist()])
        if not left.num_rows:
            break
        settings = RewriteConfig(
            candidates=config.candidates,
            temperature=temperature,
            max_tokens=begun.learning.max_tokens,
            repairs=config.repairs,
            scoring=False,
            batch_rows=BATCH_ROWS,
            embedding="none",
            # the same seeds at another temperature would draw nearly the same texts
            seed=seed_of(begun.learning.seed, "warm start", number),
        )
        result = rewrite(
            left,
            engine,
            begun.gate,
            settings,
            folder / str(number),
            prompts=asked,
            beside=False,
            progress=_phase(progress, f"warm start, drawing {number} of {len(planned)}"),
        )
        candidates = result.candidates().read_all().select(["row_id", "text", "status"]).to_pylist()
        passed = [c for c in candidates if c["status"] == "accepted"]
        for candidate in passed:
            known = texts[candidate["row_id"]]
            if candidate["text"] not in known and len(known) < config.texts:
                known.append(candidate["text"])
        rounds.append(Round(asked.rewrite_id, temperature, left.num_rows, len(candidates), len(passed)))
    by_id = {str(row["row_id"]): row for row in rows}
    found = [
        {"row_id": row_id, "messages": begun.prompts.rewrite(by_id[row_id]), "completion": text}
        for row_id, kept in texts.items()
        for text in kept
    ]
    return found, rounds


def _asked(own: Prompts, config: WarmStartConfig) -> list[Prompts]:
    """The prompt that is learnt under, then the presets, each that asks otherwise than those before it."""
    from recast.agent.prompts.config import PromptsConfig
    from recast.agent.prompts.prompts import Prompts

    found = {
        p.rewrite_id: p for p in [own, *(Prompts(PromptsConfig(preset=name)) for name in config.presets)]
    }
    return list(found.values())


def _learnt(
    texts: list[dict[str, Any]],
    longest: int,
    begun: Begun,
    config: WarmStartConfig,
    folder: Path,
    progress: Progress | None,
) -> dict[str, float]:
    """Tune a LoRA on `texts`, keep it in `folder`, and return what they cost before and after."""
    from recast.train.sft.config import SftConfig
    from recast.train.sft.sft import TELEMETRY, sft

    if not texts:
        shutil.rmtree(folder)  # nothing was begun: the folder is free for other settings
        raise DataError(
            f"the warm start has nothing to learn: no rewrite of {config.rows} rows passed the gate. What helps: more "
            "rows (warm_start.rows), easier ones, another prompt (recast plan --prompts shows which), a larger model. "
            "`recast plan` says what the gate refuses."
        )
    write_lines(folder / TEXTS, texts)
    sft(
        texts,
        begun.model,
        SftConfig(
            lr=config.lr,
            epochs=config.epochs,
            batch_size=config.batch_size,
            lora_rank=begun.learning.lora_rank,
            lora_alpha=begun.learning.lora_alpha,
            max_length=longest,
            seed=begun.learning.seed,
        ),
        folder / TUNED,
        _phase(progress, "warm start, tuning"),
        memory=begun.memory,
    )
    adapter = folder / ADAPTER
    shutil.rmtree(adapter, ignore_errors=True)
    shutil.copytree(folder / TUNED / "adapter", adapter)
    # the same tokens before and after: what training itself has seen of the last epoch is a few batches unlike others
    seen = json.loads((folder / TUNED / TELEMETRY).read_text(encoding="utf-8"))
    return {
        f"loss_{when}": seen[which]["means"]["nll"]
        for when, which in (("before", "base"), ("after", "tuned"))
    }


def _phase(progress: Progress | None, words: str) -> Progress | None:
    """`progress` under a name."""
    return None if progress is None else lambda point: progress({"phase": words, **point})
