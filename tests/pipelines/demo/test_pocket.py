"""The backbones that ship: their limits, their manifests, and that they can do what these say."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from recast.pipelines.demo import files, world
from recast.pipelines.demo.backbone import HERE, POCKET, RECIPES
from recast.pipelines.demo.styles import latex, qa
from recast.pipelines.models.names import SHIPPED, model_path

FOLDER = str(POCKET)


@pytest.fixture(scope="module", params=SHIPPED)
def folder(request: pytest.FixtureRequest) -> Path:
    return Path(model_path(request.param))


@pytest.fixture(scope="module")
def manifest(folder: Path) -> dict:
    return json.loads((folder / "manifest.json").read_text())


def test_every_recipe_ships_and_nothing_else() -> None:
    assert set(SHIPPED) == set(RECIPES) == {path.parent.name for path in HERE.glob("*/config.json")}
    assert len({recipe.seed for recipe in RECIPES.values()}) == len(RECIPES)


def test_it_is_small_and_stored_as_bf16_safetensors(folder: Path, manifest: dict) -> None:
    from safetensors import safe_open

    config = json.loads((folder / "config.json").read_text())
    head = config.get("head_dim") or config["hidden_size"] // config["num_attention_heads"]
    assert manifest["parameters"] <= 6_000_000 and head >= 32
    assert (folder / "model.safetensors").stat().st_size <= 12_000_000
    with safe_open(folder / "model.safetensors", "pt") as weights:
        assert {weights.get_slice(name).get_dtype() for name in weights.keys()} == {"BF16"}  # noqa: SIM118


def test_its_shape_is_that_of_its_recipe(folder: Path, manifest: dict) -> None:
    config, recipe = json.loads((folder / "config.json").read_text()), RECIPES[folder.name]
    assert config["model_type"] == recipe.architecture
    for name in ("hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads"):
        assert config[name] == recipe.shape[name]
    assert manifest["pretrain"]["seed"] == manifest["seed"] == recipe.seed


def test_the_manifest_says_how_it_was_made_and_every_accuracy(manifest: dict) -> None:
    assert {"command", "pretrain", "seed", "tokens", "seconds", "machine", "text_sha256"} <= set(manifest)
    accuracy = manifest["accuracy"]
    assert set(accuracy["tasks"]) == set(world.FAMILIES)
    assert accuracy["general"] >= 80


def test_digits_are_single_tokens_and_the_template_marks_what_is_generated() -> None:
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(FOLDER)
    pieces = tokenizer.convert_ids_to_tokens(tokenizer("1073 and 42")["input_ids"])
    assert [p.strip("Ġ") for p in pieces if p.strip("Ġ").isdigit()] == list("107342")
    turns = [{"role": "user", "content": "What is 1 + 1?"}, {"role": "assistant", "content": "2"}]
    found = tokenizer.apply_chat_template(
        turns, tokenize=True, return_dict=True, return_assistant_tokens_mask=True
    )
    marked = [t for t, m in zip(found["input_ids"], found["assistant_masks"], strict=True) if m]
    assert tokenizer.decode(marked) == "2<|end|>"


def test_it_solves_the_general_families_and_guesses_downstream(folder: Path, tmp_path) -> None:
    from recast.pipelines.wiring.models import answering, engine
    from recast.train.evaluation.evaluate import evaluate
    from recast.train.evaluation.suites import load_suites

    suites = [
        files.write_general_suite(tmp_path / "general.jsonl", 6, seed=7),
        files.write_downstream_suite(tmp_path / "craft.jsonl", 100, seed=7),
    ]
    found = evaluate(load_suites(suites), answering(engine(folder.name), max_tokens=160))
    assert found.figures(suite="general").accuracy >= 0.8
    # the bound on the whole family is 10 %; of 100 questions 18 or more right have a chance below 1 % then
    assert found.figures(suite="craft").accuracy < 0.18


# In a process of its own: an engine that another test has dropped takes vLLM's process groups with it when it is
# collected, whoever uses them by then.
ASK_VLLM = """
import json, sys
from vllm import LLM, SamplingParams

folder, asked = json.load(sys.stdin)
served = LLM(folder, dtype="float32", enforce_eager=True, max_model_len=512)
answers = served.chat(asked, SamplingParams(temperature=0, max_tokens=160), use_tqdm=False)
json.dump([answer.outputs[0].text for answer in answers], open(sys.argv[1], "w"))
"""


@pytest.mark.slow
def test_it_loads_in_vllm_and_says_the_same_as_in_transformers(tmp_path) -> None:
    pytest.importorskip("vllm", reason="vLLM is not installed")
    from recast.agent.prompts import templates
    from recast.pipelines.wiring.models import answering, engine

    drawn = list(world.problems(world.DOWNSTREAM, "train", 8, seed=1))
    asked = [templates.rewrite([{"role": "user", "content": p.question}], latex(p)) for p in drawn]
    quiet = {
        "VLLM_ENABLE_V1_MULTIPROCESSING": "0",
        "VLLM_CPU_KVCACHE_SPACE": "1",
        "VLLM_NO_USAGE_STATS": "1",
    }
    subprocess.run(
        [sys.executable, "-c", ASK_VLLM, str(tmp_path / "texts.json")],
        input=json.dumps([str(POCKET), asked]),
        text=True,
        check=True,
        env=os.environ | quiet,
        timeout=300,
    )
    texts = json.loads((tmp_path / "texts.json").read_text())
    ours = answering(engine("pocket"), max_tokens=160).generate(asked)
    same = sum(a == b for a, b in zip(texts, ours, strict=True))
    assert same >= 6, "bf16 here and float32 there may part at a near tie, but rarely"
    assert sum(text == qa(p) for text, p in zip(texts, drawn, strict=True)) >= 4
