"""What is cut from a sample and what never is; nothing wrong becomes acceptable by it, and a job keeps what it cut."""

from __future__ import annotations

import json
import random
from dataclasses import replace
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from recast.agent.engines.protocol import Sample
from recast.agent.prompts import templates
from recast.agent.rewriting import cleaning
from recast.agent.rewriting.attempts import rewriting
from recast.agent.rewriting.cleaning import clean
from recast.agent.rewriting.forecast import predict
from recast.agent.rewriting.methods import FIXED, method
from recast.agent.rewriting.outcome import RewriteResult
from recast.agent.rewriting.rewrite import RewriteConfig, rewrite
from recast.curate.gate.gate import load_gate
from recast.curate.gate.perturbation.perturb import perturb
from recast.curate.gate.perturbation.sums import retold
from recast.curate.history.lineage import why
from recast.curate.history.query import query
from recast.curate.store.store import Store
from tests.fakes.engines import FakeEngine
from tests.fakes.gates import FakeGate
from tests.fakes.rows import rows
from tests.fakes.runs import killed_again_and_again

INSTRUCTION = templates.INSTRUCTIONS[templates.REWRITE_ID]
QUESTION = "Ann sold 48 clips in April and half as many in May. How many did she sell?"
SOLUTION = "48/2 = 24. So she sold 48 + 24 = 72 clips.\n#### 72"


def cut(text: str) -> tuple[str, str, str, tuple[str, ...]]:
    found = clean(text, instruction=INSTRUCTION, question=QUESTION)
    return found.before, found.text, found.after, found.rules


@pytest.mark.parametrize(
    ("before", "after", "rules"),
    [
        ("", "\n\nRewrite the solution in your own words.", ("request",)),
        ("", "\nRewrite the answer as a poem. It has 7 lines.\nRoses are red.", ("request",)),
        ("Keep every result and the final answer.\n", "", ("request",)),
        (f"{QUESTION}\n", "", ("question",)),
        ("Here is the rewritten solution:\n", "", ("opening",)),
        ("Sure! Here's how I would say it:\n", "", ("opening",)),
        ("Of course, I can help with that.\nRewritten solution:\n", "", ("opening",)),
        ("", "\nUser: What is 3 + 4?\nAssistant: It is seven.", ("turn",)),
        ("", "\n### Question 2:\nHow many clips are left?", ("turn",)),
        ("", "\nI hope this helps! Let me know if you have questions.", ("closing",)),
        ("", "\n\nThis is the answer to the original question.", ("closing",)),
        ("", "\n#### 72\n#### 72", ()),  # too short to be something said again
        ("", f"\n{SOLUTION}", ("again",)),
        ("Sure!\n", "\nI hope this helps!\nQuestion: What is 3 + 4?", ("opening", "turn", "closing")),
    ],
)
def test_each_rule_cuts_a_whole_span_and_keeps_the_solution(before, after, rules):
    whole = f"{before}{SOLUTION}{after}"
    assert cut(whole) == ((before, SOLUTION, after, rules) if rules else ("", whole, "", ()))


@pytest.mark.parametrize(
    ("text", "why_not"),
    [
        (f"Ann sold 48 clips in April and half as many in May. {SOLUTION}", "facts are how solutions begin"),
        (f"{SOLUTION}\nRewrite the solution in your own words.\n#### 71", "it would hide another answer"),
        (f"I hope this helps!\nThe answer is 71.\n{QUESTION}", "closing words do not open a text"),
        ("Great Britain has 5 ships and Spain 7. 5 + 7 = 12.", "a fact is no opening"),
        ("Okay, so each of them has an apple. 5 + 7 = 12.", "nor is this one"),
        ("Certainly 5 + 7 = 12. So it is 12.", "nor a sum"),
        ("5 + 7 = 12. And the final answer is 12.", "an answer is no request, whatever words they share"),
        ("Rewrite the solution in your own words.", "nothing would remain"),
        ("She walks 5 miles. She walks 5 miles. Then 5 + 5 = 10.", "not at the end"),
        ("Here is 5 + 7 = 12.", "it announces nothing"),
        ("", "there is nothing"),
    ],
)
def test_what_belongs_to_the_rewrite_is_never_cut(text, why_not):
    assert cut(text) == ("", text, "", ()), why_not


def test_an_answer_in_the_cut_span_is_no_obstacle_where_it_is_the_same():
    assert cut(f"{SOLUTION}\nRewrite the solution in your own words.\n#### 72")[1] == SOLUTION


def test_a_repair_prompt_is_known_by_what_it_says_itself_and_not_by_the_failure():
    said = templates.repair([{"role": "user", "content": "Q"}], "D", "The text is bad.")[-1]["content"]
    assert said == f"Q\n\nSolution:\nD\n\n{templates.INSTRUCTIONS[templates.REPAIR_ID]} The text is bad."
    echo = f"{SOLUTION}\nAn earlier attempt failed: no."
    assert clean(echo, instruction=templates.INSTRUCTIONS[templates.REPAIR_ID]).text == SOLUTION
    assert clean(echo, instruction=INSTRUCTION).text == echo


PIECES = st.sampled_from([
    *INSTRUCTION.split(". "), INSTRUCTION, QUESTION, *QUESTION.split(". "), "Sure!", "Here is the solution:",
    "Solution:", "48/2 = 24.", "So she sold 72 clips.", "#### 72", "#### 71", "The answer is 72.", "\\boxed{72}",
    "\\boxed{", "```",
    "User:", "Question 2: How many?", "<|im_end|>", "I hope this helps!", "Let me know.", "Mr. Ray has 3.5 kg.", "x",
    "他有三个。", "\u202e", "<think>", "</think>", "e.g. 5", "1.", "...", "٣ = 3",
])  # fmt: skip
GLUE = st.sampled_from([" ", "\n", "\n\n", "", "  \t", ". ", "\r\n"])
TEXTS = st.lists(st.tuples(PIECES, GLUE), max_size=12).map(lambda found: "".join(a + b for a, b in found))


@given(TEXTS | st.text(max_size=60))
@example(f"{SOLUTION}\n{SOLUTION}\n{SOLUTION}\n{SOLUTION}")
def test_what_remains_is_a_part_of_the_text_and_is_clean(text):
    found = clean(text, instruction=INSTRUCTION, question=QUESTION)
    assert found.before + found.text + found.after == text
    assert bool(found.rules) == (found.text != text)
    assert found.text.strip() or not text.strip(), "nothing remains"
    assert clean(found.text, instruction=INSTRUCTION, question=QUESTION).text == found.text


# --- the gate -------------------------------------------------------------------------------------------


def word_problems(num: int) -> list[dict[str, Any]]:
    """Rows as GSM8K writes them: three annotated steps that build on each other, and `####`."""
    rng, made = random.Random(7), []
    for n in range(num):
        a, b, c = rng.randint(11, 60), rng.randint(3, 9), rng.randint(2, 9)
        total, left = a * b, a * b - c
        thing, who = rng.choice(["clips", "pens", "eggs"]), rng.choice(["Ann", "Ben", "Cleo"])
        made.append({
            "row_id": f"w{n}",
            "messages": [{
                "role": "user",
                "content": f"{who} has {a} boxes with {b} {thing} in each of them. {c} {thing} break and every one of "
                f"the others costs {c} dollars in the shop. How much do they bring?",
            }],
            "demonstration":
            f"In all of the boxes that {who} has there are {a}*{b} = <<{a}*{b}={total}>>{total} {thing}.\n"
            f"After some broke there are {total}-{c} = <<{total}-{c}={left}>>{left} {thing} left to be sold.\n"
            f"For these the shop gets {left}*{c} = <<{left}*{c}={left * c}>>{left * c} dollars.\n#### {left * c}",
            "answer": None,
            "task": "gsm8k",
        })  # fmt: skip
    return made


def test_no_wrong_candidate_of_the_perturbation_bench_becomes_an_accepted_one():
    """A text told twice is the exception: what is kept of it is the right text that it was made of, word by word."""
    gate, kinds = load_gate("math"), set()
    for item in perturb(word_problems(25)):
        question = item.row["messages"][-1]["content"]
        kept = clean(item.completion, instruction=INSTRUCTION, question=question)
        kinds.add(item.kind)
        if item.kind == "told_twice":
            assert (kept.text, kept.rules) == (retold(item.row), ("again",))
            continue
        assert kept.text == item.completion, f"{item.kind} has nothing around it"
        if item.right is not False:
            continue
        wrapped = f"Sure! Here is the rewritten solution:\n{item.completion}\n\n{INSTRUCTION}"
        freed = clean(wrapped, instruction=INSTRUCTION, question=question)
        verdict = gate.verify(item.row, item.completion)
        assert freed.text == item.completion and gate.verify(item.row, freed.text).status == verdict.status
    assert {"told_twice", "answer_changed", "false_equality", "step_dropped", "operand_altered"} <= kinds


# --- a job ----------------------------------------------------------------------------------------------


class Echo(FakeEngine):
    """Says its text between an opening and the request, and runs into the limit while it says that."""

    def _sample(self, seed):
        said = super()._sample(seed)
        return replace(said, text=f"Sure!\n{said.text} of it.\n\n{INSTRUCTION}", finish_reason="length")


class Whole(FakeGate):
    """Refuses what was cut off."""

    def verify_many(self, rows, completions, finish_reasons=None):
        cut_off = [reason != "stop" for reason in finish_reasons or ()]
        assert not any(cut_off), "the limit fell into what was cut"
        return super().verify_many(rows, completions)


def config(**changes) -> RewriteConfig:
    return RewriteConfig(**{"batch_rows": 3, "window_rows": 7, "embedding": "none", **changes})


def candidates(result: RewriteResult) -> list[dict[str, Any]]:
    return result.candidates().read_all().to_pylist()


def test_the_kept_text_is_judged_scored_and_stored_and_what_was_cut_is_kept(tmp_path):
    result = rewrite(rows(9), Echo(), Whole(), config(), tmp_path)
    assert result.counts["rewrite"] > 0
    for c in candidates(result):
        said = json.loads(c["cut"])
        whole = said["before"] + c["text"] + said["after"]
        assert whole == f"Sure!\n{c['text']}\n\n{INSTRUCTION}" and said["rules"] == ["opening", "request"]
        assert c["finish_reason"] == "stop"
        # what was sampled is paid for: FakeEngine samples a token a character, before the echo is put around them
        assert c["num_tokens"] == len(c["text"]) - len(" of it.")
        if c["status"] == "accepted":
            assert c["nll"] == pytest.approx(len(c["text"]) / 100), "the score is the kept text's"
    assert result.num_cut == result.num_candidates == 36
    assert result.cut == {"opening": 36, "request": 36} == result.to_dict()["cut"]
    for r in result.rows().read_all().to_pylist():
        if r["decision"] == "rewrite":
            assert r["completion"].startswith("good") and r["completion"].endswith("of it.")
            assert r["num_tokens"] == len(r["completion"])


def test_a_forecast_cleans_as_the_job_does(tmp_path):
    said = predict(rows(9), Echo(words=("good",)), Whole(), config(), tmp_path)
    assert said.accepted_rows.value == 1
    # a token a character of what FakeEngine says, "good 0" to "good 999", four times a row
    assert 9 * 4 * 6 <= said.tokens.value <= 9 * 4 * 8


def test_where_nothing_is_scored_nobody_knows_the_tokens_of_a_text_that_was_cut(tmp_path):
    cut = rewrite(rows(3), Echo(words=("good",)), Whole(), config(scoring=False), tmp_path / "a")
    whole = rewrite(rows(3), FakeEngine(words=("good",)), Whole(), config(scoring=False), tmp_path / "b")
    assert cut.rows().read_all()["num_tokens"].to_pylist() == [None] * 3
    assert None not in whole.rows().read_all()["num_tokens"].to_pylist()


def test_off_the_text_is_the_sample(tmp_path):
    result = rewrite(rows(3), Echo(), FakeGate(), config(clean=False), tmp_path)
    assert result.reasons == {"Sure!": 3} and result.cut == {} and result.num_cut == 0
    assert all(c["cut"] is None and INSTRUCTION in c["text"] for c in candidates(result))


def test_an_echo_leaves_a_row_rewritten_and_why_and_sql_tell_what_was_cut(tmp_path):
    store = Store(tmp_path / "store")
    parent = store.commit(rows(9), "d")
    result = rewrite(store.open("d"), Echo(), Whole(), config(), tmp_path / "run")
    store.commit(result.rows(), "r", parent=parent, law="rewrite", candidates=result.candidates())
    decisions = {r["row_id"]: r["decision"] for r in result.rows().read_all().to_pylist()}
    rewritten = next(row_id for row_id, kind in decisions.items() if kind == "rewrite")
    excerpt = INSTRUCTION[:120]
    assert why(store, "r", rewritten).endswith(
        f"; cut from its sample ahead of the gate (opening, request): before it 'Sure!' and after it {excerpt + '…'!r}."
    )
    fallen = [row_id for row_id, kind in decisions.items() if kind == "fallback"]
    for row_id in fallen:
        assert "; 4 of them were cut ahead of the gate (4 opening, 4 request)." in why(store, "r", row_id)
    found = query(store, "SELECT count(cut) AS n, count(*) AS m FROM candidates").to_pylist()
    assert found == [{"n": 36, "m": 36}]


def test_candidates_of_before_read_as_uncut_beside_those_of_today(tmp_path):
    """Parts of before lack the column: in the store, and in a run that goes on."""
    run = tmp_path / "run"
    old = rewrite(rows(9), FakeEngine(), FakeGate(), config(clean=False), run)
    expected = candidates(old)
    part = next(iter(sorted((run / "parts").iterdir())))
    table = pq.read_table(part)
    kind = table["candidates"].type.field(0).type
    fields = [f for f in kind if f.name != "cut"]
    lacking = table["candidates"].cast(pa.list_(pa.struct(fields)))
    pq.write_table(table.set_column(table.num_columns - 1, "candidates", lacking), part)
    again = rewrite(rows(9), FakeEngine(), FakeGate(), config(clean=False), run)
    assert candidates(again) == expected and again.num_found == 9

    store = Store(tmp_path / "store")
    store.commit(rows(9), "d")
    store.commit(
        again.rows(),
        "r",
        parent="d",
        law="rewrite",
        candidates=again.candidates().read_all().drop_columns(["cut"]),
    )
    assert store.open("r").candidates()["cut"].to_pylist() == [None] * 36
    assert "cut" not in why(store, "r", "r0")


@pytest.mark.parametrize("done", [0, 1, 3])
def test_a_job_begun_before_there_was_cleaning_goes_on_without_it(tmp_path, done):
    """Its plan says nothing of cleaning: that is a job which judges texts as they were sampled."""
    engine = Echo(words=("good",))
    before = rewrite(rows(9), engine, FakeGate(), config(clean=False, doubt=0), tmp_path / "a")
    plan = json.loads((tmp_path / "a" / "plan.json").read_text())["identity"]
    assert "cleaning" not in plan and "clean" not in plan["config"]
    for part in sorted((tmp_path / "a" / "parts").iterdir())[done:]:
        part.unlink()
    again = rewrite(rows(9), engine, FakeGate(), config(), tmp_path / "a")
    assert again.fingerprint == before.fingerprint and candidates(again) == candidates(before)
    new = rewrite(rows(9), engine, FakeGate(), config(), tmp_path / "b")
    assert new.fingerprint != before.fingerprint and new.num_cut == 36


def test_the_rules_of_cleaning_are_part_of_what_a_job_is(tmp_path, monkeypatch):
    rewrite(rows(3), Echo(), Whole(), config(), tmp_path)
    plan = json.loads((tmp_path / "plan.json").read_text())["identity"]
    assert plan["cleaning"] == cleaning.REVISION


def test_published_methods_are_judged_as_they_were_sampled(tmp_path):
    settings = RewriteConfig()
    cleaned = {name: method(name, settings).clean for name in FIXED}
    assert cleaned == {
        "prompt": True, "hinted": True, "copy": False, "sdft": False, "mind-the-gap": False, "self-rehearsal": False,
    }  # fmt: skip
    assert [name for name, without in FIXED.items() if "clean" in without] == [
        n for n in FIXED if n not in ("prompt", "hinted")
    ]
    assert rewriting(4, settings.sampling, repairs=0, adapter=False, clean=True).clean
    assert not method("prompt", RewriteConfig(clean=False)).clean


def test_a_repair_is_told_of_the_kept_text_and_cleaned_by_its_own_prompt(tmp_path):
    class Repairing(FakeEngine):
        def sample(self, prompts, k, sampling, *, seeds, adapter):
            failed = ["An earlier attempt failed: The text is bad." in p[-1]["content"] for p in prompts]
            texts = [
                "good 5 + 7 = 12.\nAn earlier attempt failed: yes." if f else f"Sure!\nbad 1\n{INSTRUCTION}"
                for f in failed
            ]
            return [[Sample(text, [1], [-1.0], "stop")] * k for text in texts]

    result = rewrite(rows(2), Repairing(), Whole(), config(candidates=1, repairs=1), tmp_path)
    assert result.counts == {"rewrite": 0, "repair": 2, "fallback": 0}
    assert result.rows().read_all()["completion"].to_pylist() == ["good 5 + 7 = 12."] * 2


@pytest.mark.slow
def test_a_job_that_cleans_and_is_killed_ends_in_the_same_bytes(tmp_path):
    class Slow(Echo):
        def sample(self, *args, **more):
            import time

            time.sleep(0.02)
            return super().sample(*args, **more)

    def work(folder):
        return rewrite(rows(30), Slow(), Whole(), config(), folder, beside=False)

    whole = work(tmp_path / "whole")
    assert whole.num_cut == whole.num_candidates > 0
    died = killed_again_and_again(work, tmp_path / "killed", 4, random.Random(3), 0.4)
    assert died == 4

    def parts(name: str) -> dict[str, bytes]:
        return {p.name: p.read_bytes() for p in sorted((tmp_path / name / "parts").iterdir())}

    assert parts("killed") == parts("whole")
