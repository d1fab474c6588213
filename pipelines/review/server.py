"""The page of a review on the loopback interface, for the one who has its address.

    serve(session, port=0, token=token)

Every path begins with a token that nobody can guess, and whatever has another one is answered as if nothing were there.
Requests for another host (a name that was made to point here) or from another origin's page are refused, bodies are
bounded, and the page itself may load nothing from elsewhere and run no script but its own (content security policy,
trusted types). Assets are a list of names; no path reaches a file.
"""

from __future__ import annotations

import asyncio
import hmac
import json
import os
import secrets
import signal
import socket
from collections.abc import Awaitable, Callable, Generator, MutableMapping
from contextlib import contextmanager
from importlib import resources
from pathlib import Path
from typing import Any

from recast.curate.errors import MissingDependencyError, RecastError, UsageError
from recast.curate.files import write_json
from recast.pipelines.review import page
from recast.pipelines.review.session import NeedsNote, Session

try:
    import uvicorn
    from fastapi import FastAPI, Request
    from fastapi.responses import JSONResponse, Response
except ImportError as missing:
    raise MissingDependencyError(
        f"`recast review` serves its page with FastAPI and uvicorn ({missing}): pip install 'recast-sft[review]'. "
        "Without them: the page of `recast diff A B --html FILE` saves decisions that `recast review B --commit "
        "--decisions FILE` reads."
    ) from missing

HOST = "127.0.0.1"
MAX_BODY = 8 << 20
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
    "require-trusted-types-for 'script'; trusted-types 'none'",
    "Cache-Control": "no-store",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
KINDS = {".js": "text/javascript", ".css": "text/css"}
SHARED = ("base.css", "browser.css", "page.js")  # of the report: one look, one switch of the theme

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]


def app(session: Session, token: str, port: int) -> Any:
    """The ASGI application: pages and calls of `session` under `/TOKEN/`."""
    served = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    assets = _assets()
    whole = page.html(session.version.ref).encode()

    @served.exception_handler(RecastError)
    def refused(_: Request, error: RecastError) -> JSONResponse:
        status = 409 if isinstance(error, NeedsNote) else 400
        return JSONResponse({"error": type(error).__name__, "message": str(error)}, status)

    @served.get("/")
    def index() -> Response:
        return Response(whole, media_type="text/html")

    @served.get("/assets/{name}")
    def asset(name: str) -> Response:
        if name not in assets:
            return Response(status_code=404)
        return Response(assets[name], media_type=KINDS[Path(name).suffix])

    @served.get("/api/facts")
    def facts() -> Any:
        return _json(session.facts())

    @served.get("/api/row/{place}")
    def row(place: int, view: str = "side") -> Any:
        if view not in ("side", "inline", "raw"):
            raise UsageError(f"a row is not shown {view!r}; expected side, inline or raw.")
        return _json(session.row(place, view))

    @served.get("/api/more")
    def more(row: str, target: int = 0) -> Any:
        return _json(session.more(row, target))

    @served.get("/api/texts")
    def texts(row: str, target: int = 0) -> Any:
        return _json(session.texts(row, target))

    @served.get("/api/find")
    def find(wanted: str) -> Any:
        return _json({"place": session.find(wanted)})

    @served.post("/api/decide")
    def decide(asked: dict[str, Any]) -> Any:
        place = asked.pop("place", -1)
        return _json(session.decide(asked, place if isinstance(place, int) else -1))

    @served.post("/api/draft")
    def draft(asked: dict[str, Any]) -> Any:
        return _json(session.draft(asked))

    @served.post("/api/undo")
    def undo(asked: dict[str, Any]) -> Any:
        id_ = asked.get("id")
        if not isinstance(id_, str) or not 8 <= len(id_) <= 128:
            raise UsageError("an undo needs an `id` of its own.")
        return _json(session.undo(id_))

    @served.post("/api/filter")
    def filter_(asked: dict[str, Any]) -> Any:
        return _json(session.narrow(str(asked.get("wanted", ""))[:10_000]))

    return _Guard(served, token, port)


def _json(value: Any) -> Response:
    """JSON in which a number that is none is null, and which no reader takes for HTML."""
    body = json.dumps(_finite(value), ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return Response(body.encode("utf-8", "replace"), media_type="application/json")


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if value - value == 0 else None
    if isinstance(value, dict):
        return {name: _finite(inner) for name, inner in value.items()}
    return [_finite(inner) for inner in value] if isinstance(value, list | tuple) else value


def _assets() -> dict[str, bytes]:
    own = resources.files("recast.pipelines.review") / "assets"
    found = {file.name: file.read_bytes() for file in own.iterdir() if Path(file.name).suffix in KINDS}
    shared = resources.files("recast.pipelines.report") / "assets"
    return found | {name: (shared / name).read_bytes() for name in SHARED}


class _Guard:
    """Lets through what comes from the page itself, under its token; adds the headers of every answer."""

    def __init__(self, inner: Any, token: str, port: int) -> None:
        self._inner = inner
        self._token = token.encode()
        self._hosts = {f"{name}:{port}" for name in (HOST, "localhost")}
        self._origins = {f"http://{host}" for host in self._hosts}

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        status, path = self._judged(scope)
        if status:
            await _answer(send, status)
            return
        received = 0

        async def bounded() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > MAX_BODY:
                raise ValueError(
                    f"a body of more than {MAX_BODY} bytes"
                )  # FastAPI answers it; `headed` says why
            return message

        async def headed(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", ()), *_headers()]
                message["status"] = 413 if received > MAX_BODY else message["status"]
            await send(message)

        await self._inner(
            {**scope, "path": path, "raw_path": path.encode(), "root_path": ""}, bounded, headed
        )

    def _judged(self, scope: Message) -> tuple[int, str]:
        """(status to refuse with or 0, path without the token)."""
        headers: dict[bytes, list[str]] = {}
        for name, value in scope["headers"]:
            headers.setdefault(name.lower(), []).append(value.decode("latin-1"))
        if [host for host in headers.get(b"host", [""]) if host.lower() not in self._hosts]:
            return 403, ""
        if [origin for origin in headers.get(b"origin", []) if origin not in self._origins]:
            return 403, ""
        if set(headers.get(b"sec-fetch-site", [])) - {"same-origin", "none"}:
            return 403, ""
        token, slash, rest = scope["path"].removeprefix("/").partition("/")
        if not hmac.compare_digest(token.encode("utf-8", "replace"), self._token) or not slash:
            return 404, ""
        if scope["method"] == "POST":
            kind = headers.get(b"content-type", [""])[0].partition(";")[0].strip().lower()
            if kind != "application/json":
                return 415, ""
            length = headers.get(b"content-length", ["0"])[0]
            if not length.isdigit() or int(length) > MAX_BODY:
                return 413, ""
        return 0, f"/{rest}"


def _headers() -> list[tuple[bytes, bytes]]:
    return [(name.lower().encode(), value.encode()) for name, value in HEADERS.items()]


async def _answer(send: Send, status: int) -> None:
    await send(
        {"type": "http.response.start", "status": status, "headers": [(b"content-length", b"0"), *_headers()]}
    )
    await send({"type": "http.response.body", "body": b""})


# running


def address(folder: Path, reviewer: str, port: int | None) -> tuple[socket.socket, str]:
    """A listening socket and the token, those of the last time where the port is free: a page that is open goes on
    after a crash. Both stand in a file that its owner alone may read. Raises UsageError where `port` is taken."""
    file = folder / f".{reviewer}.address.json"
    try:
        kept = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        kept = {}
    token = kept.get("token") if isinstance(kept.get("token"), str) else None
    token = token if token and len(token) >= 32 else secrets.token_urlsafe(32)
    bound = _bound(port if port is not None else kept.get("port", 0), fixed=port is not None)
    folder.mkdir(parents=True, exist_ok=True)
    with _private():
        write_json(file, {"port": bound.getsockname()[1], "token": token})
    return bound, token


def _bound(port: Any, *, fixed: bool) -> socket.socket:
    made = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        made.bind((HOST, port if isinstance(port, int) else 0))
        made.listen()  # who comes before the server runs waits
    except OSError as taken:
        made.close()
        if fixed:
            raise UsageError(
                f"port {port} is taken ({taken.strerror}); choose another with --port."
            ) from taken
        return _bound(0, fixed=True)
    return made


@contextmanager
def _private() -> Generator[None]:
    """Files that are made meanwhile are for their owner alone."""
    before = os.umask(0o077)
    try:
        yield
    finally:
        os.umask(before)


class _Server(uvicorn.Server):
    @contextmanager
    def capture_signals(self) -> Generator[None]:
        """An interrupt closes the page and comes back as an ordinary end: all that was decided is on disk."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self.handle_exit, number, None)
        try:
            yield
        finally:
            for number in (signal.SIGINT, signal.SIGTERM):
                loop.remove_signal_handler(number)


def serve(session: Session, bound: socket.socket, token: str) -> None:
    """Serve until an interrupt."""
    config = uvicorn.Config(
        app(session, token, bound.getsockname()[1]), log_level="warning", access_log=False, server_header=False,
        lifespan="off", ws="none", timeout_graceful_shutdown=2, timeout_keep_alive=75,
    )  # fmt: skip
    _Server(config).run(sockets=[bound])
