"""Rehearsal rows: given and own prompts, format checks only."""

from __future__ import annotations

import json

from recast.agent.batches.gating import Inline
from recast.agent.batches.parts import POSITION, Window
from recast.agent.batches.pipeline import run
from recast.agent.batches.source import Source
from recast.agent.engines.protocol import Sample
from recast.agent.new_rows.rehearse import RehearseConfig, format_gate, given, own, rehearse, steps_on


class Talker:
    """Answers `Answer to <prompt>`; in the user's place it asks `Tell me about <number> things`."""

    name, fingerprint, has_adapter, max_length, dtype = "fake", "0" * 16, False, None, None

    class tokenizer:
        chat_template, name_or_path = "yes", "fake"

        @staticmethod
        def apply_chat_template(messages, tokenize, add_generation_prompt):
            return f"<user>{messages[0]['content']}<end>"

        def __new__(cls, text, add_special_tokens):
            return {"input_ids": [ord(c) for c in text]}

    def __init__(self, answers=None):
        self.answers, self.asked = answers or {}, []

    def sample(self, prompts, k, sampling, *, seeds, adapter):
        assert adapter is False and k == 1
        texts = [p[-1]["content"] for p in prompts]
        self.asked += texts
        return [[self.answers.get(t, Sample(f"Answer to {t}", [1, 2], [-1.0, -0.5], "stop"))] for t in texts]

    def logprobs(self, prompts, completions, *, adapter):
        raise AssertionError("rehearsal scores nothing: what it keeps was drawn just now")

    def sample_ids(self, prompts, k, sampling, *, seeds, adapter):
        assert all("".join(map(chr, ids)) == "<user>" for ids in prompts)
        return [
            [Sample(f"Tell me about {seed % 97} things of every kind", [1], [-1.0], "stop")]
            for (seed,) in seeds
        ]


def prompts(*texts):
    return given([{"role": "user", "content": t}] for t in texts)


def test_answers_to_given_prompts_become_rows_in_their_order(tmp_path):
    result = rehearse(prompts("One?", "Two and more?"), Talker(), RehearseConfig(), tmp_path)
    rows = result.rows().read_all().to_pylist()
    assert [r["completion"] for r in rows] == ["Answer to One?", "Answer to Two and more?"]
    assert {(r["decision"], r["source"], r["answer"]) for r in rows} == {("generated", "rehearsal", None)}
    assert rows[0]["nll_completion"] == 0.75
    assert len({r["row_id"] for r in rows}) == 2


def test_cut_empty_and_repeating_answers_go_and_so_do_near_duplicate_prompts(tmp_path):
    answers = {
        "Cut?": Sample("It is", [1], [-1.0], "length"),
        "Empty?": Sample("  ", [1], [-1.0], "stop"),
        "Again?": Sample("so it goes " * 60, [1], [-1.0], "stop"),
    }
    long = "What do you know about the history of rivers and lakes in the north of the country"
    asked = prompts("Cut?", "Empty?", "Again?", long, f"{long} ", f"{long} please")
    result = rehearse(asked, Talker(answers), RehearseConfig(), tmp_path)
    assert result.reasons == {"duplicate": 2, "truncated": 1, "empty": 1, "repetition": 1}
    assert result.num_kept == 1


def test_own_prompts_are_drawn_with_a_margin_and_no_more_are_kept_than_asked_for(tmp_path):
    config = RehearseConfig(oversample=2)
    engine = Talker()
    result = rehearse(own(5, config), engine, config, tmp_path, most=5)
    assert result.num_proposals == 10 == len(engine.asked)
    rows = result.rows().read_all().to_pylist()
    assert len(rows) == 5
    assert all(json.loads(r["messages"])[0]["content"].startswith("Tell me about ") for r in rows)
    assert result.reasons["more_than_asked"] + result.reasons.get("duplicate", 0) == 5


def test_a_row_that_was_lost_is_dropped_for_its_error_and_keeps_its_place(tmp_path):
    (rows,) = Source.of(prompts("One?", "Two?", "Three?")).windows(3)
    engine, window = Talker(), Window(0, rows, [])
    task = steps_on(engine, RehearseConfig())(window, (0, (2, 0, 1)), {0: "its process died"})
    part = run(task, Inline(format_gate()))()
    assert part[POSITION].to_pylist() == [2, 0, 1] and part["reason"].to_pylist() == [None, "error", None]
    assert json.loads(part["meta"][1].as_py()) == {"error": "its process died"}
    assert engine.asked == ["Three?", "Two?"]
