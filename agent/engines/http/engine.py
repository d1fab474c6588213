"""Engine on a server with the OpenAI API: vLLM first, others as far as they go.

Prompts are rendered and tokenised here and sent as token ids to `/completions`, so the server's template never
comes in. The backbone and the agent are two names of one server (vLLM: `--lora-modules NAME=DIR`). Each sample is a
request with a seed of its own; prompts are shared by the server's prefix cache. Scoring needs the
log-probabilities of prompt tokens: vLLM's `prompt_logprobs`, elsewhere `echo`; a server that has neither cannot
score and says so. Entropies are NaN: no server shows whole distributions.

    engine = HTTPEngine.load("path/to/model", "http://localhost:8000/v1", served_model="qwen", served_agent="agent")

A vLLM server tells the ids that it drew. Of others they are those of the text, tokenised here.
"""

from __future__ import annotations

import copy
import math
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from recast.agent.engines import tokens
from recast.agent.engines.http.client import Client, Refusal, ServerError
from recast.agent.engines.http.request_cache import RequestCache
from recast.agent.engines.protocol import STOP, Sample, Sampling, Score
from recast.agent.engines.requests import Request, TokenEngine, grouped, score_as_prompts
from recast.curate import chat
from recast.curate.errors import ModelError, UsageError
from recast.curate.fingerprint import fingerprint
from recast.curate.records import Messages

COMPLETIONS = "/completions"
PLAIN_SAMPLING = {"top_k": 0, "min_p": 0.0, "repetition_penalty": 1.0, "presence_penalty": 0.0}
"""vLLM takes what a request leaves open from the model's generation_config: Qwen's, for one, set top_k 20."""


class HTTPEngine(TokenEngine):
    """An `Engine` (`agent.engines.protocol`) over a server. `served_agent` is what it calls the adapter."""

    name = "http"
    dtype: str | None = None  # a server does not say

    def __init__(
        self,
        client: Client,
        tokenizer: Any,
        *,
        served_model: str,
        served_agent: str | None = None,
        eos_ids: Sequence[int],
        max_length: int | None = None,
        is_vllm: bool = True,
        agent_id: str | None = None,
    ) -> None:
        if served_agent is not None and agent_id is None and client.cache is not None:
            raise UsageError(
                "an adapter's answers are kept by its identity: pass agent_id beside served_agent, or no cache."
            )
        self.client, self.tokenizer, self._longest = client, tokenizer, max_length
        self.served_model, self.served_agent, self.agent_id = served_model, served_agent, agent_id
        self.eos_ids, self.is_vllm = list(eos_ids), is_vllm
        self._use_cache = True

    @classmethod
    def load(
        cls,
        path: str | Path,
        base_url: str,
        *,
        served_model: str | None = None,
        served_agent: str | None = None,
        api_key_env: str = "RECAST_API_KEY",
        max_length: int | None = None,
        timeout_s: float = 600.0,
        retries: int = 8,
        concurrency: int = 256,
        agent_id: str | None = None,
        cache: Path | None = None,
    ) -> HTTPEngine:
        """Reach the server at `base_url`; `path` is the folder or hub id whose tokenizer and template it serves.

        `agent_id` is the identity of the adapter that is served as `served_agent`; a `cache` needs it, since a name may
        come to stand for another adapter. The API's key is what the environment variable `api_key_env` holds, if any.
        Raises ServerError where nothing answers, UsageError for a name that is not served, ModelError where the
        server's tokenizer is another.
        """
        tokenizer = tokens.load_tokenizer(path)
        client = Client(
            base_url,
            api_key=os.environ.get(api_key_env),
            key_name=api_key_env,
            timeout_s=timeout_s,
            retries=retries,
            concurrency=concurrency,
            cache=RequestCache(cache) if cache is not None else None,
        )
        served = _served(client)
        served_model = served_model or _only(served, base_url)
        for name in filter(None, (served_model, served_agent)):
            if served and name not in served:
                raise UsageError(
                    f"the server at {client.address} does not serve {name!r}; it serves {', '.join(served)}."
                )
        entry = served.get(served_model, {})
        is_vllm = entry.get("owned_by") == "vllm"
        if is_vllm:
            _same_tokens(client, tokenizer, served_model, path)
        lengths = (entry.get("max_model_len"), max_length)
        return cls(
            client,
            tokenizer,
            served_model=served_model,
            served_agent=served_agent,
            eos_ids=chat.eos_ids(tokenizer, tokens.declared_generation(path)),
            max_length=min((n for n in lengths if n), default=tokens.declared_length(path)),
            is_vllm=is_vllm,
            agent_id=agent_id,
        )

    @property
    def uncached(self) -> HTTPEngine:
        """The same server, asked past the cache (`agent.engines.protocol.uncached`)."""
        found = copy.copy(self)
        found._use_cache = False
        return found

    @property
    def max_length(self) -> int | None:
        return self._longest

    @property
    def has_adapter(self) -> bool:
        return self.served_agent is not None

    @property
    def fingerprint(self) -> str:
        """Identity of the served name and of the template (16 hex digits); a server shows nothing of its weights."""
        return fingerprint([self.name, self.served_model, chat.template_id(self.tokenizer)])[:16]

    def draw(self, requests: list[Request], sampling: Sampling, adapter: bool) -> list[list[Sample]]:
        payloads = []
        for request in requests:
            asked = {
                "model": self._model(adapter),
                "prompt": request.prompt,
                "max_tokens": self.room(request, sampling),
                "temperature": sampling.temperature,
                "top_p": sampling.top_p,
                "logprobs": 0 if self.is_vllm else 1,
            }
            if self.is_vllm:
                asked |= PLAIN_SAMPLING | {"stop_token_ids": self.eos_ids, "return_token_ids": True}
            payloads += [{**asked, "seed": seed} for seed in request.seeds]
        answers = self._answers(payloads, adapter)
        return grouped(self._samples([_choice(answer) for answer in answers]), requests)

    def logprobs(
        self, prompts: Sequence[Messages], completions: Sequence[str], *, adapter: bool
    ) -> list[Score]:
        """Score `completions[i]` and its end of turn under `prompts[i]`; NaN for what is longer than the model.

        Raises ModelError where the server does not tell log-probabilities of prompt tokens.
        """

        def measure(pairs: list[tuple[list[int], list[int]]]) -> list[list[float]]:
            asked: dict[str, Any] = {"model": self._model(adapter), "max_tokens": 1, "temperature": 0.0}
            asked |= {"prompt_logprobs": 0} if self.is_vllm else {"echo": True, "logprobs": 1}
            try:
                answers = self._answers(
                    [{**asked, "prompt": head + target} for head, target in pairs], adapter
                )
            except Refusal as error:
                if self.is_vllm or error.status not in (400, 422):
                    raise
                raise self._cannot_score(str(error)) from error
            return [
                self._prompt_logprobs(_choice(answer), head + target)[len(head) :]
                for (head, target), answer in zip(pairs, answers, strict=True)
            ]

        return score_as_prompts(self, prompts, completions, measure)

    def _answers(self, payloads: Sequence[Mapping[str, Any]], adapter: bool) -> list[Any]:
        answerer = self.agent_id if adapter else None
        return self.client.post_all(COMPLETIONS, payloads, answerer=answerer, cached=self._use_cache)

    def _model(self, adapter: bool) -> str:
        if not adapter:
            return self.served_model
        if self.served_agent is None:
            raise ModelError(
                "samples with the adapter were asked of a server of which only the backbone was named; name what it "
                "serves the adapter as (--served-agent), or ask with adapter=False for the backbone's own."
            )
        return self.served_agent

    def _samples(self, choices: Sequence[Mapping[str, Any]]) -> list[Sample]:
        ids: list[list[int]] = []
        for choice in choices:
            drawn = choice.get("token_ids")
            if drawn is None:  # not vLLM: what the text would be
                drawn = tokens.completion_ids(self.tokenizer, [choice["text"]])[0]
                drawn = drawn if choice["finish_reason"] == STOP else drawn[:-1]
            ids.append(drawn)
        texts = (
            tokens.texts(self.tokenizer, ids, self.eos_ids) if self.is_vllm else [c["text"] for c in choices]
        )
        logprobs = [(choice.get("logprobs") or {}).get("token_logprobs") or [] for choice in choices]
        reasons = [choice["finish_reason"] for choice in choices]
        return [Sample(*parts) for parts in zip(texts, ids, logprobs, reasons, strict=True)]

    def _prompt_logprobs(self, choice: Mapping[str, Any], prompt: Sequence[int]) -> list[float]:
        """Log-probability of every prompt token given those before it; NaN for the first."""
        if self.is_vllm and choice.get("prompt_logprobs"):
            rest = zip(choice["prompt_logprobs"][1:], prompt[1:], strict=True)
            return [math.nan, *(of_token[str(token)]["logprob"] for of_token, token in rest)]
        echoed = (choice.get("logprobs") or {}).get("token_logprobs") or []
        # the prompt and the one token drawn, or the prompt alone
        if len(echoed) - len(prompt) not in (0, 1) or any(x is None for x in echoed[1:]):
            raise self._cannot_score(
                f"{len(echoed)} log-probabilities came back for {len(prompt)} prompt tokens"
            )
        return [math.nan, *echoed[1 : len(prompt)]]

    def _cannot_score(self, why: str) -> ModelError:
        if self.has_adapter:
            consequence = "an agent cannot be proved to be on with it, whether a job needs scores or not"
            without = "To sample from the bare backbone, leave --agent and --served-agent out; a"
        else:
            consequence, without = "nothing can be scored with it", "A"
        return ModelError(
            f"the server at {self.client.address} does not tell the log-probabilities of a prompt ({why}), so "
            f"{consequence}. vLLM's server does; or use the engine `hf` or `vllm`. {without} rewriting job goes "
            "without scores with --set rewrite.scoring=false: it keeps the first accepted candidate."
        )


def _served(client: Client) -> dict[str, Mapping[str, Any]]:
    """What the server says it serves, by name; empty where it does not say."""
    try:
        found = client.get("/models")
        return {entry["id"]: entry for entry in found["data"]}
    except Refusal as error:
        if error.status in (404, 405):
            return {}
        raise
    except (KeyError, TypeError) as error:
        raise ServerError(
            f"what {client.address}/models says is no list of models; is this an OpenAI-compatible server?"
        ) from error


def _only(served: Mapping[str, Mapping[str, Any]], base_url: str) -> str:
    backbones = [name for name, entry in served.items() if not entry.get("parent")]
    if len(backbones) != 1:
        raise UsageError(
            f"name the model that {base_url} is to answer with (--served-model); it serves "
            f"{', '.join(backbones) or 'nothing that it names'}."
        )
    return backbones[0]


def _same_tokens(client: Client, tokenizer: Any, served_model: str, path: str | Path) -> None:
    """Raise ModelError unless the server's tokenizer makes the same ids of a text as the one here."""
    text = "Compute 48 / 2 = 24.\nÉtude, 東京."
    root = client.address.removesuffix("/v1")
    try:
        found = client.post(
            f"{root}/tokenize", {"model": served_model, "prompt": text, "add_special_tokens": False}
        )
    except Refusal:
        return  # it does not offer to
    expected = tokenizer(text, add_special_tokens=False)["input_ids"]
    if found.get("tokens") != expected:
        raise ModelError(
            f"the server's {served_model!r} splits text into other tokens than {path} does "
            f"({found.get('tokens')[:8]} against {expected[:8]}); pass as --model the model that it serves."
        )


def _choice(answer: Mapping[str, Any]) -> Mapping[str, Any]:
    try:
        choice = answer["choices"][0]
        _ = choice["text"], choice["finish_reason"]
    except (KeyError, IndexError, TypeError) as error:
        raise ServerError(f"an answer of the server holds no completion: {str(answer)[:200]}") from error
    return choice
