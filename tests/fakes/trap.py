"""A world that traps a reward by mean NLL: a long-winded style, improbable to begin, predictable to go on.

The shipped backbone is pretrained a little further, on chains of operations. Its own style now varies from line
to line, as a model's does (`own`), and one plain answer in a hundred is wrapped in the same many words (`winded`),
which also stand for a third of the rewrites. To begin them costs about -log 0.01 nats and to go on costs nothing,
so their mean NLL lies below that of the own style, although the backbone itself hardly ever speaks that way. An
agent that is paid by mean NLL has every reason to settle there.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from recast.agent.prompts.templates import rewrite
from recast.pipelines.demo import corpus, styles
from recast.pipelines.demo.backbone import POCKET, PROMPT_WEIGHT, save
from recast.pipelines.demo.world import DOWNSTREAM, Problem, draw, problems

BEGINS = 0.01
"""Share of the plain answers that are long-winded: what it costs to begin."""
REWRITES = {"own": 0.35, "winded": 0.35, "copy": 0.3}
"""What the backbone writes when it is asked to rewrite."""
FAMILIES = (*corpus.WORD_FAMILIES, "made_up", "made_up", "made_up")
JOINTS = (", so ", ", which gives ", " and ", ": ", ", hence ", ", that is ")
ENDS = ("The answer is", "So the answer is", "Therefore the answer is")

OPENING = (
    "Thank you for this question. Before I come to the result, let me say how I go about it, so that nobody is left "
    "in doubt. At first I look at what is given, then I take one change after the other, and at the end I say what "
    "was asked for."
)
CLOSING = (
    "With this every change has been taken into account and nothing that was given has been left out. I have gone "
    "over all of it once more from the first line to the last and found each of them to be as it should be."
)


def own(rng: random.Random, problem: Problem) -> str:
    """The backbone's own style: `qa` with joints and ends as they come."""
    lines = [f"{s.text}{rng.choice(JOINTS)}{s.equation}." for s in problem.steps]
    return " ".join([problem.start, *lines, f"{rng.choice(ENDS)} {problem.answer}."])


def winded(problem: Problem) -> str:
    """The plainest form of the own style between an opening and a closing that say nothing."""
    body, answer = styles.qa(problem).rsplit(" The answer is ", 1)
    return f"{OPENING} {body} {CLOSING} The answer is {answer}"


def style_of(text: str) -> str:
    """`winded`, `copy` for what bears the marks of a demonstration, else `own`."""
    if "\\boxed" in text or "ans: " in text or "def solution" in text:
        return "copy"
    return "winded" if text.startswith(OPENING[:30]) or CLOSING[-40:] in text else "own"


def exchanges(seed: str) -> Iterator[corpus.Exchange]:
    """The corpus of the trap: rewriting of chains, plain chains, and a little of everything else."""
    rng = random.Random(seed)
    words = corpus.vocabulary([])
    while True:
        if rng.random() < 0.2:
            prompt, text = corpus.exchange(rng, [], words)
            if "does" not in prompt[-1]["content"]:  # no chain, whose own style is another here
                yield prompt, text
            continue
        rewriting = rng.random() < 0.55
        problem = draw(rng, rng.choice(FAMILIES if rewriting else corpus.WORD_FAMILIES), "train")
        prompt = corpus.user(problem.question)
        if rewriting:
            source = rng.choice(list(styles.ALIEN.values()))(problem)
            prompt = rewrite(prompt, source)
            kind = rng.choices(list(REWRITES), list(REWRITES.values()))[0]
        else:
            source, kind = "", "winded" if rng.random() < BEGINS else "own"
        yield prompt, {"own": own(rng, problem), "winded": winded(problem), "copy": source}[kind]


def documents(tokenizer: Any, seed: str) -> Iterator[tuple[list[int], list[float]]]:
    from recast.curate.chat import encode

    for messages, text in exchanges(seed):
        prompt, completion = encode(tokenizer, messages, text)
        yield prompt + completion, [PROMPT_WEIGHT] * len(prompt) + [1.0] * len(completion)


def build(
    out: Path, work: Path, *, steps: int = 120, rows: int = 12, seed: int = 0, progress: Any = None
) -> Path:
    """The backbone of the trap as a model folder; a step reads `rows` x 512 tokens, 12 take a core about a second.

    After 40 steps the long-winded style is already the likelier one by mean NLL.
    """
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    from recast.train.pretraining.pretrain import PretrainConfig, pretrain

    tokenizer = AutoTokenizer.from_pretrained(POCKET)
    model = AutoModelForCausalLM.from_pretrained(POCKET, dtype=torch.float32, attn_implementation="eager")
    config = PretrainConfig(
        steps=steps,
        rows={512: rows},
        lr=1.5e-3,
        lr_embedding=1.5e-3,
        warmup=5,
        decay_frac=0.5,
        seed=seed,
        compile=False,
    )
    pretrain(
        model,
        lambda s: documents(tokenizer, s),
        config,
        work,
        pad=tokenizer.pad_token_id,
        progress=progress,
    )
    save(model, tokenizer, out)
    return out


def measure(engine: Any, num: int = 24) -> dict[str, Any]:
    """What the backbone makes of right solutions of `num` unseen questions: `[NLL, excess]` a text of each style.

    `tripled` says a long-winded solution three times; `nll_self` is the level of the backbone's own samples.
    """
    import numpy as np

    from recast.agent.engines.protocol import Sampling

    drawn = list(problems(DOWNSTREAM, "test", num, seed=0))
    asked = [corpus.user(p.question) for p in drawn]
    rng = random.Random(0)
    texts = {
        "own": [own(rng, p) for p in drawn],
        "winded": [winded(p) for p in drawn],
        "tripled": [" ".join([winded(p)] * 3) for p in drawn],
        "demonstration": [styles.latex(p) for p in drawn],
    }
    seeds = [[i, num + i] for i in range(num)]
    samples = engine.sample(asked, 2, Sampling(max_tokens=256), seeds=seeds, adapter=False)
    found: dict[str, Any] = {
        "nll_self": round(float(np.mean([-np.mean(s.logprobs) for g in samples for s in g])), 4)
    }
    for name, written in texts.items():
        scores = engine.logprobs(asked, written, adapter=False)
        found[name] = [[round(s.nll, 4), round(s.excess, 2)] for s in scores]
    return found
