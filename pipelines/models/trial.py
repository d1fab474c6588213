"""A model tried out where it is to be used: whether it answers and ends, what it weighs against its source, its speed.

    engine = HFEngine.load(path)
    answers(engine), drift(engine, Path("model.gguf")), speed(engine), temperature(engine)

Everything runs through the engine hf, as the jobs do, in the dtype in which it was opened.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from recast.agent.engines.hf.engine import HFEngine
    from recast.agent.engines.protocol import Sample

QUESTIONS = (
    "What is the capital of France?",
    "Tom has 12 apples and buys 7 more. How many apples does Tom have now?",
    "Name three colours.",
    "Write one sentence about the sea.",
)
ANSWER_TOKENS = 96
PROMPT_TOKENS, PREFILL_ROWS = 128, 8
DECODE_ROWS, DECODE_STEPS = 32, 16
RARE, TAIL = 1e-3, 0.01
"""Tokens that the model holds for less likely than RARE should come at most in this share of the draws."""
TEMPERATURES = (1.0, 0.9, 0.8, 0.7, 0.6, 0.5)


@dataclass(frozen=True, slots=True)
class Speed:
    """Tokens a second on the threads or the GPU in use."""

    prefill: float
    decode: float


def prompts() -> list[Any]:
    return [[{"role": "user", "content": question}] for question in QUESTIONS]


def answers(engine: HFEngine) -> list[Sample]:
    """Greedy answers to `QUESTIONS`, of at most `ANSWER_TOKENS`."""
    from recast.agent.engines.protocol import Sampling

    greedy = Sampling(temperature=0.0, max_tokens=ANSWER_TOKENS)
    groups = engine.sample(prompts(), 1, greedy, seeds=[[0]] * len(QUESTIONS), adapter=False)
    return [group[0] for group in groups]


def drift(engine: HFEngine, source: Path, said: Sequence[Sample]) -> float:
    """KL divergence of the model from the weights in a GGUF file, mean over the tokens of what it `said` (nats).

    Raises MissingDependencyError, ModelError.
    """
    import torch

    from recast.pipelines.models.gguf import read

    theirs, _ = read(source)
    divergences = []
    for (ids, start), ours in zip(_chats(engine, said), _logits(engine, said), strict=True):
        with torch.no_grad():
            other = theirs(ids.cpu()).logits[0, start - 1 : -1].log_softmax(-1)
        divergences.append((other.exp() * (other - ours.cpu().log_softmax(-1))).sum(-1))
    return torch.cat(divergences).mean().item()


def speed(engine: HFEngine) -> Speed:
    """Of random prompts: `PREFILL_ROWS` read, then `DECODE_ROWS` samples of them drawn, `DECODE_STEPS` tokens each."""
    import torch

    from recast.agent.engines.hf.decode import decode
    from recast.agent.engines.protocol import Sampling

    vocabulary = engine.model.config.get_text_config().vocab_size
    draw = torch.Generator().manual_seed(0)
    ids = torch.randint(0, vocabulary, (PREFILL_ROWS, PROMPT_TOKENS), generator=draw).tolist()
    k = DECODE_ROWS // PREFILL_ROWS
    seeds = [[i * k + j for j in range(k)] for i in range(PREFILL_ROWS)]

    def seconds(steps: int) -> float:
        begun = time.perf_counter()
        decode(engine.model, ids, seeds, Sampling(max_tokens=steps), eos_ids=[], pad_id=0)
        return time.perf_counter() - begun

    with engine.mode(False):
        seconds(2)
        first, all_ = seconds(1), seconds(DECODE_STEPS + 1)
    decoding = max(all_ - first, 1e-9)
    return Speed(PREFILL_ROWS * PROMPT_TOKENS / first, DECODE_ROWS * DECODE_STEPS / decoding)


def temperature(engine: HFEngine, said: Sequence[Sample]) -> float:
    """The highest of `TEMPERATURES` at which the model's own answers meet few tokens that it holds for rare.

    Measured in the places of its greedy answers: no sampling, and no luck. A small model has a long tail, and at
    temperature 1 a text of it is lost at the first token from there.
    """
    import torch

    logits = torch.cat(_logits(engine, said))
    rare = logits.softmax(-1) < RARE
    for at in TEMPERATURES:
        if ((logits / at).softmax(-1) * rare).sum(-1).mean().item() <= TAIL:
            return at
    return TEMPERATURES[-1]


def _chats(engine: HFEngine, said: Sequence[Sample]) -> list[tuple[Any, int]]:
    """Token ids (1, T) of each question with its answer, and where the answer begins."""
    import torch

    from recast.curate import chat

    asked = [chat.prompt_ids(engine.tokenizer, prompt) for prompt in prompts()]
    return [
        (torch.tensor([[*prompt, *sample.token_ids]], device=engine.device), len(prompt))
        for prompt, sample in zip(asked, said, strict=True)
        if sample.token_ids
    ]


def _logits(engine: HFEngine, said: Sequence[Sample]) -> list[Any]:
    """Logits (T, V) in float32 that each token of an answer was drawn from."""
    with engine.mode(False):
        return [engine.model(ids).logits[0, start - 1 : -1].float() for ids, start in _chats(engine, said)]
