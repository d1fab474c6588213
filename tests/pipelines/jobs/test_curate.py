"""`recast curate` and the guard of `recast tag`, end to end on a real store."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

WORDS = [f"w{i}" for i in range(97)]


def text(i: int) -> str:
    """Twenty words that no other number shares in order."""
    return " ".join(WORDS[(i * k * k + 3 * k + i) % 97] for k in range(1, 21))


@pytest.fixture
def demos(tmp_path: Path) -> Path:
    """Twelve good rows, then one of each kind that goes: five removed of 17."""
    rows = [
        {"id": f"good-{i}", "prompt": f"question {text(i)}", "completion": f"It is {text(i + 50)}."}
        for i in range(12)
    ]
    rows += [
        {**rows[0], "id": "copy"},
        {"id": "near", "prompt": rows[1]["prompt"], "completion": rows[1]["completion"] + " So."},
        {"id": "false", "prompt": "how many?", "completion": "We add 3 + 4 = 8 and stop there"},
        {"id": "bench", "prompt": f"please, {text(90)}", "completion": "It is what it is, as one says here"},
        {"id": "short", "prompt": "why?", "completion": "no"},
    ]
    path = tmp_path / "demos.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    (tmp_path / "bench.jsonl").write_text(json.dumps({"question": text(90).title()}) + "\n")
    return path


REMOVED = {"exact_duplicate": 1, "near_duplicate": 1, "false_equality": 1, "contaminated": 1, "too_short": 1}


def test_curated_rows_are_a_version_and_the_removed_ones_are_kept_with_their_reason(recast, demos):
    recast("import", demos, "--as", "d")
    tried = recast("curate", "d", "--against", "bench.jsonl", "--dry-run", "--json").json
    assert tried["removed"] == REMOVED and "version" not in tried
    assert len(recast("log", "d", "--json").json["versions"]) == 1

    made = recast("curate", "d", "--as", "clean", "--against", "bench.jsonl", "--json").json
    assert (made["kept"], made["removed"], made["version"]) == (12, REMOVED, "clean@v1")
    clean = recast("sql", 'SELECT row_id FROM "clean" ORDER BY 1', "--json").json["rows"]
    assert [row["row_id"] for row in clean] == sorted(f"good-{i}" for i in range(12))
    query = "SELECT row_id, reason, meta->>'$.removed.because' AS why FROM \"clean-removed\" ORDER BY 1"
    removed = {
        row["row_id"]: (row["reason"], row["why"]) for row in recast("sql", query, "--json").json["rows"]
    }
    assert removed["copy"] == ("exact_duplicate", "of row good-0")
    assert removed["near"] == ("near_duplicate", "of row good-1")
    assert removed["false"] == ("false_equality", "3 + 4 = 8 is false")
    assert removed["bench"][0] == "contaminated" and removed["short"] == ("too_short", "1 words")
    entry = recast("log", "clean", "--json").json["versions"][0]
    assert (entry["parent"], entry["rows"], entry["removed"]) == ("d@v1", 12, 5)
    assert "conservation law" not in recast("verify").out


def test_the_same_command_finds_what_it_made(recast, demos):
    recast("import", demos, "--as", "d")
    first = recast("curate", "d", "--as", "clean", "--json").json
    again = recast("curate", "d", "--as", "clean", "--json")
    assert again.json == first and "found finished" in again.err
    recast("curate", "d", "--as", "clean", "--set", "curate.min_words=null", "--json")
    assert len(recast("log", "clean", "--json").json["versions"]) == 2


def test_curating_a_name_makes_its_next_version(recast, demos):
    recast("import", demos, "--as", "d")
    assert recast("curate", "d", "--json").json["version"] == "d@v2"
    said = recast("curate", "d@v1", "--set", "curate.min_words=4")
    assert said.code == 4 and "d@v2, not d@v1" in said.err, "what v2 holds would be undone"


def test_a_budget_keeps_so_many_and_says_who_went(recast, demos):
    recast("import", demos, "--as", "d")
    made = recast("curate", "d", "--as", "few", "--budget", 5, "--json").json
    assert (
        made["kept"] == 5 and made["removed"]["over_budget"] == 12 - 5 + 1
    )  # "bench" is not contaminated here
    said = recast("curate", "d", "--as", "few2", "--budget", 5, "--dry-run").out
    assert "would keep 5 of 17 rows of d@v1" in said and "over_budget" in said


def test_nothing_left_is_refused(recast, demos):
    recast("import", demos, "--as", "d")
    said = recast("curate", "d", "--set", "curate.min_words=900")
    assert said.code == 4 and "17 too short" in said.err


def test_a_filter_without_effect_is_said(recast, demos):
    recast("import", demos, "--as", "d")
    said = recast("curate", "d", "--set", "curate.max_pass_rate=0.9", "--dry-run").out
    assert "curate.max_pass_rate had no effect: no row has pass_rate" in said


def test_bands_by_hand():
    import numpy as np

    from recast.pipelines.jobs.versions.curate import bands

    rates = np.array([0.0, 0.25, 0.26, 0.5, 0.9, 1.0, np.nan])
    assert bands(rates) == {
        "0": 1, "0-0.25": 1, "0.25-0.5": 2, "0.5-0.75": 0, "0.75-1": 1, "1": 1, "unknown": 1,
    }  # fmt: skip
    assert bands(np.array([np.nan])) == {}


@pytest.fixture
def flattened(recast, tmp_path: Path) -> None:
    """A version whose 40 rewrites follow one template, beside varied demonstrations."""
    from recast.curate.store.store import Store

    rows = [
        {
            "row_id": f"r{i}",
            "messages": [{"role": "user", "content": f"question {i}"}],
            "demonstration": text(i),
            "completion": f"To solve this we say that it is {i}",
            "decision": "rewrite",
        }
        for i in range(40)
    ]
    Store(tmp_path / ".recast").commit(rows, "flat")


def test_a_flattened_version_is_not_tagged_ready(recast, flattened):
    said = recast("tag", "flat", "ready")
    assert said.code == 4
    assert "opening_entropy fell from 3.69 to 0 (-100%)" in said.err and "--accept-risk" in said.err
    assert recast("show", "flat@ready").code == 2, "there is no such tag"
    assert recast("tag", "flat", "draft").code == 0, "only guarded tags are guarded"
    assert recast("tag", "flat", "ready", "--set", "diversity.guarded_tags=[]").code == 0


def test_an_accepted_risk_stands_in_the_log(recast, flattened):
    made = recast("tag", "flat", "ready", "--accept-risk", "--json").json
    assert "opening_entropy fell" in made["accepted_risk"] and made["diversity"]["num_rows"] == 40
    (tag,) = recast("log", "flat", "--json").json["versions"][0]["tags"]
    assert tag["tag"] == "ready" and tag["current"] and tag["note"] == made["accepted_risk"]
    assert "accepting the risk" in recast("log", "flat").out


def test_a_varied_version_is_tagged_ready(recast, demos):
    recast("import", demos, "--as", "d")
    made = recast("tag", "d", "ready", "--json").json
    assert made["accepted_risk"] is None and made["diversity"]["losses"] == []
    (tag,) = recast("log", "d", "--json").json["versions"][0]["tags"]
    assert tag["note"] == ""


def test_a_crash_between_the_two_commits_loses_nothing_and_doubles_nothing(recast, demos, monkeypatch):
    from recast.curate.store.store import Store

    recast("import", demos, "--as", "d")
    commit = Store.commit

    def dies(self, rows, name, **options):
        if name == "clean":
            raise KeyboardInterrupt
        return commit(self, rows, name, **options)

    monkeypatch.setattr(Store, "commit", dies)
    assert recast("curate", "d", "--as", "clean").code == 130
    monkeypatch.setattr(Store, "commit", commit)
    assert len(recast("log", "clean-removed", "--json").json["versions"]) == 1
    assert recast("curate", "d", "--as", "clean", "--json").json["version"] == "clean@v1"
    assert len(recast("log", "clean-removed", "--json").json["versions"]) == 1


def test_a_condition_of_ones_own_keeps_its_rows_and_no_filter_goes_beside_it(recast, demos):
    recast("import", demos, "--as", "d")
    recast("curate", "d", "--as", "clean", "--against", "bench.jsonl")
    made = recast(
        "curate", "d", "--as", "few", "--only", "row_id LIKE 'good-1%' OR row_id = 'copy'", "--json"
    ).json
    # good-1, good-10, good-11, and the exact duplicate, which a filter would have removed
    assert (made["kept"], made["removed"]) == (4, {"not_selected": 13})
    assert recast("sql", 'SELECT count(*) AS n FROM "few-removed"', "--json").json["rows"] == [{"n": 13}]

    matched = "row_id IN (SELECT row_id FROM \"clean@v1\") AND row_id <> 'good-0'"
    made = recast("curate", "d", "--as", "matched", "--only", matched, "--json").json
    rows = recast("sql", 'SELECT row_id FROM "matched"', "--json").json["rows"]
    assert {row["row_id"] for row in rows} == {f"good-{i}" for i in range(1, 12)} and made["kept"] == 11


def test_a_condition_that_is_none_or_holds_nowhere_is_refused(recast, demos):
    recast("import", demos, "--as", "d")
    said = recast("curate", "d", "--only", "no_such_column = 1")
    assert said.code == 2 and "no_such_column" in said.err
    for trick in ("true) LIMIT (2", "true), (false"):
        assert recast("curate", "d", "--only", trick).code == 2
    said = recast("curate", "d", "--only", "row_id = 'nobody'")
    assert said.code == 4 and "No row fulfils" in said.err
    said = recast("curate", "d", "--only", "true", "--budget", "3")
    assert said.code == 2 and "no effect" in said.err


def test_the_same_condition_over_a_version_that_moved_is_another_run(recast, demos, tmp_path):
    recast("import", demos, "--as", "d")
    few = tmp_path / "few.jsonl"
    lines = demos.read_text().splitlines()
    only = ("curate", "d", "--as", "found", "--only", "row_id IN (SELECT row_id FROM few)", "--json")
    for kept in (2, 3):
        few.write_text("".join(line + "\n" for line in lines[:kept]))
        recast("import", few, "--as", "few")
        assert recast(*only).json["kept"] == kept


def test_personal_data_is_masked_in_the_version_and_secrets_go_aside(recast, tmp_path):
    key = "AKIA" + "ABCDEFGHIJKLMNOP"
    rows = [
        {
            "id": "mail",
            "prompt": f"question {text(1)}",
            "completion": "Write to ann.lee@corp.com about the bill.",
        },
        {"id": "key", "prompt": f"question {text(2)}", "completion": f"Log in with {key} and look around."},
        {"id": "clean", "prompt": f"question {text(3)}", "completion": f"It is {text(4)}."},
    ]
    (tmp_path / "d.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    recast("import", tmp_path / "d.jsonl", "--as", "d")
    chosen = ("--set", "curate.secrets=remove", "--set", "curate.personal=mask")
    made = recast("curate", "d", "--as", "c", *chosen, "--json").json
    assert (made["removed"], made["masked"], made["masked_rows"]) == ({"secret": 1}, {"email": 1}, 1)
    found = recast("sql", "SELECT row_id, completion, meta->>'$.masked.email' AS n FROM c", "--json").json[
        "rows"
    ]
    assert {row["row_id"]: (row["completion"], row["n"]) for row in found} == {
        "mail": ("Write to [EMAIL] about the bill.", "1"), "clean": (f"It is {text(4)}.", None),
    }  # fmt: skip
    query = "SELECT row_id, meta->>'$.removed.because' AS why FROM \"c-removed\""
    assert recast("sql", query, "--json").json["rows"] == [{"row_id": "key", "why": "holds 1 aws key"}]
