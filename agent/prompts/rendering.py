"""Jinja templates of users, rendered in a child process that can do nothing else: no files, no names, no long loops.

Jinja's sandbox keeps a template from Python, not from the processor: four nested loops over a question, or
`10 ** (10 ** 9)`, end next year. So templates never meet this process. The child renders in Jinja's immutable sandbox
with a limit of processor seconds that the kernel enforces, one of memory, and one of characters. A template that
overran its time is not tried again. Nothing here says what a template is for (`agent.prompts.prompts`).

>>> render("{{ question }} Say it in {{ language }}.", {"question": "Why?", "language": "Dutch"})
'Why? Say it in Dutch.'
"""

from __future__ import annotations

import atexit
import contextlib
import json
import os
import subprocess
import sys
import threading
from typing import Any

CPU_S = 2.0
"""Processor seconds of one rendering; a usual one takes some 50 microseconds."""
MEMORY_BYTES = 512 << 20
MAX_CHARS = 200_000
"""Longest text that a template may write."""
MAX_SOURCE = 50_000
"""Longest template."""


class TemplateFault(ValueError):
    """What is wrong with a template, in words that follow its name."""


class _TooLong(Exception):
    """A text past MAX_CHARS; of the child."""


class _Child:
    """One process that renders; not safe for two threads at once."""

    def __init__(self) -> None:
        environment = {"PATH": os.environ.get("PATH", ""), "PYTHONHASHSEED": "0"}
        self.process = subprocess.Popen(
            [sys.executable, "-I", os.path.abspath(__file__)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environment,
            start_new_session=True,
        )  # fmt: skip

    def ask(self, asked: dict[str, Any]) -> dict[str, Any] | None:
        """What the child says; None where it died of it."""
        stdin, stdout = self.process.stdin, self.process.stdout
        assert stdin is not None and stdout is not None
        try:
            stdin.write(json.dumps(asked).encode() + b"\n")
            stdin.flush()
            line = stdout.readline()
        except OSError:
            line = b""
        return json.loads(line) if line else None

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self.process.kill()
        self.process.wait()
        for stream in (self.process.stdin, self.process.stdout):
            if stream is not None:
                with contextlib.suppress(OSError):
                    stream.close()


class _Renderer:
    """The child of this process, started when needed and replaced when killed."""

    def __init__(self) -> None:
        self.pid = os.getpid()
        self.lock = threading.Lock()
        self.child: _Child | None = None
        self.overran: set[str] = set()

    def ask(self, source: str, asked: dict[str, Any]) -> dict[str, Any]:
        if len(source) > MAX_SOURCE:
            raise TemplateFault(f"has {len(source):,} characters, where {MAX_SOURCE:,} are the most")
        with self.lock:
            if source not in self.overran:
                self.child = self.child or _Child()
                found = self.child.ask({"source": source, **asked})
                if found is not None:
                    if "fault" in found:
                        raise TemplateFault(found["fault"])
                    return found
                self.close()
                self.overran.add(source)
        raise TemplateFault(
            f"took more than {CPU_S:g} s of processor time; see whether it has loops within loops, or large numbers"
        )

    def close(self) -> None:
        if self.child is not None:
            self.child.close()
            self.child = None


_renderer: _Renderer | None = None
_starting = threading.Lock()


def _shared() -> _Renderer:
    global _renderer
    with _starting:
        if (
            _renderer is None or _renderer.pid != os.getpid()
        ):  # a forked child must not share its parent's pipes
            _renderer = _Renderer()
            atexit.register(_renderer.close)
        return _renderer


def render(source: str, values: dict[str, str | None]) -> str:
    """The text of a template. Raises TemplateFault, where the template itself fails or overruns a limit."""
    return _shared().ask(source, {"values": values})["text"]


def variables(source: str) -> set[str]:
    """The names that a template uses and does not set itself. Raises TemplateFault where it is none."""
    return set(_shared().ask(source, {})["variables"])


def _main() -> None:
    """The child: one line of JSON in, one out. A rendering that overruns its time ends the process."""
    import resource
    import signal
    from functools import lru_cache

    from jinja2 import StrictUndefined, Template, TemplateError, meta
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_NOFILE, (16, 16))
    environment = ImmutableSandboxedEnvironment(undefined=StrictUndefined, keep_trailing_newline=False)
    compiled = lru_cache(maxsize=64)(environment.from_string)

    def rendered(template: Template, values: dict[str, Any]) -> str:
        pieces, length = [], 0
        for piece in template.generate(values):
            length += len(piece)
            if length > MAX_CHARS:
                raise _TooLong
            pieces.append(piece)
        return "".join(pieces)

    for line in sys.stdin.buffer:
        asked = json.loads(line)
        # no handler: what does not end in time is ended by the kernel, in the middle of a power or a repetition, too
        signal.setitimer(signal.ITIMER_PROF, CPU_S)
        try:
            if "values" in asked:
                found = {"text": rendered(compiled(asked["source"]), asked["values"])}
            else:
                used = meta.find_undeclared_variables(environment.parse(asked["source"]))
                found = {"variables": sorted(used)}
        except _TooLong:
            found = {"fault": f"writes more than {MAX_CHARS:,} characters"}
        except MemoryError:
            found = {"fault": f"needs more than {MEMORY_BYTES >> 20} MiB"}
        except TemplateError as error:
            at = getattr(error, "lineno", None)
            found = {
                "fault": f"is refused{f' in line {at}' if at else ''}: {error.message or type(error).__name__}"
            }
        except RecursionError:
            found = {"fault": "calls itself without end"}
        except Exception as error:
            found = {"fault": f"fails: {error}"}
        signal.setitimer(signal.ITIMER_PROF, 0)
        sys.stdout.write(json.dumps(found) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    _main()
