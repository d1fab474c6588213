"""The rewriting job: generate K candidates, clean, verify, repair, choose by alignment, else keep the expert.

    candidates ~ agent(. | rewriting prompt)  ->  gate  ->  scores under the QA prompt, adapter off  ->  choice

A row without an accepted candidate keeps its demonstration, with the reason. Rows are worked in batches
(`agent.rewriting.batch`) that take turns at the engine (`agent.batches.pipeline`), one Parquet part each
(`agent.batches.parts`), and every sample has a seed of its own, so a job killed at any moment goes on and, with the hf
engine, ends in the same bytes as one that was not. A job holds one window of its input, whatever its size. This module
commits no versions and knows no store.

    result = rewrite(rows, engine, gate, RewriteConfig(candidates=4), "runs/1", agent_id="...")
    store.commit(result.rows(), "gsm8k-rewrites", candidates=result.candidates())
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa
from pydantic import BaseModel, ConfigDict, Field

from recast.agent.batches.gating import Gate
from recast.agent.batches.isolation import ERROR
from recast.agent.batches.job import UNLIMITED, Budget, Hands, Job, MakeTable, Progress, Sharing, Work
from recast.agent.batches.parts import Batch, Parts, Plan, Window, begun
from recast.agent.batches.pipeline import Steps
from recast.agent.batches.source import Source
from recast.agent.engines.embedding import Embed, backbone_embedder, sentence_embedder
from recast.agent.engines.protocol import Engine, Inspectable, Sampling
from recast.agent.prompts import templates
from recast.agent.prompts.prompts import DEFAULT, Prompts
from recast.agent.rewriting import cleaning
from recast.agent.rewriting.attempts import Method, Row, rewriting
from recast.agent.rewriting.batch import Worker
from recast.agent.rewriting.choice import Alignment
from recast.agent.rewriting.outcome import PART_SCHEMA, RewriteResult, Tally, part_table
from recast.curate.errors import DataError, UsageError

# What a sample depends on: the rows' part of the job's identity.
READ = ("row_id", "target", "messages", "demonstration", "answer", "task")
NOTHING: Mapping[int, str] = {}
PHRASES = "phrases"


NOT_IDENTITY: dict[str, str] = {}
"""Every setting decides what comes out."""

LATER: dict[str, str] = {
    "clean": "the same command finds the folder of a job that was begun before; its plan says whether it cleans",
    "doubt": "likewise; its plan says whether it doubts",
}
"""Settings that came later: with their default they do not change which run a command finds."""


class RewriteConfig(BaseModel):
    """How rewrites are sampled and chosen. All of it is part of the job's identity."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    candidates: int = Field(default=4, ge=1)
    """Candidates a row (K)."""
    temperature: float = Field(default=1.0, ge=0)
    """Sampling temperature. 0 is greedy and needs `candidates: 1`."""
    top_p: float = Field(default=1.0, gt=0, le=1)
    """Nucleus of the sampling distribution."""
    max_tokens: int = Field(default=512, ge=1)
    """Longest candidate in tokens; one that is cut there is rejected by the gate."""
    clean: bool = True
    """Cut from both ends of a sample, by listed rules and ahead of the gate, what is not the rewrite: the request said
    again, "Here is ...", a further turn, closing words, repeated sentences (`agent.rewriting.cleaning`). The kept text
    is judged, scored and stored; what was cut is kept beside it. Published methods and `--paper` stay as published, and
    `learn` sees every text as it was sampled."""
    repairs: int = Field(default=0, ge=0)
    """Further attempts for a row that has no accepted candidate, each told which check failed (R)."""
    targets: int = Field(default=1, ge=1)
    """Rewrites kept a row at most, each unlike the others; the second and further ones have targets 1, 2, ..."""
    alignment: Literal["auto", "excess", "nll"] = "auto"
    """What the best aligned candidate is least in: `excess` surprisal, or mean `nll`, which prefers predictable padding
    (`agent.rewriting.choice`). `auto`: `excess` where the engine tells entropies (hf), else `nll`."""
    tie_nats: float = Field(default=0.05, ge=0)
    """Candidates within this of the best aligned one (nats per token) count as equally well aligned."""
    doubt: float = Field(default=0.25, ge=0, le=1)
    """Share of the accepted candidates that is not kept where the gate refuses nearly all that is drawn, less where it
    refuses less: those of which the model was least sure as it wrote them; and of a row's others only the surer half is
    chosen from (`agent.rewriting.choice`). 0: neither. Published methods stay as published, and an engine that tells no
    log-probabilities of what it draws doubts none."""
    scoring: bool = True
    """Measure NLLs under the backbone. Without them all accepted candidates count as equally well aligned, and the
    first is kept where nothing embeds them (`embedding`): for servers that return no log-probabilities of given text,
    with which an agent cannot be used at all (`agent.engines.probe`)."""
    embedding: str = "auto"
    """What texts are compared by within a tie: `phrases` (those that the batch's other rows say least,
    `agent.rewriting.choice`), `backbone` (its mean hidden state while scoring), `none` (the likelier wins), or a
    sentence-transformers model by name or folder. `auto`: `phrases`."""
    accept: Literal["own", "gate"] = "own"
    """For methods with a rule of their own (`--method`): accept by it, or by the gate."""
    own_samples: int = Field(default=0, ge=0)
    """The backbone's own answers a row, scored for `nll_self`. They cost as much as candidates."""
    batch_rows: int = Field(default=64, ge=1)
    """Rows a batch: the unit that is redone after a kill."""
    window_rows: int = Field(default=4096, ge=1)
    """Rows among which batches of like length are formed, and which are held to restore the order."""
    seed: int = 0
    """Root of every sample's seed."""

    @property
    def sampling(self) -> Sampling:
        return Sampling(self.temperature, self.top_p, self.max_tokens)

    def method(self, *, adapter: bool, prompts: Prompts = DEFAULT) -> Method:
        """This project's method under these settings."""
        return rewriting(
            self.candidates,
            self.sampling,
            repairs=self.repairs,
            adapter=adapter,
            clean=self.clean,
            doubt=self.doubt,
            prompts=prompts,
        )


def rewrite(
    rows: Any,
    engine: Engine,
    gate: Gate,
    config: RewriteConfig,
    run_dir: str | Path,
    *,
    method: Method | None = None,
    prompts: Prompts = DEFAULT,
    limit: int | None = None,
    progress: Progress | None = None,
    embed: Embed | None = None,
    agent_id: str | None = None,
    budget: Budget = UNLIMITED,
    beside: bool | None = None,
    sharing: Sharing | None = None,
    hands: Callable[[Method], Hands] | None = None,
) -> RewriteResult:
    """Rewrite `rows`, at most `limit` of them, and return the finished job; `run_dir` keeps its parts.

    `rows` is a snapshot of a store, or whatever a store commits (`agent.batches.source`), with `row_id`, `messages` and
    `demonstration`. Candidates come from the engine's adapter if it has one, and then `agent_id` says which;
    otherwise from the bare backbone. `method` replaces this project's, which asks by `prompts`
    (`agent.rewriting.methods` has the published ones). The same call on a `run_dir` that holds part of the job does
    only what is missing. `progress` gets
    `{"done", "total", "rewrite", "repair", "fallback", "seconds"}` after every batch. `embed` replaces what
    `config.embedding` names. `beside` runs the gate in a process of its own (None: where there is enough to do).
    `sharing`: other processes make the same call on the same `run_dir`, and each makes a part of the batches. `hands`
    makes them elsewhere, by the method that it is told; then `engine` need only know what it is.
    Raises BudgetReached, UsageError, DataError, and the engine's own error where it fails on everything.
    """
    method = _method(engine, config, method, prompts, agent_id)
    agent_id = agent_id if engine.has_adapter else None
    source = Source.of(rows, limit)
    plan = _plan(source, engine, gate, config, method, agent_id)
    method, plan = _as_begun(method, plan, begun(Path(run_dir)))
    parts = Parts(Path(run_dir), plan, sharing and sharing.leases.me)
    _refuse_a_budget_of_no_batch(budget, parts, method)
    by = alignment(engine, config, method)
    worker, embedding = worker_of(engine, config, method, embed)
    started, tally = time.monotonic(), Tally()
    work = Work(
        steps(worker),
        tally.add,
        tally.progress,
        lambda: tally.num_candidates,
        method.most_candidates,
    )
    job = Job(
        source,
        parts,
        work,
        gate,
        budget=budget,
        progress=progress,
        beside=beside,
        sharing=sharing,
        hands=hands and hands(method),
    )
    job.run()
    # the conservation law of a rewriting job; the store checks it again, in SQL, at commit
    assert tally.num_rows == plan.num_rows and sum(tally.counts.values()) == tally.num_targets
    seconds = {**worker.seconds, **job.seconds, "total": time.monotonic() - started}
    return RewriteResult(
        run_dir=Path(run_dir),
        fingerprint=plan.fingerprint,
        method=method.name,
        prompts=method.prompts,
        alignment=by or "none",
        embedding=embedding,
        **tally.figures(),
        part_bytes=parts.num_bytes,
        seconds={stage: round(s, 3) for stage, s in seconds.items()},
        num_found=job.found,
        _parts=parts,
        _source=source,
        _constants={
            "agent_id": agent_id,
            "gate_id": gate.id,
            "engine": engine.name,
            "run_id": plan.fingerprint,
        },
    )


def _method(
    engine: Engine, config: RewriteConfig, method: Method | None, prompts: Prompts, agent_id: str | None
) -> Method:
    """`method`, or this project's. Raises UsageError for settings that contradict each other."""
    if config.temperature == 0 and config.candidates > 1:
        raise UsageError(f"temperature 0 draws the same text {config.candidates} times; set candidates to 1.")
    if engine.has_adapter and not agent_id:
        raise UsageError("the engine has an adapter; pass agent_id, its identity, which every row records.")
    if method is None:
        return config.method(adapter=engine.has_adapter, prompts=prompts)
    if engine.has_adapter:
        raise UsageError(f"method {method.name} samples from the bare backbone; leave the agent out.")
    if engine.name != "hf" and any(attempt.mixing for attempt in method.attempts):
        raise UsageError(
            f"method {method.name} mixes what two prompts say token by token, which the engine {engine.name!r} cannot; "
            "use --engine hf."
        )
    return method


def _as_begun(method: Method, plan: Plan, held: str | None) -> tuple[Method, Plan]:
    """The method and plan of the job whose fingerprint is `held`, where it was begun before there was doubt, cleaning
    or the rule of choice of today; otherwise those given."""
    before = {
        ("doubt",): replace(method, doubt=0.0),
        ("doubt", "choice"): replace(method, doubt=0.0, choice=1),
        ("doubt", "cleaning"): replace(method, doubt=0.0, clean=False),
        ("doubt", "choice", "cleaning"): replace(method, doubt=0.0, choice=1, clean=False),
    }
    for keys, as_begun in before.items():
        older = plan.without(*keys)
        if held == older.fingerprint:
            return as_begun, older
    return method, plan


def worker_of(
    engine: Engine, config: RewriteConfig, method: Method, embed: Embed | None = None
) -> tuple[Worker, str]:
    """What works a batch of a job on `engine`, and the name of what it embeds texts by; `embed` is another one."""
    shows, embed, embedding = (None, embed, "custom") if embed else embedder(engine, config, method)
    worker = Worker(
        engine,
        method,
        seed=config.seed,
        targets=config.targets,
        tie_nats=config.tie_nats,
        alignment=alignment(engine, config, method) or "nll",
        own_samples=config.own_samples,
        score=config.scoring,
        phrases=embedding == PHRASES,
        shows=shows,
        embed=embed,
    )
    return worker, embedding


def steps(worker: Worker) -> Callable[..., Steps[MakeTable]]:
    """What `worker` does with a batch of a window. Rows that are `lost`, by their positions, are not worked at: they
    keep what is given there for their error."""

    def of_batch(window: Window, batch: Batch, lost: Mapping[int, str] = NOTHING) -> Steps[MakeTable]:
        at_work = [_row(window.rows, position, position - window.start) for position in batch[1]]
        for row in at_work:
            if row.position in lost:
                row.fault, row.error = ERROR, lost[row.position]
        decisions = yield from worker.run(at_work)
        return lambda: part_table(at_work, decisions, worker.method.prompts)

    return of_batch


def _refuse_a_budget_of_no_batch(budget: Budget, parts: Parts, method: Method) -> None:
    """A batch is not cut to the budget: its rows are chosen together, so a job cut elsewhere ends in other bytes."""
    limit, plan = budget.max_candidates, parts.plan
    rows = min(plan.num_rows, plan.batch_rows, plan.window_rows)
    most = rows * method.most_candidates
    if limit is None or limit >= most or parts.path(0).exists():
        return
    fit = limit // method.most_candidates
    smaller = f", or make batches smaller with rewrite.batch_rows={fit}" if fit else ""
    raise UsageError(
        f"--max-candidates {limit} has no room for one batch: {rows} rows of up to {method.most_candidates} "
        f"candidates, repairs included, may need {most}. Give --max-candidates {most} or more{smaller}."
    )


def alignment(engine: Engine, config: RewriteConfig, method: Method) -> Alignment | None:
    """What `config.alignment` names; None where candidates are not told apart by their scores.

    Raises UsageError where the setting has no effect, or the engine cannot tell the entropies that it asks for.
    """
    named = config.alignment != "auto"
    if method.first_wins or not config.scoring:
        if named:
            why = (
                f"method {method.name} keeps the first accepted candidate"
                if method.first_wins
                else "with rewrite.scoring=false nothing is measured to choose by"
            )
            raise UsageError(f"rewrite.alignment would have no effect: {why}. Leave it out.")
        return None
    tells_entropies = isinstance(engine, Inspectable)
    if config.alignment == "excess" and not tells_entropies:
        raise UsageError(
            f"the engine {engine.name!r} tells no entropies, which excess surprisal needs; set rewrite.alignment to "
            "`nll`, or use --engine hf."
        )
    if config.alignment != "auto":
        return config.alignment
    return "excess" if tells_entropies else "nll"


def embedder(
    engine: Engine, config: RewriteConfig, method: Method
) -> tuple[Inspectable | None, Embed | None, str]:
    """What `config.embedding` names: the engine where its states of scoring serve, else a callable or none; its name.

    Raises UsageError where the engine shows no hidden states and `backbone` asks for them.
    """
    name = config.embedding
    if name == "auto" and method.choice > 1:
        name = PHRASES
    elif name == "auto":
        name = "backbone" if isinstance(engine, Inspectable) else "none"
    if name in ("none", PHRASES):
        return None, None, name
    if name != "backbone":
        return None, sentence_embedder(name), name
    if not isinstance(engine, Inspectable):
        raise UsageError(
            f"the engine {engine.name!r} shows no hidden states to embed texts by; set rewrite.embedding to "
            "`phrases`, `none` or a sentence-transformers model."
        )
    return (engine, None, name) if config.scoring else (None, backbone_embedder(engine), name)


def _plan(
    source: Source, engine: Engine, gate: Gate, config: RewriteConfig, method: Method, agent_id: str | None
) -> Plan:
    survey = source.survey(READ)
    if not survey.num_rows:
        raise DataError("there are no rows to rewrite: the version is empty.")
    if config.targets > 1 and survey.highest_target > 0:
        raise UsageError(
            f"the version has rows with several targets (up to {survey.highest_target}) already, so targets: "
            f"{config.targets} has no room. Rewrite the version it was made from, or set targets to 1."
        )
    identity = {
        "rows": survey.digest,
        # a job whose identity has no `cleaning` judges texts as they were sampled: so did all before there was any
        "config": config.model_dump(mode="json", exclude={"clean", "doubt"}),
        **({"cleaning": cleaning.REVISION} if method.clean else {}),
        # likewise one without `choice` keeps what the first rule of `agent.rewriting.choice` keeps
        **({"choice": method.choice} if method.choice > 1 else {}),
        **({"doubt": method.doubt} if method.doubt else {}),
        "method": method.name,
        "prompts": [templates.REWRITE_ID, templates.REPAIR_ID, *method.prompts],
        "engine": engine.name,
        "backbone": engine.fingerprint,
        "agent_id": agent_id,
        "gate_id": gate.id,
        "columns": PART_SCHEMA.names,  # parts that lack one are of another job
    }
    return Plan.of(identity, survey.num_rows, config.batch_rows, config.window_rows)


def _row(table: pa.Table, position: int, offset: int) -> Row:
    return Row.of(position, table.select(READ).slice(offset, 1).to_pylist()[0])
