"""What a store keeps about gates: what each consists of, how often it was measured to be wrong, what it audited.

    gates/<gate id>/gate.json                what the id stands for
    gates/<gate id>/card-<labels>.json       a report card: the gate on one set of labels
    gates/<gate id>/<version id>.parquet     one verdict a row (`curate.gate.audit`)
    gates/<gate id>/<version id>.json        their counts; written last: its presence means that the audit is whole

Each says the hash of what it holds, and counts the hash of the verdicts beside them, so that a file which is cut or
changed is named and never believed. Reading needs neither Arrow nor DuckDB: `recast log` says what is known.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from recast.curate.errors import IntegrityError
from recast.curate.files import sha256_of, write_json
from recast.curate.fingerprint import fingerprint

_HASH = "sha256"


def folder(root: Path, gate_id: str) -> Path:
    return root / "gates" / gate_id


def describe(root: Path, gate_id: str, name: str, identity: Mapping[str, Any]) -> None:
    """Write down what a gate's id stands for."""
    _write(folder(root, gate_id) / "gate.json", {"id": gate_id, "name": name, **identity})


def described(root: Path, gate_id: str) -> dict[str, Any] | None:
    """What a gate's id stands for; None where nobody wrote it down."""
    path = folder(root, gate_id) / "gate.json"
    return _read(path) if path.exists() else None


def keep_card(root: Path, gate_id: str, labels: str, card: Mapping[str, Any]) -> Path:
    """Store a report card; one that was made on the same `labels` before is replaced."""
    path = folder(root, gate_id) / f"card-{fingerprint(labels)[:12]}.json"
    _write(path, {"labels": labels, **card})
    return path


def keep_audit(verdicts: Path, counts: Mapping[str, Any]) -> None:
    """Store the counts of an audit beside its verdicts, which they make whole."""
    _write(verdicts.with_suffix(".json"), {**counts, "verdicts_sha256": sha256_of(verdicts)})


def cards(root: Path, gate_id: str, *, people: bool = True) -> list[dict[str, Any]]:
    """The report cards of a gate, newest first. `people`: also those of reviewed rows, which were accepted before
    anybody looked, so that the share of wrong text that passes is not told by them."""
    found = [_read(path) for path in folder(root, gate_id).glob("card-*.json")]
    found = [card for card in found if people or not card.get("people")]
    return sorted(found, key=lambda card: card["measured_at"], reverse=True)


def audits(root: Path, version_id: str = "*") -> list[dict[str, Any]]:
    """The counts of every finished audit of a version (of all versions by default), newest first."""
    found = [_read(path) for path in sorted((root / "gates").glob(f"*/{version_id}.json")) if _is_audit(path)]
    return sorted(found, key=lambda audit: audit["audited_at"], reverse=True)


def verdicts(root: Path, audit: Mapping[str, Any]) -> Path:
    """The file of an audit's verdicts, every byte tested. Raises IntegrityError where it is not what was written."""
    path = folder(root, audit["gate_id"]) / f"{audit['version_id']}.parquet"
    if not path.exists():
        raise _damaged(path, "is missing")
    # audits made before hashes were kept have none
    if audit.get("verdicts_sha256", "") not in ("", sha256_of(path)):
        raise _damaged(path, "is damaged: its bytes are not those that were written")
    return path


def damages(root: Path) -> list[str]:
    """What is wrong with the files of all gates; empty where nothing is."""
    found: list[str] = []
    for path in sorted((root / "gates").glob("*/*.json")):
        try:
            content = _read(path)
            if _is_audit(path):
                verdicts(root, content)
        except IntegrityError as wrong:
            found.append(str(wrong))
    return found


def measured(root: Path, gate_id: str) -> str:
    """The newest measurement of a gate as a clause, empty where there is none."""
    for card in cards(root, gate_id)[:1]:
        if people := card.get("people"):
            rate = {**people, "count": people["wrong"], "total": people["accepted"]}
            return f"measured on {card['labels']}: wrong are {_percent(rate)} of the reviewed rows that it accepts"
        wrong, right = card["ensemble"]["false_accepts"], card["ensemble"]["false_rejects"]
        return (
            f"measured on {card['labels']}: accepts {_percent(wrong)} of wrong text, "
            f"rejects {_percent(right)} of right text"
        )
    return ""


def _is_audit(path: Path) -> bool:
    return path.name != "gate.json" and not path.name.startswith("card-")


def _write(path: Path, content: Mapping[str, Any]) -> None:
    content = json.loads(json.dumps(content))  # as it will be read, which is what the hash is tested on
    write_json(path, {**content, _HASH: fingerprint(content)})


def _read(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        said = content.pop(_HASH, None)
    except (ValueError, AttributeError) as wrong:
        raise _damaged(path, f"cannot be read ({wrong})") from wrong
    # files written before hashes were kept have none
    if said is not None and said != fingerprint(content):
        raise _damaged(path, "is damaged: its content is not what was written")
    return content


def _damaged(path: Path, what: str) -> IntegrityError:
    again = "gate run VERSION --fresh" if _is_audit(path) else "gate report NAME"
    return IntegrityError(f"{path} {what}. Remove it and run `recast {again}` again, which makes it anew.")


def _percent(rate: Mapping[str, Any]) -> str:
    low, high = rate["interval"]
    return f"{rate['count']} of {rate['total']} = {rate['share']:.2%} [{low:.2%}, {high:.2%}]"
