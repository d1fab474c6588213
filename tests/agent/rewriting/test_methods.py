"""Published methods through the rewriting job: their prompts, their rules, and what they fall back to."""

from __future__ import annotations

import pytest

from recast.agent.engines.protocol import Sample, Score
from recast.agent.rewriting.attempts import Row
from recast.agent.rewriting.methods import FIXED, method, sdft_check
from recast.agent.rewriting.rewrite import RewriteConfig, rewrite
from recast.curate.errors import UsageError
from recast.curate.gate.gate import load_gate

CONFIG = RewriteConfig(embedding="none", max_tokens=32)
GATE = load_gate("math")


class Scripted:
    """Answers by what the prompt holds; NLL of a text is what `nll` says."""

    name, fingerprint, has_adapter = "fake", "0" * 16, False
    tokenizer = max_length = dtype = None

    def __init__(
        self,
        own: str | list[str] = "",  # one answer to all, or one a candidate
        guided: str | list[str] = "",
        rewritten: str | list[str] = "",
        yes: float = 1.0,
        no: float = 2.0,
    ) -> None:
        self.own, self.guided, self.rewritten, self.yes, self.no = own, guided, rewritten, yes, no
        self.calls = []  # (kind, k, temperature)

    def sample(self, prompts, k, sampling, *, seeds, adapter):
        assert adapter is False
        groups = []
        for prompt in prompts:
            text = prompt[-1]["content"]
            kind = "guided" if "eacher:" in text or "Reference response" in text else "own"
            kind = "rewritten" if "Rewrite the solution" in text else kind
            answer = getattr(self, kind)
            texts = answer if isinstance(answer, list) else [answer] * k
            self.calls.append((kind, k, sampling.temperature))
            groups.append([Sample(t, [1, 2], [-1.0, -1.0], "stop") for t in texts])
        return groups

    def logprobs(self, prompts, completions, *, adapter):
        cost = {"YES": self.yes, "NO": self.no}
        return [Score(cost.get(c, len(c) / 100), 1, 0.0, 0.0) for c in completions]


def rows(num=1):
    return [
        {
            "row_id": f"r{i}",
            "messages": [{"role": "user", "content": "Anna has 12 pens. She buys 5 pens. How many pens?"}],
            "completion": "12 + 5 = 17\n#### 17",
            "answer": "17",
        }
        for i in range(num)
    ]


def outcome(tmp_path, engine, name, **changes):
    config = CONFIG.model_copy(update=changes)
    result = rewrite(rows(), engine, GATE, config, tmp_path, method=method(name, config))
    (row,) = result.rows().read_all().to_pylist()
    return result, row


RIGHT = "Anna has 12 pens and 5 more, so 12 + 5 = 17. The answer is 17."
WRONG = "Anna has 12 pens, so 12 + 5 = 18. The answer is 18."
BAD_SUM = "12 + 4 = 17. The answer is 17."


def test_sdft_takes_one_guided_response_with_the_same_last_integer(tmp_path):
    engine = Scripted(guided=RIGHT)
    result, row = outcome(tmp_path, engine, "sdft")
    assert (row["decision"], row["completion"]) == ("rewrite", RIGHT)
    assert engine.calls == [("guided", 1, 1.0)] and result.method == "sdft"


def test_sdft_keeps_the_expert_where_the_response_is_wrong_or_talks_about_responses(tmp_path):
    wrong, row = outcome(tmp_path / "a", Scripted(guided=WRONG), "sdft")
    assert (row["decision"], row["reason"]) == ("fallback", "wrong_answer")
    _, row = outcome(tmp_path / "b", Scripted(guided=f"Here is my response: {RIGHT}"), "sdft")
    assert row["reason"] == "meta_talk"
    assert wrong.num_candidates == 1, "no second try"


@pytest.mark.parametrize(
    "text, answer, demonstration, reason",
    [
        ("Your turn! 17", "17", "17", "meta_talk"),
        ("It is 1,017.", "1017", "1017", ""),
        ("", None, "Hello", "empty"),
        ("Anything at all", None, "Hello there", ""),
        ("I call get(x=1) here", None, "get(x=1)", ""),
        ("I call get(x=2) here", None, "get(x=1)", "no_call"),
        ("def f(): pass", None, "```python\ndef f(): pass\n```", "no_code"),
    ],
)
def test_sdfts_rule_by_kind_of_task(text, answer, demonstration, reason):
    row = Row(0, "r", 0, [], demonstration, answer, None)
    assert sdft_check(row, Sample(text, [1], [0.0], "stop")).reason == reason


def test_the_methods_own_rule_decides_and_the_gates_word_is_kept_beside_it(tmp_path):
    # right answer after a false sum: SDFT and Mind the Gap look at the answer alone, the gate does not
    result, row = outcome(tmp_path / "a", Scripted(guided=BAD_SUM), "sdft")
    assert row["decision"] == "rewrite" and (result.num_accepted, result.num_gate_accepted) == (1, 0)
    result, row = outcome(tmp_path / "b", Scripted(guided=BAD_SUM), "sdft", accept="gate")
    assert (row["decision"], row["reason"]) == ("fallback", "false_equality")


def test_mind_the_gap_keeps_the_first_correct_own_solution(tmp_path):
    engine = Scripted(own=[WRONG, RIGHT, f"Well. {RIGHT}", WRONG], guided=RIGHT)
    _, row = outcome(tmp_path, engine, "mind-the-gap")
    assert (row["decision"], row["completion"]) == ("rewrite", RIGHT)
    assert engine.calls == [("own", 4, 1.0)], "the guided step is for the unsolved alone"


def test_mind_the_gap_retells_what_it_cannot_solve_and_falls_back_on_the_rest(tmp_path):
    engine = Scripted(own=WRONG, guided=[WRONG, WRONG, RIGHT, WRONG])
    result, row = outcome(tmp_path / "a", engine, "mind-the-gap")
    assert (row["decision"], row["completion"], result.num_candidates) == ("rewrite", RIGHT, 8)
    assert row["template_id"] == "retell-1"
    assert engine.calls == [("own", 4, 1.0), ("guided", 4, 0.7)]
    _, row = outcome(tmp_path / "b", Scripted(own=WRONG, guided=WRONG), "mind-the-gap")
    assert (row["decision"], row["reason"], row["completion"]) == (
        "fallback",
        "wrong_answer",
        row["demonstration"],
    )


def test_self_rehearsal_keeps_what_its_judge_accepts(tmp_path):
    engine = Scripted(own=RIGHT, yes=1.0, no=2.0)
    _, row = outcome(tmp_path / "a", engine, "self-rehearsal")
    assert (row["decision"], row["completion"]) == ("rewrite", RIGHT)
    assert engine.calls == [("own", 1, 0.0)] and row["template_id"] == "plain-1"
    _, row = outcome(tmp_path / "b", Scripted(own=RIGHT, yes=2.0, no=1.0), "self-rehearsal")
    assert (row["decision"], row["reason"]) == ("fallback", "judged_no")


def test_prompt_is_the_rewriting_prompt_without_an_agent(tmp_path):
    engine = Scripted(rewritten=RIGHT)
    result, row = outcome(tmp_path, engine, "prompt")
    assert row["decision"] == "rewrite" and engine.calls == [("rewritten", 4, 1.0)]
    assert result.method == "prompt"


def test_copy_samples_nothing_and_keeps_every_demonstration_with_its_score(tmp_path):
    engine = Scripted()
    result, row = outcome(tmp_path, engine, "copy")
    assert engine.calls == []
    assert (row["decision"], row["reason"], row["completion"]) == ("fallback", "copy", row["demonstration"])
    assert row["nll_completion"] == row["nll_demonstration"] == pytest.approx(0.19)  # 19 characters
    assert result.num_tokens == 0


def test_hinted_decoding_asks_an_engine_that_mixes_for_both_prompts_and_other_engines_are_refused(tmp_path):
    asked = []

    class Mixes(Scripted):
        name = "hf"

        def sample_mixed(self, prompts, k, sampling, *, mixing, seeds, adapter):
            asked.extend(prompts)
            assert (mixing.strength, k, sampling.temperature, adapter) == (1.0, 2, 0.3, False)
            assert mixing.until.search("So the answer is") and not mixing.until.search("So Anna answers")
            return [[Sample(RIGHT, [1, 2], [-1.0, -1.0], "stop")] * k for _ in prompts]

    result, row = outcome(tmp_path / "a", Mixes(), "hinted", candidates=2, temperature=0.3)
    assert (row["decision"], row["completion"], result.method) == ("rewrite", RIGHT, "hinted")
    ((rewriting, plain),) = asked
    assert "Rewrite the solution" in rewriting[-1]["content"] and plain == rows()[0]["messages"]
    with pytest.raises(UsageError, match=r"method hinted mixes .* the engine 'fake' cannot; use --engine hf"):
        outcome(tmp_path / "b", Scripted(), "hinted")


def test_an_unknown_method_and_an_agent_for_a_baseline_are_refused(tmp_path):
    with pytest.raises(UsageError, match="there is no method 'magic'"):
        method("magic", CONFIG)
    engine = Scripted()
    engine.has_adapter = True
    with pytest.raises(UsageError, match="bare backbone"):
        rewrite(rows(), engine, GATE, CONFIG, tmp_path, method=method("sdft", CONFIG), agent_id="a")


def test_every_method_can_be_made_and_its_fixed_settings_are_settings():
    for name, fixed in FIXED.items():
        assert method(name, CONFIG).name == name
        assert set(fixed) <= set(RewriteConfig.model_fields)
