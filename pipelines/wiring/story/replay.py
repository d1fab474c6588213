"""A row of a version made again from what is recorded of its run, and why it comes out the same or not.

Recorded are: the command and its settings (run folder), the batch (plan and parts), the seeds and texts of all
candidates, and the identities of backbone, agent and prompts. Not recorded are the machine, its threads and the
versions of its libraries.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import yaml

from recast.curate import yaml_file
from recast.curate.errors import RecastError, UsageError
from recast.curate.history.lineage import Event, blame, origin_of
from recast.curate.schema import VERSION_SCHEMA
from recast.curate.store.gather import fetch
from recast.pipelines.config import Config
from recast.pipelines.run import identity
from recast.pipelines.run.runs import RESOLVED, recast_version
from recast.pipelines.wiring.exactly import ROUNDS

if TYPE_CHECKING:
    from recast.agent.batches.parts import Plan
    from recast.agent.batches.source import Source
    from recast.agent.engines.protocol import Engine
    from recast.agent.rewriting.attempts import Method
    from recast.agent.rewriting.replay import Replayed
    from recast.curate.store.snapshot import Snapshot
    from recast.curate.store.store import Store

NOT_SAMPLED = {
    "expert": "it reads as the expert wrote it: nothing was sampled",
    "edited": "a person wrote it",
    "generated": "it was generated with its whole version: `recast augment` or `recast rehearse` makes that again",
}
UNPROMISED = {
    "vllm": "vLLM does not promise the same bytes: a sample depends on what is sampled beside it",
    "http": "a server does not promise the same bytes: a sample depends on its load",
}
UNRECORDED = (
    "nothing that is recorded differs: the machine, its threads or the versions of its libraries are others, of which "
    "the run keeps none"
)


@dataclass(frozen=True, slots=True)
class Replay:
    """What came of it. `cannot`: something that the run had is missing here. `nothing`: no model made the row."""

    row_id: str
    target: int
    version: str
    made_in: str
    decision: str
    outcome: Literal["same", "different", "cannot", "nothing"]
    why: list[str]
    engine: str | None = None
    run: str | None = None
    candidates: list[Replayed] = field(default_factory=list)
    batch_rows: int = 0

    def to_json(self) -> dict[str, Any]:
        told = [{**asdict(c), "same": c.same} for c in self.candidates]
        return {**asdict(self), "candidates": told}


class _MissingError(Exception):
    """Something that the run had is not here."""


def replay(store: Store, ref: str, row: str, target: int = 0) -> Replay:
    """Make row `row` of the version `ref` again. Raises UsageError where the version has no such row."""
    events = blame(store, ref, row, target)
    last = next((e for e in events if e.op != "rescore"), events[0])
    made = origin_of(events, last)
    if made.row is None or last.row is None:
        raise UsageError(f"row {last.row_id} is not in {ref}: {last.version.ref} removed it.")
    about = {
        "row_id": last.row_id, "target": target, "version": store.resolve(ref).ref, "made_in": made.version.ref,
        "decision": made.row["decision"], "engine": made.row["engine"],
    }  # fmt: skip
    if why := NOT_SAMPLED.get(about["decision"]):
        return Replay(**about, outcome="nothing", why=[why])
    try:
        return _again(store, made, about)
    except _MissingError as missing:
        return Replay(**about, outcome="cannot", why=[str(missing)])


def _again(store: Store, made: Event, about: Mapping[str, Any]) -> Replay:
    from recast.agent.batches.parts import Parts, Plan
    from recast.agent.batches.source import Source
    from recast.agent.rewriting.replay import batch_of, replay
    from recast.agent.rewriting.rounds import POSITIONS

    assert made.row is not None  # as `replay` has seen
    folder = _folder_of(store.root, made.row["run_id"])
    run = folder.parents[1] if (folder / POSITIONS).exists() else folder  # a round lies inside its run
    plan = Plan(**json.loads((folder / "plan.json").read_text(encoding="utf-8")))
    asked = _resolved(run)
    given = asked.get("given") or {}
    try:
        snapshot = store.open(made.version.meta["rewritten"])
        source = Source.of(snapshot, given.get("limit")) if folder == run else _of_round(folder, snapshot)
        rows, place = batch_of(source, plan, Parts(folder, plan), about["row_id"], 0)
    except (KeyError, RecastError) as missing:
        raise _MissingError(f"the batch of the row cannot be read: {missing}") from missing
    if not rows[place].candidates:
        fault = rows[place].fault or made.row["reason"]
        return Replay(
            **about, outcome="nothing", why=[f"no candidate of it was kept ({fault})"], run=str(run)
        )
    engine, differences = _engine(store, plan, asked, given)
    method = _method(plan, asked, given, engine, store)
    if list(method.prompts) != list(plan.identity["prompts"][2:]):
        differences.append("its prompts are others now: their texts changed, or the examples that they show")
    found = replay(rows, place, engine, method, plan.identity["config"]["seed"])
    same = all(candidate.same for candidate in found)
    why = (
        [
            f"all {len(found)} candidates came out byte for byte, in their batch of {len(rows)} rows",
            *differences,
        ]
        if same
        else differences or [UNPROMISED.get(engine.name, UNRECORDED)]
    )
    outcome = "same" if same else "different"
    return Replay(**about, outcome=outcome, why=why, run=str(run), candidates=found, batch_rows=len(rows))


def _of_round(folder: Path, snapshot: Snapshot) -> Source:
    """The rows that a round took."""
    from recast.agent.batches.source import Source
    from recast.agent.rewriting.rounds import POSITIONS

    places = snapshot.live().take(json.loads((folder / POSITIONS).read_text(encoding="utf-8")))
    return Source.of(fetch(snapshot.root, places["part"], places["pos"], VERSION_SCHEMA.names))


def _folder_of(root: Path, job: str | None) -> Path:
    """The folder of a job's plan and parts."""
    for plan in sorted((*root.glob("runs/*/plan.json"), *root.glob(f"runs/*/{ROUNDS}/*/plan.json"))):
        try:
            if json.loads(plan.read_text(encoding="utf-8"))["fingerprint"] == job:
                return plan.parent
        except (OSError, ValueError, KeyError):
            continue
    raise _MissingError(
        f"the run folder of job {job} is gone from {root / 'runs'}, and with it the batch and the settings"
    )


def _resolved(run: Path) -> dict[str, Any]:
    try:
        return dict(yaml_file.load((run / RESOLVED).read_text(encoding="utf-8")))
    except (OSError, yaml.YAMLError, TypeError, ValueError) as broken:
        raise _MissingError(
            f"{run / RESOLVED} cannot be read ({broken}): the run's command is not known"
        ) from broken


def _engine(
    store: Store, plan: Plan, asked: Mapping[str, Any], given: Mapping[str, Any]
) -> tuple[Engine, list[str]]:
    """The engine of the run, and what of it is another than it was. A server's kept answers are passed over."""
    from recast.agent.engines.protocol import uncached
    from recast.pipelines.options import AgentEngineOptions
    from recast.pipelines.wiring import models

    differences: list[str] = []
    agent = given.get("agent")
    options = AgentEngineOptions(
        **{n: given[n] for n in AgentEngineOptions.__dataclass_fields__ if given.get(n)}
    )
    settings = Config.of({"engine": (asked.get("config") or {}).get("engine") or {}})
    try:
        if agent is not None:
            found, was = identity.model(str(models.adapter_folder(Path(agent)))), plan.identity["agent_id"]
            if found != was:
                differences.append(f"{agent} holds another agent now: {found}, where it was {was}")
        opened = models.engine(
            str(given.get("model") or "pocket"),
            agent,
            settings.section("engine", **options.overrides()),
            memory=models.memory(options.memory),
        )
    except (RecastError, OSError) as missing:
        raise _MissingError(str(missing)) from missing
    if opened.fingerprint != (was := plan.identity["backbone"]):
        differences.append(
            f"the backbone is another: {opened.fingerprint}, where it was {was} (weights or dtype)"
        )
    if asked.get("recast") not in (None, recast_version()):
        differences.append(f"recast is {recast_version()}, where it was {asked['recast']}")
    return uncached(opened), differences


def _method(
    plan: Plan, asked: Mapping[str, Any], given: Mapping[str, Any], engine: Engine, store: Store
) -> Method:
    from recast.agent.rewriting import methods
    from recast.pipelines.wiring.prompts import open_prompts

    as_recorded = {
        **plan.identity["config"],
        "clean": "cleaning" in plan.identity,
        "doubt": plan.identity.get("doubt", 0.0),
    }
    settings = Config.of({"rewrite": as_recorded}).section("rewrite")
    recorded = (asked.get("config") or {}).get("prompts") or {}
    prompts = open_prompts(Config.of({"prompts": recorded}).section("prompts"), store)
    if given.get("method"):
        return methods.method(given["method"], settings, prompts)
    return settings.method(adapter=engine.has_adapter, prompts=prompts)
