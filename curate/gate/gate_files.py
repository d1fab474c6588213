"""What a store keeps about gates: what each consists of, how often it was measured to be wrong, what it audited.

    gates/<gate id>/gate.json                what the id stands for
    gates/<gate id>/card-<labels>.json       a report card: the gate on one set of labels
    gates/<gate id>/<version id>.parquet     one verdict a row (`curate.gate.audit`)
    gates/<gate id>/<version id>.json        their counts; written last: its presence means that the audit is whole

Reading needs neither Arrow nor DuckDB, so that `recast log` can say what is known.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from recast.curate.files import write_json
from recast.curate.fingerprint import fingerprint


def folder(root: Path, gate_id: str) -> Path:
    return root / "gates" / gate_id


def describe(root: Path, gate_id: str, name: str, identity: Mapping[str, Any]) -> None:
    """Write down what a gate's id stands for."""
    write_json(folder(root, gate_id) / "gate.json", {"id": gate_id, "name": name, **identity})


def keep_card(root: Path, gate_id: str, labels: str, card: Mapping[str, Any]) -> Path:
    """Store a report card; one that was made on the same `labels` before is replaced."""
    path = folder(root, gate_id) / f"card-{fingerprint(labels)[:12]}.json"
    write_json(path, {"labels": labels, **card})
    return path


def cards(root: Path, gate_id: str) -> list[dict[str, Any]]:
    """The report cards of a gate, newest first."""
    found = [_read(path) for path in folder(root, gate_id).glob("card-*.json")]
    return sorted(found, key=lambda card: card["measured_at"], reverse=True)


def audits(root: Path, version_id: str = "*") -> list[dict[str, Any]]:
    """The counts of every finished audit of a version (of all versions by default), newest first."""
    found = [_read(path) for path in sorted((root / "gates").glob(f"*/{version_id}.json")) if _is_audit(path)]
    return sorted(found, key=lambda audit: audit["audited_at"], reverse=True)


def measured(root: Path, gate_id: str) -> str:
    """The newest measurement of a gate as a clause, empty where there is none."""
    for card in cards(root, gate_id)[:1]:
        wrong, right = card["ensemble"]["false_accepts"], card["ensemble"]["false_rejects"]
        return (
            f"measured on {card['labels']}: accepts {_percent(wrong)} of wrong text, "
            f"rejects {_percent(right)} of right text"
        )
    return ""


def _is_audit(path: Path) -> bool:
    return path.name != "gate.json" and not path.name.startswith("card-")


def _read(path: Path) -> dict[str, Any]:
    return json.loads(path.read_text(encoding="utf-8"))


def _percent(rate: Mapping[str, Any]) -> str:
    low, high = rate["interval"]
    return f"{rate['count']} of {rate['total']} = {rate['share']:.2%} [{low:.2%}, {high:.2%}]"
