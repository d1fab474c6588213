"""Many requests to one server that may be slow, busy or briefly gone: retries, adaptive concurrency, a cache.

Knows HTTP and JSON, and nothing of models (`agent.engines.http.engine`). What comes back wrong in passing is asked
again after a growing pause (408, 429, 5xx, timeouts, cut connections, bodies that are no JSON); what the server
refuses for good is raised at once. The number of requests in flight grows while answers come and halves when the
server pushes back, as TCP's window does (RFC 5681).
"""

from __future__ import annotations

import asyncio
import json
import random
import threading
import time
from collections.abc import Coroutine, Mapping, Sequence
from email.utils import parsedate_to_datetime
from typing import Any, TypeVar

import httpx

from recast.agent.engines.http.request_cache import RequestCache
from recast.curate.errors import ModelError, RecastError, UsageError

RETRIED = frozenset({408, 425, 429, 500, 502, 503, 504, 529})
BUSY = frozenset({429, 503, 529})
LONGEST_PAUSE_S = 60.0
LONGEST_RETRY_AFTER_S = 300.0
CONNECT_S = 10.0
START = 32
"""Requests in flight to begin with, if so many are allowed."""
QUOTED = 300
"""Most characters of a server's own words in a message."""

T = TypeVar("T")


class ServerError(RecastError):
    """The server could not be reached, or kept failing, or answered with nonsense."""


class Refusal(ModelError):
    """The server will not do what was asked, however often. `status` is the HTTP status."""

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status


class Window:
    """How many requests may be in flight: one more an answer until the first push-back, then one more a round."""

    def __init__(self, most: int) -> None:
        self.most, self.size, self.running = most, float(min(START, most)), 0
        self._epoch = 0  # of push-backs: requests sent before one tell nothing new about it
        self._changed = asyncio.Condition()

    async def enter(self) -> int:
        """Wait for a place; returns what `leave` wants back."""
        async with self._changed:
            await self._changed.wait_for(lambda: self.running < int(self.size))
            self.running += 1
            return self._epoch

    async def leave(self, epoch: int, *, answered: bool, pushed_back: bool) -> None:
        """Give the place back, with what became of the request."""
        async with self._changed:
            self.running -= 1
            if pushed_back and epoch == self._epoch:
                self.size = max(1.0, self.size / 2)
                self._epoch += 1
            elif answered:
                self.size = min(self.most, self.size + (1.0 / self.size if self._epoch else 1.0))
            self._changed.notify(2)


class Client:
    """Requests to one address. Callable from any thread; a loop of its own does the work.

    `retries` is how often a failed request is sent again. Once a request has used them up, the next ones are tried
    once each until one succeeds: a dead server is not waited for by every row.
    """

    def __init__(
        self,
        address: str,
        *,
        api_key: str | None = None,
        key_name: str = "the API key",
        timeout_s: float = 600.0,
        retries: int = 8,
        concurrency: int = 256,
        pause_s: float = 0.5,
        cache: RequestCache | None = None,
    ) -> None:
        url = httpx.URL(address)
        if url.scheme not in ("http", "https") or not url.host:
            raise UsageError(
                f"{address!r} is no server's address; give one such as http://localhost:8000/v1."
            )
        if url.userinfo:
            raise UsageError(
                f"the address of {url.host} holds credentials, which would be kept with the run; put the key into "
                f"the environment as {key_name}."
            )
        self.address = str(url).rstrip("/")
        self.retries, self.pause_s, self.cache, self._key_name = retries, pause_s, cache, key_name
        self.num_sent = self.num_cached = 0
        self._gave_up = False
        headers = {"Authorization": f"Bearer {api_key}"} if api_key else {}
        self._window = Window(concurrency)
        self._http = httpx.AsyncClient(
            headers=headers,
            timeout=httpx.Timeout(timeout_s, connect=min(CONNECT_S, timeout_s), pool=None),
            limits=httpx.Limits(max_connections=concurrency, max_keepalive_connections=concurrency),
        )
        self._loop = asyncio.new_event_loop()
        threading.Thread(target=self._loop.run_forever, name="recast-http", daemon=True).start()

    def get(self, path: str) -> Any:
        """The JSON at `path`, below the address or a whole URL. Raises ServerError or Refusal."""
        return self._wait(self._asked("GET", path, None))

    def post(self, path: str, payload: Mapping[str, Any]) -> Any:
        """The answer to one payload, past the cache. Raises ServerError or Refusal."""
        return self._wait(self._asked("POST", path, payload))

    def post_all(
        self,
        path: str,
        payloads: Sequence[Mapping[str, Any]],
        *,
        answerer: str | None = None,
        cached: bool = True,
    ) -> list[Any]:
        """Answers in the order of `payloads`. Raises the first failure once every other answer is in the cache.

        `answerer` is the identity of what answers, where the payload's names do not tell it (`RequestCache.key`);
        `cached=False` goes past the cache.
        """

        async def every() -> list[Any]:
            if cached and self.cache is not None:
                cache = self.cache
                jobs = [self._cached(cache, path, payload, answerer) for payload in payloads]
            else:
                jobs = [self._asked("POST", path, payload) for payload in payloads]
            return await asyncio.gather(*jobs, return_exceptions=True)

        answers = self._wait(every())
        failed = next((a for a in answers if isinstance(a, BaseException)), None)
        if failed is not None:
            raise failed
        return answers

    def close(self) -> None:
        """Close connections and cache."""
        self._wait(self._http.aclose())
        self._loop.call_soon_threadsafe(self._loop.stop)
        if self.cache is not None:
            self.cache.close()

    def _wait(self, job: Coroutine[Any, Any, T]) -> T:
        future = asyncio.run_coroutine_threadsafe(job, self._loop)
        try:
            return future.result()
        except KeyboardInterrupt:
            future.cancel()
            raise

    async def _cached(
        self, cache: RequestCache, path: str, payload: Mapping[str, Any], answerer: str | None
    ) -> Any:
        key = cache.key(self.address, path, payload, answerer)
        answer = cache.get(key)
        if answer is None:
            answer = await self._asked("POST", path, payload)
            cache.put(key, answer)
        else:
            self.num_cached += 1
        return answer

    async def _asked(self, method: str, path: str, payload: Mapping[str, Any] | None) -> Any:
        """Send, and send again while that may help."""
        attempt = 0
        while True:
            epoch = await self._window.enter()
            answered = pushed_back = False
            retry_after: float | None = None
            try:
                self.num_sent += 1
                url = path if path.startswith(("http://", "https://")) else self.address + path
                response = await self._http.request(method, url, json=payload)
                pushed_back = response.status_code in BUSY
                if response.status_code in RETRIED:
                    retry_after = _retry_after(response)
                    problem = f"status {response.status_code}: {_said(response)}"
                elif response.is_error or response.is_redirect:
                    raise Refusal(self._refused(response, path), response.status_code)
                else:
                    found = response.json()
                    answered = True
                    self._gave_up = False
                    return found
            except httpx.RequestError as error:
                pushed_back = isinstance(error, httpx.TimeoutException)
                problem = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
            except (json.JSONDecodeError, UnicodeDecodeError):
                problem = "an answer that is no JSON"
            finally:
                await self._window.leave(epoch, answered=answered, pushed_back=pushed_back)
            if self._gave_up or attempt >= self.retries:
                self._gave_up = True
                tries = "once" if attempt == 0 else f"{attempt + 1} times"
                raise ServerError(
                    f"the server at {self.address} did not answer {path} (tried {tries}; the last time: {problem}). "
                    "See that it runs and is reachable; the same command goes on from there."
                )
            # jitter: requests that failed together would come back together
            pause = min(LONGEST_PAUSE_S, self.pause_s * 2**attempt) * random.uniform(0.5, 1.0)
            await asyncio.sleep(pause if retry_after is None else max(pause, retry_after))
            attempt += 1

    def _refused(self, response: httpx.Response, path: str) -> str:
        said = (
            f"the server at {self.address} refused {path} (status {response.status_code}: {_said(response)})"
        )
        if response.status_code in (401, 403):
            return f"{said}. Set {self._key_name} in the environment to a key that it takes."
        if response.status_code == 404:
            return (
                f"{said}. An address usually ends in /v1; `curl {self.address}/models` lists what is served."
            )
        return f"{said}."


def _retry_after(response: httpx.Response) -> float | None:
    """Seconds that the server asks to wait (a number or a date), at most `LONGEST_RETRY_AFTER_S`."""
    value = response.headers.get("retry-after")
    if value is None:
        return None
    try:
        seconds = float(value)
    except ValueError:
        try:
            seconds = parsedate_to_datetime(value).timestamp() - time.time()
        except ValueError:
            return None
    return min(max(seconds, 0.0), LONGEST_RETRY_AFTER_S)


def _said(response: httpx.Response) -> str:
    """The server's own words, as short as they come."""
    try:
        body = response.json()
        error = body.get("error", body)
        words = str(error.get("message", error) if isinstance(error, dict) else error)
    except (ValueError, AttributeError):
        words = response.text
    return " ".join(words.split())[:QUOTED] or response.reason_phrase
