"""The whole job on other architectures: made here, briefly pretrained, rewritten by their own agent."""

import json
from pathlib import Path

import pytest

from tests.fakes.models import ARCHITECTURES

NUMBERS = [(a, b) for a in range(2, 10) for b in (2, 5)]


def rows() -> list[dict[str, str]]:
    return [
        {
            "id": f"sum-{a}-{b}",
            "question": f"Tom has {a} pens and gets {b}. How many now?",
            "solution": f"x = {a} + {b} = {a + b}\n\\boxed{{{a + b}}}",
            "own": f"Tom has {a} pens. He gets {b}, so {a} + {b} = {a + b}. The answer is {a + b}.",
            "answer": str(a + b),
        }
        for a, b in NUMBERS
    ]


def pretrained(architecture: str, folder: Path) -> Path:
    """A tiny model that has seen the question answered, and its solution rewritten, about a hundred times."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    from recast.agent.prompts import templates
    from recast.curate.chat import encode
    from tests.fakes.models import make_model

    texts = [text for row in rows() for text in row.values()] + [templates.REWRITE_INSTRUCTION, "Solution:"]
    make_model(architecture, folder, texts=texts)
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    examples = []
    for row in rows():
        asked = [{"role": "user", "content": row["question"]}]
        for prompt in (asked, templates.rewrite(asked, row["solution"])):
            ids, completion = encode(tokenizer, prompt, row["own"])
            examples.append((ids + completion, [-100] * len(ids) + completion))
    longest = max(len(ids) for ids, _ in examples)
    pad = lambda values, fill: values + [fill] * (longest - len(values))  # noqa: E731
    batch = {
        "input_ids": torch.tensor([pad(ids, tokenizer.pad_token_id) for ids, _ in examples]),
        "labels": torch.tensor([pad(labels, -100) for _, labels in examples]),
        "attention_mask": torch.tensor([pad([1] * len(ids), 0) for ids, _ in examples]),
    }
    torch.manual_seed(0)
    optimizer = torch.optim.AdamW(model.parameters(), lr=4e-3)
    for _ in range(400):
        chosen = torch.randperm(len(examples))[:8]
        loss = model(**{name: values[chosen] for name, values in batch.items()}).loss
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        if loss.item() < 0.05:
            break
    model.save_pretrained(folder)
    return folder


@pytest.mark.slow
@pytest.mark.parametrize(
    "architecture", [*ARCHITECTURES, "gemma2", "deepseek_v3", "qwen3_next", "lfm2", "gpt_oss", "falcon"]
)
def test_the_whole_job_runs_and_accepts_rewrites(architecture: str, tmp_path: Path, recast) -> None:
    model = str(pretrained(architecture, tmp_path / "model"))
    data = tmp_path / "demos.jsonl"
    kept = ("id", "question", "solution", "answer")
    data.write_text("".join(json.dumps({k: row[k] for k in kept}) + "\n" for row in rows()))
    recast("import", data, "--as", "sums")
    learned = recast(
        *("learn", "sums", "--model", model, "-o", tmp_path / "agent", "--json"),
        *("--set", "learn.steps=1", "--set", "learn.prompts_per_step=4", "--set", "learn.candidates=4"),
        *("--set", "learn.max_tokens=64", "--set", "learn.lr=1e-4", "--set", "learn.lora_rank=8"),
    )
    assert json.loads(learned.out)["steps"] == 1
    new = json.loads(
        recast(
            *("rewrite", "sums", "--model", model, "--agent", tmp_path / "agent", "--as", "own", "--json"),
            *("--set", "rewrite.max_tokens=64"),
        ).out
    )
    assert new["rows"] == len(NUMBERS) == sum(new["counts"].values())
    assert new["counts"]["rewrite"] >= 1
    tuned = json.loads(
        recast(
            "sft", "own", "--model", model, "-o", tmp_path / "tuned", "--set", "sft.epochs=1", "--json"
        ).out
    )
    assert tuned["num_rows"] == len(NUMBERS)
