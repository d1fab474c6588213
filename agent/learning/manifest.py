"""What an agent was learnt with, against what it is about to be used with.

`agent.engines.probe` measures whether it is this adapter on this backbone. What no measurement shows stands in the
manifest that learning leaves beside the adapter: the gate and the prompt that it was rewarded under, the chat
template, and the backbone's weights to the bit.

    agent = Learnt.of(folder)      # None for an adapter from elsewhere
    notes = agent.check(engine, gate.id)   # raises RefusedError
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from recast.agent.engines import probe
from recast.agent.engines.protocol import Engine
from recast.agent.prompts import templates
from recast.curate.chat import template_id
from recast.curate.errors import ModelError, RefusedError

MANIFEST = "manifest.json"

AS_LEARNT = {"rewriting prompt": f" (the settings of `prompts` stand in its {MANIFEST})"}
"""Where to find how an agent was learnt, by what differs."""


@dataclass(frozen=True, slots=True)
class Learnt:
    """Identities from the manifest of the agent whose adapter lies in `adapter`."""

    adapter: Path
    backbone: str
    template_id: str
    prompt_id: str
    gate_id: str

    @classmethod
    def of(cls, adapter: Path) -> Learnt | None:
        """None where no manifest beside the folder names it. Raises ModelError for one that cannot be read."""
        path = adapter.resolve().parent / MANIFEST
        if not path.exists():
            return None
        try:
            found = json.loads(path.read_text(encoding="utf-8"))
            if adapter.resolve().name not in {kept["folder"] for kept in found.get("adapters", {}).values()}:
                return None
            return cls(adapter, found["backbone"], found["template_id"], found["prompt_id"], found["gate_id"])
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise ModelError(
                f"{path} is no manifest of an agent ({error}); learn the agent again."
            ) from error

    def check(self, engine: Engine, gate_id: str, prompt_id: str = templates.REWRITE_ID) -> list[str]:
        """What to tell a person who uses the agent through `engine` and would learn it under the gate `gate_id`
        and the rewriting prompt `prompt_id`.

        Raises RefusedError where the engine has the agent's dtype but not its backbone's weights. Only `hf` identifies
        weights as learning does, and a fingerprint covers the dtype, so that in any other case the probe alone decides.
        """
        dtype = probe.recorded_dtype(self.adapter)
        if engine.name == "hf" and engine.dtype == dtype and engine.fingerprint != self.backbone:
            raise RefusedError(
                f"the agent {self.adapter} was learnt on a backbone of other weights ({self.backbone}) than the model "
                f"given ({engine.fingerprint}), both in {dtype}. Pass the model that `recast learn` was given, or "
                "learn an agent on this one."
            )
        identities = {
            "gate": (self.gate_id, gate_id),
            "rewriting prompt": (self.prompt_id, prompt_id),
            "chat template": (self.template_id, template_id(engine.tokenizer)),
        }
        return [
            f"the agent {self.adapter} was learnt with another {name} ({then}) than it is used with ({now}): it was "
            f"rewarded for something else than is asked of it now. Use it as it was learnt{AS_LEARNT.get(name, '')}, "
            "or learn it again."
            for name, (then, now) in identities.items()
            if then != now
        ]
