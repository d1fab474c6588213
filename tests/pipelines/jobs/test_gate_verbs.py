"""`recast gate`: audits that survive kill -9, report cards that are kept, thresholds that are chosen."""

from __future__ import annotations

import json
import random
import time
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from recast.curate.errors import IntegrityError
from recast.curate.gate import audit as audits
from recast.curate.gate.audit import audit
from recast.curate.gate.gate import CHUNK_ROWS, Gate, GateConfig, load_gate
from recast.curate.store.store import Store
from tests.conftest import demonstrations
from tests.curate.store.test_lost_files import damage

REWRITES = (
    ("Adding 3 to 1 makes 4, that is 1 + 3 = 4. The answer is 4.", "accepted", ""),
    ("Adding 3 to 1 makes 5. The answer is 5.", "rejected", "wrong_answer"),
    ("1 + 3 = 5, no, it is 4. The answer is 4.", "rejected", "false_equality"),
    ("Adding 3 to 1 makes 4. The answer is 4. Or else: the answer is 5.", "unverifiable", "ambiguous_answer"),
)


def rewritten(folder: Path) -> Store:
    """A store with the version `again@v1`: one row of every fate, and one that keeps the expert's text."""
    store = Store(folder / ".recast")
    row = {"messages": [{"role": "user", "content": "What is 1 + 3?"}], "answer": "4", "task": "sum"}
    expert = "We begin with 1 and 1 + 3 = 4, which is all there is to it. The answer is 4."
    rows = [
        {**row, "row_id": f"r{i}", "demonstration": expert, "completion": text, "decision": "rewrite"}
        for i, (text, _, _) in enumerate(REWRITES)
    ]
    rows.append(
        {**row, "row_id": "kept", "demonstration": expert, "completion": expert, "decision": "fallback"}
    )
    store.commit(rows, "again")
    return store


def gsm8k(folder: Path, shared_data: Path) -> Store:
    from recast.curate.ingest import importer

    store = Store(folder / ".recast")
    store.commit(importer.read(shared_data / "gsm8k" / "train.jsonl"), "gsm8k")
    return store


def test_an_audit_gives_every_row_a_verdict_that_sql_reads(recast, tmp_path):
    rewritten(tmp_path)
    said = recast("gate", "run", "again", "--gate", "math", "--json")
    assert said.code == 0, said.err
    assert {k: said.json[k] for k in ("rows", "accepted", "rejected", "unverifiable")} == {
        "rows": 5, "accepted": 2, "rejected": 2, "unverifiable": 1,
    }  # fmt: skip
    query = "SELECT row_id, status, reason FROM verdicts WHERE version = 'again@v1' ORDER BY row_id"
    found = recast("sql", query, "--json").json["rows"]
    expected = {f"r{i}": (status, reason) for i, (_, status, reason) in enumerate(REWRITES)}
    assert {row["row_id"]: (row["status"], row["reason"]) for row in found} == {
        **expected,
        "kept": ("accepted", ""),
    }
    checks = recast("sql", "SELECT checks FROM verdicts WHERE row_id = 'r1'", "--json").json["rows"][0][
        "checks"
    ]
    assert next(c for c in json.loads(checks) if c["name"] == "answer")["message"] == (
        "The completion answers '5', the reference is '4'."
    )


def test_without_an_audit_the_table_of_verdicts_is_empty(recast, tmp_path):
    rewritten(tmp_path)
    assert recast("sql", "SELECT count(*) AS n FROM verdicts", "--json").json["rows"] == [{"n": 0}]


def test_a_finished_audit_is_found_and_another_gate_makes_another(recast, tmp_path):
    rewritten(tmp_path)
    first = recast("gate", "run", "again", "--gate", "math", "--json")
    assert "found finished" in recast("gate", "run", "again@v1", "--gate", "math", "--json").err
    other = recast("gate", "run", "again", "--gate", "text", "--json")
    assert other.json["gate_id"] != first.json["gate_id"]
    rows = recast(
        "sql", "SELECT gate, count(*) AS n FROM verdicts GROUP BY gate ORDER BY gate", "--json"
    ).json["rows"]
    assert rows == [{"gate": "math", "n": 5}, {"gate": "text", "n": 5}]


@pytest.mark.parametrize("how", ["lost", "cut", "flipped"])
@pytest.mark.parametrize("suffix", [".parquet", ".json"])
def test_verdicts_that_were_damaged_are_named_and_never_read(recast, tmp_path, suffix, how):
    """Every bit of either file counts: one is flipped in a place of chance, eight times."""
    if (suffix, how) == (".json", "lost"):
        return  # then the audit never ended
    rewritten(tmp_path)
    whole = Path(recast("gate", "run", "again", "--gate", "math", "--json").json["out"]).with_suffix(suffix)
    held, rng = whole.read_bytes(), random.Random(7)
    for _ in range(8 if how == "flipped" else 1):
        damage(whole, how, {}, rng)
        asked = recast("sql", "SELECT status, reason FROM verdicts", "--json")
        assert asked.code == 5 and whole.name in asked.err and "gate run VERSION --fresh" in asked.err
        verified = recast("verify", "--json")
        assert verified.code == 5 and whole.name in verified.json["problems"][0]["what"]
        whole.write_bytes(held)
    assert recast("verify").code == 0
    whole.unlink()
    assert recast("gate", "run", "again", "--gate", "math", "--fresh").code == 0
    assert recast("sql", "SELECT count(*) AS n FROM verdicts", "--json").json["rows"] == [{"n": 5}]


def test_a_share_below_the_one_asked_for_is_exit_code_4_and_the_verdicts_stay(recast, tmp_path):
    rewritten(tmp_path)
    said = recast("gate", "run", "again", "--gate", "math", "--min-accepted", "0.9", "--json")
    assert said.code == 4
    assert "accepts 2 of the 5 rows of again@v1 (40.00%)" in said.json["error"]["message"]
    assert recast("sql", "SELECT count(*) AS n FROM verdicts", "--json").json["rows"] == [{"n": 5}]
    assert recast("gate", "run", "again", "--gate", "math", "--min-accepted", "0.4").code == 0


def test_a_check_that_breaks_makes_a_failed_row_and_exit_code_3(recast, tmp_path, monkeypatch):
    rewritten(tmp_path)
    from recast.curate.gate.checks.words.names import NamesCheck

    def breaks(self, case):
        raise RuntimeError("no names today")

    monkeypatch.setattr(NamesCheck, "run", breaks)
    said = recast("gate", "run", "again", "--gate", "math", "--workers", "1", "--json")
    assert (said.code, said.json["failed_rows"]) == (3, 2)  # the others have a reason of their own


def test_an_audit_goes_on_where_it_stopped(tmp_path):
    """3 chunks: the first attempt ends after one, the second judges the other two and the outcome is the same."""
    store = Store(tmp_path / ".recast")
    row = {"answer": "4", "demonstration": "1 + 3 = 4", "messages": [{"role": "user", "content": "1 + 3?"}]}
    texts = [text for text, _, _ in REWRITES]
    rows = [{**row, "row_id": str(i), "completion": texts[i % 4]} for i in range(2 * CHUNK_ROWS + 1)]
    version = store.open(store.commit(rows, "many"))
    asked: list[str] = []

    class Counting(Gate):
        def verify(self, row, completion, *, finish_reason="stop"):
            asked.append(row["row_id"])
            return super().verify(row, completion, finish_reason=finish_reason)

    gate = Counting(GateConfig(), {"judge": lambda *_: 1.0})  # a gate with models stays in this process

    def stop(point):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        audit(version, gate, tmp_path / "run", progress=stop)
    assert not list((tmp_path / ".recast").glob("gates/*/*")), "nothing is sealed"
    assert len(asked) == CHUNK_ROWS
    whole = audit(version, gate, tmp_path / "run")
    assert len(asked) == len(rows), "no row twice"
    again = pq.read_table(audit(version, load_gate("math"), tmp_path / "other", fresh=True).out)
    assert again.equals(pq.read_table(whole.out))
    assert not (tmp_path / "run" / "parts").exists()


def test_parts_that_are_damaged_or_of_other_rows_are_refused(tmp_path):
    version = rewritten(tmp_path).open("again")
    parts = tmp_path / "run" / "parts"
    parts.mkdir(parents=True)
    (parts / "000000.parquet").write_bytes(b"PAR1 no parquet PAR1")
    with pytest.raises(IntegrityError, match=r"000000.parquet cannot be read .*run the same command again"):
        audit(version, load_gate("math"), tmp_path / "run")
    strange = {name: ["x"] for name in ("row_id", "status", "reason", "checks")} | {"target": [0]}
    import pyarrow as pa

    pq.write_table(pa.table(strange, schema=audits.VERDICT_SCHEMA), parts / "000000.parquet")
    with pytest.raises(IntegrityError, match="holds verdicts of other rows"):
        audit(version, load_gate("math"), tmp_path / "run")


def test_verdicts_that_do_not_add_up_are_not_sealed(tmp_path):
    done = audit(rewritten(tmp_path).open("again"), load_gate("math"), tmp_path / "run")
    with pytest.raises(
        IntegrityError, match=r"again@v1 has 6 rows, and there are 2 accepted \+ 2 rejected \+ 1"
    ):
        audits._counted(Path(done.out), "again@v1", 6)
    assert not Path(done.out).exists()


def children(pid: int) -> set[int]:
    found = set()
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[1]) == pid:
            found |= {int(path.parent.name)} | children(int(path.parent.name))
    return found


def kill_when(process, ready, patience_s: float = 60.0) -> None:
    """kill -9 at the moment that `ready()` says; nobody is left behind."""
    deadline = time.monotonic() + patience_s
    while not ready() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.01)
    assert process.poll() is None, process.communicate()[1]
    workers = children(process.pid)
    process.kill()
    process.communicate()
    while any(Path(f"/proc/{pid}").exists() for pid in workers):
        assert time.monotonic() < deadline, f"{workers} outlived their parent"
        time.sleep(0.05)


@pytest.mark.slow
def test_gsm8k_audited_through_kill_9_is_what_an_uninterrupted_audit_makes(
    recast_process, tmp_path, shared_data
):
    version = gsm8k(tmp_path, shared_data).open("gsm8k")
    command = ("gate", "run", "gsm8k", "--gate", "math", "--workers", "2", "--json")
    runs = tmp_path / ".recast" / "runs"
    kill_when(recast_process(*command), lambda: len(list(runs.glob("*/parts/*.parquet"))) > 3)
    assert len(list(runs.glob("*/parts/*.parquet"))) > 3, "finished parts stand"
    assert not list((tmp_path / ".recast").glob("gates/*/*.parquet")), "nothing is sealed"
    process = recast_process(*command)
    out, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    found = json.loads(out)
    assert found["rows"] == 7473 == found["accepted"] + found["rejected"] + found["unverifiable"]
    sealed = pq.read_table(tmp_path / found["out"])
    again = audit(version, load_gate("math"), tmp_path / "other", fresh=True)
    assert pq.read_table(again.out).equals(sealed)


@pytest.mark.torture
def test_an_audit_killed_again_and_again_ends_as_an_uninterrupted_one(recast_process, tmp_path, shared_data):
    version = gsm8k(tmp_path, shared_data).open("gsm8k")
    command = ("gate", "run", "gsm8k", "--gate", "math", "--workers", "2", "--json")
    rng = random.Random(0)
    for _ in range(25):
        process = recast_process(*command)
        moment = time.monotonic() + rng.uniform(0.2, 6.0)
        while process.poll() is None and time.monotonic() < moment:
            time.sleep(0.01)
        process.kill()
        process.communicate()
    process = recast_process(*command)
    out, err = process.communicate(timeout=300)
    assert process.returncode == 0, err
    sealed = pq.read_table(tmp_path / json.loads(out)["out"])
    again = audit(version, load_gate("math"), tmp_path / "other", workers=2, fresh=True)
    assert pq.read_table(again.out).equals(sealed)


def test_a_report_card_is_kept_with_the_gates_id_and_the_log_knows_it(recast, tmp_path):
    demonstrations(tmp_path / "d.jsonl", 40)
    recast("import", "d.jsonl", "--as", "sums")
    said = recast("gate", "report", "--gate", "math")
    assert said.code == 2 and "has not been measured" in said.err
    card = recast("gate", "report", "sums", "--gate", "math", "--workers", "1", "--json").json["cards"][0]
    assert card["gate_id"] == load_gate("math").id
    assert card["labels"] == "perturbations of 40 rows of sums@v1, seed 0"
    assert card["kinds"]["answer_changed"]["false_accepts"]["count"] == 0
    assert card["ensemble"]["right"]["accepted"] >= 40
    known = recast("gate", "report", "--gate", "math", "--json").json["cards"]
    assert known == [card]
    assert "wrong ones accepted" in recast("gate", "report", "--gate", "math").out
    recast("gate", "run", "sums", "--gate", "math", "--workers", "1")
    logged = recast("log", "sums", "--json").json["versions"][0]["audits"][0]
    assert (logged["rows"], logged["gate_id"]) == (40, card["gate_id"])
    assert logged["measured"].startswith("measured on perturbations of 40 rows of sums@v1, seed 0: accepts ")
    assert "audited by gate math" in recast("log", "sums").out


def test_why_says_how_often_the_gate_is_wrong_that_accepted_a_row(recast, tmp_path):
    store = rewritten(tmp_path)
    gate = load_gate("math")
    row = {"row_id": "r0", "messages": [{"role": "user", "content": "1 + 3?"}], "demonstration": "1 + 3 = 4"}
    store.commit([{**row, "completion": "4", "decision": "rewrite", "gate_id": gate.id}], "mine")
    assert f"gate {gate.id} accepted it in" not in recast("why", "mine", "r0").out
    demonstrations(tmp_path / "d.jsonl", 40)
    recast("import", "d.jsonl", "--as", "sums")
    recast("gate", "report", "sums", "--gate", "math", "--workers", "1")
    assert f"gate {gate.id} accepted it (measured on perturbations" in recast("why", "mine", "r0").out


def test_perturbations_become_labels_and_labels_a_gate(recast, tmp_path):
    demonstrations(tmp_path / "d.jsonl", 150)
    recast("import", "d.jsonl", "--as", "sums")
    made = recast("gate", "perturb", "sums", "--gate", "math", "-w", "1", "-o", "labels.jsonl", "--json").json
    assert made["rows"] == 150 and made["kinds"]["sign_flipped"] == 150
    assert made["labels"] == len((tmp_path / "labels.jsonl").read_text().splitlines())
    same = recast("gate", "report", "--labels", "labels.jsonl", "--gate", "math", "-w", "1", "--json").json[
        "cards"
    ][0]
    assert same["ensemble"] == made["card"]["ensemble"]
    # 40 % of the judged texts are wrong and a judge likes them less
    judged = tmp_path / "judged.yaml"
    judged.write_text(
        "checks:\n- {type: answer, symbolic: false}\n- {type: judge, min_yes: 0.1, max_no: 0.1}\n"
    )
    labels = [
        {"row_id": str(i), "answer": "7", "completion": "It is 7.", "right": i % 5 > 1,
         "scores": {"judge": 0.8 if i % 5 > 1 else 0.3}}
        for i in range(3000)
    ]  # fmt: skip
    (tmp_path / "judged.jsonl").write_text("".join(json.dumps(label) + "\n" for label in labels))
    arguments = ("--labels", "judged.jsonl", "--gate", "judged.yaml", "-w", "1", "--json")
    said = recast("gate", "calibrate", *arguments, "--target-false-accept", "0.01", "-o", "mine.yaml")
    assert said.code == 0, said.err
    assert said.json["turned"] == {"judge": {"field": "min_yes", "before": 0.1, "after": 0.8}}
    assert said.json["before"]["ensemble"]["false_accepts"]["share"] == 1.0
    assert said.json["after"]["ensemble"]["false_accepts"]["count"] == 0
    gate = load_gate(tmp_path / "mine.yaml")
    assert gate.id == said.json["gate_id"] != said.json["before_id"]
    known = recast("gate", "report", "--gate", "mine.yaml", "--json").json["cards"]
    assert known[0]["labels"].startswith("the held-out half of judged.jsonl")
    said = recast("gate", "calibrate", *arguments, "--target-false-accept", "0.0001", "-o", "none.yaml")
    assert (said.code, (tmp_path / "none.yaml").exists()) == (4, False)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("gate", "run", "again", "--gate", "nosuch"), "neither a preset"),
        (("gate", "run", "nothing"), "nothing"),
        (
            ("gate", "report", "again", "--labels", "again.jsonl"),
            "from --labels or from --reviewed, one of them",
        ),
        (("gate", "report", "--labels", "absent.jsonl"), "absent.jsonl"),
        (("gate", "perturb", "empty", "-o", "x.jsonl"), "can be perturbed"),
        (("gate", "calibrate", "--labels", "absent.jsonl"), "absent.jsonl"),
    ],
)
def test_mistakes_are_named_with_exit_code_2(recast, tmp_path, words, said):
    store = rewritten(tmp_path)
    (tmp_path / "again.jsonl").write_text('{"completion": "x", "right": true}\n')
    store.commit([{"row_id": "a", "messages": [], "completion": "Nothing to see."}], "empty")
    found = recast(*words)
    assert found.code == 2, found.err
    assert said in found.err
    assert not (tmp_path / "x.jsonl").exists()
