"""`recast learn`: teach a rewriting agent on a version's demonstrations."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from recast.pipelines.options import Limit, Memory, ModelPath, OutFolder, Seed, UnsafeExec, VersionRef

if TYPE_CHECKING:
    from recast.curate.store.store import Store
    from recast.pipelines.config import Config
    from recast.pipelines.run.runs import Run
    from recast.pipelines.terminal.progress import Progress

STOPPED = {
    "heldout_reward_fell": "the held-out reward fell for long; the best adapter is from before",
    "alarm_kl": "the agent went too far from its backbone",
    "alarm_repetition": "the rewrites began to repeat themselves",
}
"""What ends a run before its last step, in words."""


def job(
    name: VersionRef,
    *,
    model: ModelPath = None,
    out: OutFolder = None,
    seed: Seed = None,
    limit: Limit = None,
    memory: Memory = None,
    unsafe_exec: UnsafeExec = False,
    store: Store,
    config: Config,
    run: Run,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Train a LoRA on the frozen backbone by GRPO to rewrite the demonstrations of `name`.

    The reward is the gate, and behind it alignment with the backbone's own likelihood and diversity in the
    group. The adapter, its curves and its held-out figures before and after go to `out`.
    """
    from recast.agent.learning.learn import learn
    from recast.pipelines.models.names import model_path
    from recast.pipelines.wiring import models, outputs
    from recast.pipelines.wiring.gates import open_gate
    from recast.pipelines.wiring.learning.warm_start import Begun, warm_start
    from recast.pipelines.wiring.prompts import open_prompts

    version = store.resolve(name)
    rows = store.open(version).dataset()
    if limit is not None:
        rows = rows.select(range(min(limit, len(rows))))
    prompts = open_prompts(config.section("prompts"), store)
    gate = open_gate(
        config.gate_for("learn"),
        engine=config.section("judge"),
        judge_prompt=prompts.config.judge,
        unsafe_exec=unsafe_exec,
    )
    folder = outputs.folder(out, run, "agent")
    settings, start = config.section("learn", seed=seed), config.section("warm_start")
    available = models.memory(memory)
    warm = None
    if start.rows:
        begun = Begun(model_path(str(model)), gate, prompts, settings, available)
        warm = warm_start(rows, begun, start, folder, progress)
    backbone, tokenizer = models.load(str(model))
    result = learn(
        rows,
        backbone,
        tokenizer,
        gate,
        settings,
        folder,
        prompts=prompts,
        source={"version": version.ref, "version_id": version.id},
        progress=progress,
        memory=available,
        warm=warm,
    )
    return {"out": str(folder), "data": version.ref, "model": str(model), **result.to_dict()}


def show(result: dict[str, Any], console: Any) -> None:
    console.print(
        f"{result['out']}: {result['steps']} steps on {result['rows']} rows of {result['data']}", markup=False
    )
    if warm := result.get("warm_start"):
        from recast.agent.learning.warm_start import described

        console.print(f"  {described(warm)}", markup=False)
    for name, before in result["before"].items():
        after = result["best"].get(name)
        if isinstance(before, float) and isinstance(after, float):
            console.print(f"  held out {name.replace('_', ' '):24} {before:.3f} -> {after:.3f}", markup=False)
    if result["stopped"] != "steps":
        console.print(f"  stopped early: {STOPPED[result['stopped']]}", markup=False)
    for name, words in result["alarms"].items():
        console.print(f"  alarm {name}: {words}", markup=False)
    if result["best_step"] == 0:
        kept = "warm start" if result.get("warm_start") else "untrained adapter"
        console.print(
            f"  no step was better than the {kept}, which is kept: learn longer, or at another learning rate",
            markup=False,
        )
        for words in (result.get("signal") or {}).get("advice", ()):
            console.print(f"  {words}", markup=False)
        if not result.get("warm_start"):
            return
    console.print(f"use it: recast rewrite {result['data']} --agent {result['out']} --as NAME", markup=False)
