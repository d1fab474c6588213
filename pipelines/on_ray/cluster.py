"""A Ray cluster, and a job's engines on it: one actor a GPU, or one a core where there are none.

    with Cluster("local", workers=2, gpus=1) as cluster:
        engine = cluster.engine(open_one)  # on an actor; the driver has its facts
        rewrite(rows, engine, gate, config, folder, hands=lambda method: cluster.hands(gate, steps))

Needs the extra `ray`. The driver holds the run and alone writes; nodes need recast and the model under the same paths.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from recast.agent.engines.protocol import Engine, Sample, Sampling, Score
from recast.curate.errors import MissingDependencyError, UsageError
from recast.curate.records import Messages

if TYPE_CHECKING:
    import numpy as np

    from recast.agent.batches.gating import Gate
    from recast.pipelines.on_ray.actors import Facts, StepsOf
    from recast.pipelines.on_ray.hands import Actors, Member

LOCAL = "local"


class Cluster:
    """A connection. `workers`: how many actors at most, None as many as there is room for; `gpus` of each."""

    def __init__(self, address: str, *, workers: int | None = None, gpus: int = 1) -> None:
        self.address, self.workers, self.gpus = address, workers, gpus

    def __enter__(self) -> Cluster:
        try:
            import ray
        except ImportError as missing:
            raise MissingDependencyError(
                "--ray needs Ray, on this machine and every node: pip install 'recast-sft[ray]'"
            ) from missing
        self._mine = not ray.is_initialized()
        if self._mine:
            here = {"num_cpus": self.workers, "include_dashboard": False}
            where: dict[str, Any] = here if self.address == LOCAL else {"address": self.address}
            try:
                ray.init(**where, log_to_driver=False, logging_level=logging.ERROR)
            except ConnectionError as error:
                raise UsageError(
                    f"no Ray cluster answers at {self.address} ({error}). Start one with `ray start --head`, give its "
                    "address or `auto`, or `local` for one on this machine."
                ) from error
        resources = ray.cluster_resources()
        self.on_gpus = resources.get("GPU", 0) >= self.gpus
        return self

    def __exit__(self, *_: object) -> None:
        import ray

        if self._mine:
            ray.shutdown()

    def most(self, *, on_gpus: bool | None = None) -> int:
        """How many actors there is room for now: of those with an engine, unless `on_gpus` says what they need."""
        import ray

        resources = ray.cluster_resources()
        on_gpus = self.on_gpus if on_gpus is None else on_gpus
        room = resources.get("GPU", 0) / self.gpus if on_gpus else resources.get("CPU", 1)
        return max(1, min(math.floor(room), self.workers or math.floor(room)))

    def engine(self, opened: Callable[[], Engine]) -> RemoteEngine:
        """An engine on an actor, opened. Raises what `opened` raises there."""
        import ray
        from ray.exceptions import RayTaskError

        self._opened = ray.put(opened)
        self._first = self.actor()
        try:
            facts: Any = ray.get(self._first.opening)
        except RayTaskError as failure:
            ray.kill(self._first.handle)  # it would keep its place on the cluster
            raise failure.cause from None
        return (RemoteInspectable if facts.inspectable else RemoteEngine)(self._first.handle, facts)

    def actor(self) -> Member:
        """Another actor, told to open its engine."""
        import ray

        from recast.pipelines.on_ray.actors import EngineActor
        from recast.pipelines.on_ray.hands import AT_ONCE, Member

        room = {"num_gpus": self.gpus} if self.on_gpus else {"num_cpus": 1}
        # a thread for each batch that it is given, and one for questions; what restarts it is ours to say
        of_ray = ray.remote(EngineActor).options(**room, max_concurrency=AT_ONCE + 1, max_restarts=0)
        handle = of_ray.remote()
        return Member(handle, handle.open.remote(self._opened))

    def hands(self, gate: Gate, steps: StepsOf) -> Actors:
        """Who makes the batches of one job."""
        from recast.pipelines.on_ray.hands import Actors

        return Actors(self.actor, self._first, self.most, steps, gate)


class RemoteEngine:
    """An engine of an actor as the driver has it: its facts, and its answers to a few questions."""

    def __init__(self, actor: Any, facts: Facts) -> None:
        self._actor, self._facts = actor, facts
        self.name, self.tokenizer = facts.name, facts.tokenizer

    @property
    def has_adapter(self) -> bool:
        return self._facts.has_adapter

    @property
    def max_length(self) -> int | None:
        return self._facts.max_length

    @property
    def dtype(self) -> str | None:
        return self._facts.dtype

    @property
    def fingerprint(self) -> str:
        return self._facts.fingerprint

    def sample(
        self,
        prompts: Sequence[Messages],
        k: int,
        sampling: Sampling,
        *,
        seeds: Sequence[Sequence[int]],
        adapter: bool,
    ) -> list[list[Sample]]:
        return self._ask("sample", prompts, k, sampling, seeds=seeds, adapter=adapter)

    def logprobs(
        self, prompts: Sequence[Messages], completions: Sequence[str], *, adapter: bool
    ) -> list[Score]:
        return self._ask("logprobs", prompts, completions, adapter=adapter)

    def _ask(self, method: str, *args: Any, **kwargs: Any) -> Any:
        import ray

        return ray.get(self._actor.call.remote(method, *args, **kwargs))


class RemoteInspectable(RemoteEngine):
    """One that tells entropies and shows hidden states."""

    def score(
        self,
        prompts: Sequence[Messages],
        completions: Sequence[str],
        *,
        adapter: bool,
        embed: bool = False,
        temperature: float = 1.0,
    ) -> tuple[list[Score], np.ndarray | None]:
        return self._ask("score", prompts, completions, adapter=adapter, embed=embed, temperature=temperature)
