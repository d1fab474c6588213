"""`recast blame`: every text that a row has had, newest first."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from recast.pipelines.options import RowId, Target, VersionRef
from recast.pipelines.terminal.text import line, visible

if TYPE_CHECKING:
    from recast.curate.store.store import Store

SHOWN = 4000  # characters of one text


PROVENANCE = ("agent_id", "template_id", "gate_id", "engine", "seed", "run_id")
CALLED = {"agent_id": "agent", "template_id": "prompt", "gate_id": "gate", "run_id": "run"}


def job(name: VersionRef, row: RowId, *, target: Target = 0, store: Store) -> dict[str, Any]:
    """List every text that row ROW has had on the way to VERSION, newest first.

    Each with its decision, agent, prompt, gate, seed, engine, run and author.
    """
    from recast.curate.history.lineage import blame

    events = [event.to_json() for event in blame(store, name, row, target)]
    return {"row_id": events[0]["row_id"], "target": target, "events": events}


def show(result: dict[str, Any], console: Any) -> None:
    from rich.text import Text

    from recast.pipelines.terminal import row_text

    console.print(Text(line(result["row_id"], 100), "bold"))
    for event in result["events"]:
        fate = "removed" if event["op"] == "remove" else event["decision"]
        did = {"rescore": " scored again", "remove": ""}.get(event["op"], " merged" if event["merge"] else "")
        head = Text().append(f"\n{event['version']}", "bold cyan").append(f"  {fate}{did}", "bold")
        if event.get("reason"):
            head.append(f" ({visible(event['reason'])})")
        head.append(f"  by {visible(event['author'])}, {event['created_at'][:16].replace('T', ' ')}", "dim")
        head.append(f", {visible(event['message'])}" if event["message"] else "", "dim")
        console.print(head)
        if event["op"] != "remove" and (review := event.get("review")):
            said = [review["decision"], *review.get("reasons", []), review.get("note", "")]
            said += ["over the gate"] if review.get("gate_overruled") else []
            told = ", ".join(visible(str(part)) for part in said if part)
            console.print(Text(f"    review by {visible(review['by'])}: {told}", "italic"))
        if event["op"] == "remove":
            continue
        made = [f"{CALLED.get(key, key)} {event[key]}" for key in PROVENANCE if event.get(key) is not None]
        made += [f"NLL {event['nll_completion']:.2f}"] if event.get("nll_completion") is not None else []
        made += [f"from {event['source']}"] if event.get("source") else []
        if made:
            row_text.indented(Text(visible(", ".join(made)), "dim"), console, "    ")
        row_text.indented(Text(visible(event["completion"], SHOWN)), console, "    ")
