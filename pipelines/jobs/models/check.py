"""`recast models check`: whether a model can be used here, what it costs, and the settings that suit it."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from recast.pipelines.options import Memory, Names, argument, option

if TYPE_CHECKING:
    from recast.pipelines.config import Config
    from recast.pipelines.terminal.progress import Progress

COLOURS = {"ok": "green", "note": "yellow", "problem": "bold red"}
REFUSED = 4
SAME, CLOSE = 0.01, 0.1
"""Mean KL (nats a token) up to which weights are the same but for their dtype, and beyond which they are others."""
SMALL = 10**9
"""Parameters up to which both dtypes are measured on a CPU."""


def job(
    name: Annotated[str, argument("Model folder, or a name such as smollm2.", metavar="MODEL"), Names.MODEL],
    *,
    against: Annotated[
        Path | None,
        option(
            "--against",
            help="GGUF file to compare the weights with. Default: the one that the folder was made from.",
            show_default=False,
        ),
        Names.FILE,
    ] = None,
    memory: Memory = None,
    config: Config,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Load a model, ask it something, and measure it as the jobs would use it. Nothing is changed.

    Looked at are tokenizer, chat template and end of turn; four greedy answers; the distance from the weights that it
    was made from; tokens a second; the memory that `learn`, `rewrite` and `sft` will take. Lengths are taken as
    prompts of 256 tokens and rows of 512.
    """
    from recast.agent.engines.hf.engine import HFEngine
    from recast.pipelines.doctor import Finding, model_health
    from recast.pipelines.models import needs, trial
    from recast.pipelines.models.names import model_path
    from recast.pipelines.wiring import models

    path = model_path(name)
    said = progress or (lambda point: None)
    findings = list(model_health(name))
    if any(f.topic == "model" and f.state == "problem" for f in findings):
        return {"model": name, "path": path, "problems": 1, "findings": [asdict(f) for f in findings]}
    settings = config.section("engine")
    said({"phase": "loading"})
    engine = HFEngine.load(path, None, settings.dtype, settings.device, max_length=settings.max_length)
    said({"phase": "asking"})
    answers = trial.answers(engine)
    ended = sum(a.finish_reason == "stop" for a in answers)
    findings.append(
        Finding("answers", "ok", f"{ended} of {len(answers)} greedy answers end their turn", "nothing to do")
        if ended > len(answers) / 2
        else Finding(
            "answers",
            "note",
            f"{ended} of {len(answers)} greedy answers end their turn within {trial.ANSWER_TOKENS} tokens",
            "if it is a base model, take its instruct version; else name its end of turn as eos_token",
        )
    )
    source = against or _source(Path(path))
    distance = None
    if source is not None:
        said({"phase": f"comparing with {source.name}"})
        distance = trial.drift(engine, source, answers)
        findings.append(_weights(distance, source))
    said({"phase": "measuring speed"})
    speeds = {engine.dtype: trial.speed(engine)}
    parameters = engine.model.num_parameters()
    for other in {"float32", "bfloat16"} - {engine.dtype}:
        if settings.dtype == "auto" and engine.device.type == "cpu" and parameters <= SMALL:
            speeds[other] = trial.speed(HFEngine.load(path, None, other, settings.device))
    size = models.memory(memory)
    learn, sft, rewrite = (config.section(section) for section in ("learn", "sft", "rewrite"))
    lora = sft.model_copy(update={"lora_rank": sft.lora_rank or learn.lora_rank})
    wanted = {
        "learn": needs.learning(engine.model, learn, size),
        "rewrite": needs.rewriting(engine.model, settings.batch_size, rewrite.candidates, rewrite.max_tokens),
        "sft": needs.tuning(engine.model, sft, size),
        "sft with a LoRA": needs.tuning(engine.model, lora, size),
    }
    for verb, need in wanted.items():
        if need.rows is None:
            findings.append(
                Finding("memory", "problem", f"{verb} does not fit", "a smaller model, or more memory")
            )
    best = max(speeds, key=lambda dtype: _rate(speeds[dtype]))
    suited = {
        "engine.dtype": "auto" if best == engine.dtype else best,
        "learn.micro_batch": wanted["learn"].rows,
        "sft.micro_batch_size": wanted["sft"].rows,
        "rewrite.temperature": trial.temperature(engine, answers),
    }
    return {
        "model": name,
        "path": path,
        "architecture": type(engine.model).__name__,
        "parameters": parameters,
        "vocabulary": engine.model.config.get_text_config().vocab_size,
        "context": engine.max_length,
        "dtype": engine.dtype,
        "device": str(engine.device),
        "problems": sum(f.state == "problem" for f in findings),
        "findings": [asdict(f) for f in findings],
        "answers": [{"question": q, "answer": a.text} for q, a in zip(trial.QUESTIONS, answers, strict=True)],
        "source": str(source) if source else None,
        "drift": distance,
        "speed": {dtype: asdict(measured) for dtype, measured in speeds.items()},
        "memory": {verb: asdict(need) for verb, need in wanted.items()},
        "settings": {key: value for key, value in suited.items() if value is not None},
    }


def exit_code(result: dict[str, Any]) -> int:
    return REFUSED if result["problems"] else 0


def _source(folder: Path) -> Path | None:
    """The GGUF file that `recast models get` made the folder from, where it still lies there."""
    import json

    manifest = folder / "manifest.json"
    if not manifest.exists():
        return None
    source = json.loads(manifest.read_text(encoding="utf-8")).get("source") or ""
    return Path(source) if source.endswith(".gguf") and Path(source).is_file() else None


def _weights(distance: float, source: Path) -> Any:
    from recast.pipelines.doctor import Finding

    found = f"{distance:.4f} nats a token from {source.name}"
    if distance <= SAME:
        return Finding("weights", "ok", f"{found}: the same but for the dtype", "nothing to do")
    if distance <= CLOSE:
        return Finding("weights", "note", f"{found}: close", "a finer dtype, or fetch it anew")
    return Finding("weights", "problem", f"{found}: other weights", "recast models get makes the folder anew")


def _rate(speed: Any) -> float:
    """Rewrites a second, as a rewrite reads about as many tokens as it draws."""
    return 1 / (1 / speed.prefill + 1 / speed.decode)


def show(result: dict[str, Any], console: Any) -> None:
    from rich.text import Text

    if "speed" in result:
        console.print(
            f"{result['model']}: {result['architecture']}, {result['parameters']:,} parameters, vocabulary "
            f"{result['vocabulary']:,}, {result['dtype']} on {result['device']}",
            markup=False,
        )
    for f in result["findings"]:
        line = Text(f"  {f['state']:8}", style=COLOURS[f["state"]])
        line.append(f"{f['topic']:10}", style="bold")
        line.append(f"{f['found']}; {f['fix']}", style="dim" if f["state"] == "ok" else "default")
        console.print(line)
    if "speed" not in result:
        return
    for dtype, speed in result["speed"].items():
        console.print(
            f"  {dtype:9} reads {speed['prefill']:,.0f} and draws {speed['decode']:,.0f} tokens a second",
            markup=False,
        )
    for verb, need in result["memory"].items():
        rows = f"rows a pass: {need['rows']}" if need["rows"] else "does not fit"
        console.print(f"  {verb:16} takes about {need['size'] / 2**30:.1f} GiB ({rows})", markup=False)
    sets = " ".join(f"--set {key}={value}" for key, value in result["settings"].items())
    console.print(f"settings that suit it: {sets}", markup=False)
