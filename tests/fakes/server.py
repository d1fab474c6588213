"""A server with the OpenAI API that fails as told. Answers are plain functions of what is asked."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

HANG_S = 1.0


@dataclass
class Fake:
    """What the server does and has seen. `faults` are used up one a completion request, oldest first:

    a status, (status, headers), "hang" (says nothing for HANG_S), "cut" (closes inside the body) or "junk".
    """

    tokenizer: Any
    owned_by: str = "vllm"
    scores_prompts: bool = True
    agent_says: str = "ok"
    agent_nats: float = 0.0
    slow_s: float = 0.0
    faults: list[Any] = field(default_factory=list)
    always: Any = None
    finish_reason: str = "stop"
    asked: list[dict[str, Any]] = field(default_factory=list)
    askers: list[str] = field(default_factory=list)
    keys: set[str | None] = field(default_factory=set)
    most_at_once: int = 0
    url: str = ""
    _now: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def models(self) -> list[dict[str, Any]]:
        backbone = {"id": "tiny", "owned_by": self.owned_by, "parent": None, "max_model_len": 256}
        return [backbone, {"id": "agent", "owned_by": self.owned_by, "parent": "tiny", "max_model_len": None}]

    def answer(self, asked: dict[str, Any]) -> dict[str, Any]:
        """The completion is "ok" and its end; every token costs 0.5 nats, a prompt's n-th n/10.

        The agent completes with `agent_says`, and a prompt's token costs it `agent_nats` more.
        """
        text, more = self.says(asked), self.agent_nats if asked["model"] == "agent" else 0.0
        choice: dict[str, Any] = {"index": 0, "text": text, "finish_reason": self.finish_reason}
        ids = [*self.tokenizer(text, add_special_tokens=False)["input_ids"], self.tokenizer.eos_token_id]
        prompt_scores = [None, *(-n / 10 - more for n in range(1, len(asked["prompt"])))]
        if self.owned_by == "vllm":
            choice["token_ids"] = ids
            if "prompt_logprobs" in asked:
                pairs = zip(asked["prompt"], prompt_scores, strict=True)
                choice["prompt_logprobs"] = [
                    None if s is None else {str(t): {"logprob": s}} for t, s in pairs
                ]
        choice["logprobs"] = {"token_logprobs": [-0.5] * len(ids)}
        if asked.get("echo") and self.scores_prompts:
            choice["logprobs"] = {"token_logprobs": [*prompt_scores, -0.5]}
        return {"choices": [choice]}

    def says(self, asked: dict[str, Any]) -> str:
        return self.agent_says if asked["model"] == "agent" else "ok"

    @contextmanager
    def counted(self) -> Iterator[None]:
        with self._lock:
            self._now += 1
            self.most_at_once = max(self.most_at_once, self._now)
        try:
            yield
        finally:
            with self._lock:
                self._now -= 1


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # head and body are written one after the other: 40 ms for nothing
    fake: Fake

    def log_message(self, format: str, *args: Any) -> None: ...

    def do_GET(self) -> None:
        self.fake.keys.add(self.headers.get("Authorization"))
        self.say(200, {"object": "list", "data": self.fake.models})

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        fake = self.fake
        if self.path == "/tokenize":
            ids = fake.tokenizer(asked["prompt"], add_special_tokens=False)["input_ids"]
            return self.say(200, {"tokens": ids})
        with fake.counted():
            with fake._lock:
                fake.asked.append(asked)
                fake.askers.append(self.headers.get("Authorization", "").removeprefix("Bearer "))
                fault = fake.faults.pop(0) if fake.faults else fake.always
            time.sleep(HANG_S if fault == "hang" else fake.slow_s)
            self.fail(fault) if fault is not None else self.say(200, fake.answer(asked))

    def fail(self, fault: Any) -> None:
        if fault in ("hang", "cut"):
            self.send_response(200)
            self.send_header("Content-Length", "1000")
            self.end_headers()
            self.wfile.write(b'{"choices": [')
            self.close_connection = True
        elif fault == "junk":
            self.say(200, b"<html>upstream is busy</html>")
        else:
            status, headers = fault if isinstance(fault, tuple) else (fault, {})
            self.say(status, {"error": {"message": f"told to fail with {status}"}}, headers)

    def say(self, status: int, body: Any, headers: dict[str, str] | None = None) -> None:
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        for name, value in {"Content-Length": str(len(data)), **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data)


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 512

    def handle_error(self, request: Any, client_address: Any) -> None: ...


@contextmanager
def serving(fake: Fake) -> Iterator[Fake]:
    """Serve `fake` on a free port of this machine."""
    server = Server(("127.0.0.1", 0), type("Bound", (Handler,), {"fake": fake}))
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    fake.url = f"http://127.0.0.1:{server.server_address[1]}/v1"
    try:
        yield fake
    finally:
        server.shutdown()
        server.server_close()
