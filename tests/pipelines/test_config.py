"""Configuration: order, unknown keys, and the file that `recast init` writes."""

from __future__ import annotations

import pytest
import yaml
from pydantic import BaseModel, ConfigDict

from recast.curate.errors import UsageError
from recast.pipelines import config
from recast.pipelines.config import Config, named_prompts
from recast.pipelines.options import Names
from recast.pipelines.run.arguments import complete, find, names_of, parameters


def test_defaults_then_files_in_order_then_flags(tmp_path):
    (tmp_path / "a.yaml").write_text("sft: {lr: 0.1, epochs: 5}\nmodel: a\n")
    (tmp_path / "b.yaml").write_text("sft: {lr: 0.2}\n")
    settings = Config.load([tmp_path / "a.yaml", tmp_path / "b.yaml"], ["sft.batch_size=2"])
    sft = settings.section("sft")
    assert (sft.lr, sft.epochs, sft.batch_size, sft.seed) == (0.2, 5, 2, 0)
    assert settings.general.model == "a"


def test_a_set_value_is_read_as_yaml():
    assert Config.load(sets=["sft.lr=1.0e-4"]).section("sft").lr == 1e-4
    assert Config.load(sets=["sft.lora_rank=null"]).section("sft").lora_rank is None


def test_settings_are_written_as_they_are_read():
    given = {
        "gate": "my gate.yaml",
        "author": "null",
        "engine": {"device": None, "base_url": "http://host:1/v1"},
        "rewrite": {"candidates": 2, "temperature": 0.5, "scoring": False, "embedding": "a: b # c"},
    }
    settings = Config.of(given).settings()
    assert settings["rewrite.candidates"] == 2
    assert Config.load(sets=[config.written_set(k, v) for k, v in settings.items()]).given == given


def test_overrides_that_are_none_change_nothing():
    settings = Config.load(sets=["sft.seed=7"])
    assert settings.section("sft", seed=None).seed == 7
    assert settings.section("sft", seed=0).seed == 0


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("sft: {epoch: 3}", "unknown config key sft.epoch. Did you mean sft.epochs?"),
        ("stf: {epochs: 3}", "unknown config key stf. Did you mean sft?"),
        ("zzzzz: 1", "unknown config key zzzzz. There are: "),
        ("sft: 3", "sft is a section of the configuration, not 3"),
        ("sft: {epochs: many}", "config key sft.epochs: found 'many'"),
        ("sft: {epochs: 0}", "config key sft.epochs: found 0"),
        ("[1, 2]", "holds a list; expected a mapping"),
        ("a: [", "is not YAML"),
    ],
)
def test_what_is_wrong_is_named_with_the_nearest_that_is_right(tmp_path, text, hint):
    path = tmp_path / "c.yaml"
    path.write_text(text)
    with pytest.raises(UsageError, match=hint.replace(".", r"\.").replace("?", r"\?")):
        Config.load([path])


def test_a_missing_file_says_how_to_make_one(tmp_path):
    with pytest.raises(UsageError, match="recast init"):
        Config.load([tmp_path / "none.yaml"])


def test_set_without_equals_is_refused():
    with pytest.raises(UsageError, match="KEY=VALUE"):
        Config.load(sets=["sft.lr"])


def test_the_written_config_holds_the_defaults_and_loads():
    text = config.commented()
    written = Config.of(yaml.safe_load(text))
    assert written.resolved() == Config().resolved()


def test_the_written_config_explains_every_key():
    lines = config.commented().splitlines()
    for number, line in enumerate(lines):
        if line.startswith("  ") and not line.strip().startswith("#"):
            assert lines[number - 1].strip().startswith("#"), f"no comment above {line!r}"


def test_field_docs_are_read_from_under_the_field():
    class Example(BaseModel):
        model_config = ConfigDict(extra="forbid")

        rate: float = 1.0
        """How fast,
        in rows a second."""
        silent: int = 0

    assert config.field_docs(Example) == {"rate": "How fast, in rows a second."}


def test_a_stage_lays_its_config_over_the_plans():
    settings = Config.of({"sft": {"lr": 0.1, "epochs": 2}}).over(
        {"sft": {"lr": 0.2}, "rewrite.candidates": 8}
    )
    assert settings.section("sft").lr == 0.2
    assert settings.section("sft").epochs == 2
    assert settings.section("rewrite").candidates == 8


@pytest.mark.parametrize(
    "text", ["rewrite: '{{ demonstration }} again'\n", "prompts: {rewrite: '{{ demonstration }} again'}\n"]
)
def test_a_file_of_prompts_holds_the_section_or_its_keys(tmp_path, text):
    """`rewrite` is the name of a section, too, and means the template here."""
    (tmp_path / "mine.yaml").write_text(text)
    assert (
        named_prompts(str(tmp_path / "mine.yaml")).section("prompts").rewrite == "{{ demonstration }} again"
    )
    assert named_prompts("math").section("prompts").preset == "math"


def test_what_names_no_prompts_is_refused(tmp_path):
    (tmp_path / "mine.yaml").write_text("rewrite: {candidates: 3}\n")
    with pytest.raises(UsageError, match=r"prompts\.rewrite"):
        named_prompts(str(tmp_path / "mine.yaml"))
    with pytest.raises(UsageError, match="neither a file nor a preset of prompts; there are default, math"):
        named_prompts("maths")


def test_memory_is_an_amount_and_no_part_of_what_a_run_is():
    assert Config.load([], ["memory=6GiB"]).general.memory == "6GiB"
    with pytest.raises(UsageError, match=r"config key memory: found 'six', but .*write it as 6GiB or 800MB"):
        Config.load([], ["memory=six"])
    for verb in ("learn", "sft", "rewrite", "plan", "augment", "rehearse", "eval"):
        entry = find(verb)
        assert names_of(parameters(entry)["memory"]) is Names.BUDGET, verb
        assert complete(entry, {}, Config.load([], ["memory=6GiB"]))["memory"] == "6GiB"
