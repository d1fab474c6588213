"""What a person sees while jobs run: bars on a terminal, a plain line now and then elsewhere.

Jobs report by calling `progress({"done": 3, "total": 40, "loss": 0.7})`; whatever else the mapping
holds is shown as a figure. Lines under `say` are said at once and stay. Everything goes to stderr. Times left are
extrapolated from the pace since the first report, so that a resumed job does not count what it found finished.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

LINE_EVERY_S = 30.0
FIRST_LINE_S = 5.0
# keys that say how far, in the words of the modules that report
DONE = ("done", "step", "rows")
TOTAL = ("total", "steps", "max_steps", "num_rows")
UNSHOWN = (*DONE, *TOTAL, "made", "seconds", "phase", "note", "epoch")

Progress = Callable[..., None]


@dataclass(slots=True)
class Pace:
    """How far a job is, and how long it still needs."""

    name: str
    started: float = field(default_factory=time.monotonic)
    done: float = 0
    total: float | None = None
    note: str = ""
    _first: tuple[float, float] | None = None

    def update(self, point: Mapping[str, Any]) -> None:
        done = next((point[k] for k in DONE if k in point), None)
        total = next((point[k] for k in TOTAL if k in point), None)
        if total is not None and total != self.total:
            self._first = None  # another phase, with a pace of its own
        if done is not None:
            now = time.monotonic()
            self._first = self._first or (now, float(done))
            self.done, self.total = float(done), float(total) if total is not None else None
        self.note = describe(point)

    @property
    def seconds(self) -> float:
        return time.monotonic() - self.started

    @property
    def seconds_left(self) -> float | None:
        """None before there is a pace."""
        if self._first is None or self.total is None or self.done <= self._first[1]:
            return None
        since, first = self._first
        return max(0.0, (self.total - self.done) * (time.monotonic() - since) / (self.done - first))

    def __str__(self) -> str:
        words = [self.name]
        if self.total:
            words.append(f"{self.done:g} of {self.total:g}")
        elif self.done:
            words.append(f"{self.done:g} done")
        if self.note:
            words.append(self.note)
        left = self.seconds_left
        words.append(f"{clock(left)} left" if left is not None else f"{clock(self.seconds)} so far")
        return "  ".join(words)


def describe(point: Mapping[str, Any]) -> str:
    """The figures of a report in a few words: `scoring, loss 0.71, reward 0.83`."""
    words = [str(point[key]) for key in ("phase", "note") if point.get(key)]
    for key, value in point.items():
        if key in UNSHOWN or isinstance(value, bool) or not isinstance(value, int | float):
            continue
        shown = str(value) if isinstance(value, int) else f"{value:.3g}"
        words.append(f"{key.replace('_', ' ')} {shown}")
    return ", ".join(words[:4])


def clock(seconds: float) -> str:
    """`75` -> `1:15`."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


class Silent:
    """Says nothing (`-q`)."""

    def start(self, name: str) -> None: ...
    def update(self, name: str, point: Mapping[str, Any]) -> None: ...
    def finish(self, name: str, words: str) -> None: ...
    def say(self, words: str) -> None: ...
    def tick(self, words: str, done: int, total: int) -> None: ...
    def heartbeat(self, words: str) -> None: ...
    def close(self) -> None: ...

    def _say_lines(self, name: str, point: Mapping[str, Any]) -> None:
        for words in point.get("say", ()):
            self.say(f"{name}  {words}")


class Lines(Silent):
    """Plain lines: when a job starts and ends, and now and then between."""

    def __init__(self, stream: Any = None, every_s: float = LINE_EVERY_S) -> None:
        self._stream = stream or sys.stderr
        self._every_s = every_s
        self._paces: dict[str, Pace] = {}
        self._next: dict[str, float] = {}

    def start(self, name: str) -> None:
        self._paces[name] = Pace(name)
        self._next[name] = time.monotonic() + FIRST_LINE_S

    def update(self, name: str, point: Mapping[str, Any]) -> None:
        if name not in self._paces:
            self.start(name)
        self._say_lines(name, point)
        self._paces[name].update(point)
        if time.monotonic() >= self._next[name]:
            self._next[name] = time.monotonic() + self._every_s
            self.say(str(self._paces[name]))

    def finish(self, name: str, words: str) -> None:
        self._paces.pop(name, None)
        self.say(f"{name}  {words}" if words else name)

    def say(self, words: str) -> None:
        print(words, file=self._stream, flush=True)

    def heartbeat(self, words: str) -> None:
        self.say(words)


class Bars(Silent):
    """Live bars on a terminal, with the time left of each."""

    def __init__(self) -> None:
        from rich import progress as rich_progress
        from rich.console import Console

        self._bars = rich_progress.Progress(
            rich_progress.TextColumn("{task.description}"),
            rich_progress.BarColumn(bar_width=24),
            rich_progress.TextColumn("{task.fields[far]}"),
            rich_progress.TextColumn("[bold]{task.fields[left]}"),
            rich_progress.TextColumn("[dim]{task.fields[note]}"),
            console=Console(stderr=True),
            transient=True,
            refresh_per_second=4,
        )
        self._paces: dict[str, Pace] = {}
        self._tasks: dict[str, Any] = {}
        self._overall: Any = None
        self._bars.start()

    def start(self, name: str) -> None:
        self._paces[name] = Pace(name)
        self._tasks[name] = self._bars.add_task(name, total=None, far="", left="", note="")

    def update(self, name: str, point: Mapping[str, Any]) -> None:
        if name not in self._paces:
            self.start(name)
        self._say_lines(name, point)
        pace = self._paces[name]
        pace.update(point)
        left = pace.seconds_left
        self._bars.update(
            self._tasks[name],
            total=pace.total,
            completed=pace.done,
            far=f"{pace.done:g}/{pace.total:g}" if pace.total else f"{pace.done:g}" if pace.done else "",
            left=f"{clock(left)} left" if left is not None else clock(pace.seconds),
            note=pace.note,
        )

    def finish(self, name: str, words: str) -> None:
        if name in self._tasks:
            self._bars.remove_task(self._tasks.pop(name))
            del self._paces[name]
        self.say(f"{name}  {words}" if words else name)

    def say(self, words: str) -> None:
        self._bars.console.print(words, highlight=False, markup=False)

    def tick(self, words: str, done: int, total: int) -> None:
        """Show how far the whole is, above the bars of its parts."""
        if self._overall is None:
            self._overall = self._bars.add_task("", far="", left="", note="")
        self._bars.update(self._overall, description=words, completed=done, total=total)
        for name, task in self._tasks.items():
            pace = self._paces[name]
            left = pace.seconds_left
            self._bars.update(task, left=f"{clock(left)} left" if left is not None else clock(pace.seconds))

    def close(self) -> None:
        self._bars.stop()


Reporter = Silent


def reporter(quiet: bool = False) -> Reporter:
    """The reporter for this process: silent, bars on a terminal, lines elsewhere."""
    if quiet:
        return Silent()
    if sys.stderr.isatty() and os.environ.get("TERM") != "dumb":
        return Bars()
    return Lines()


@contextmanager
def reporting(
    name: str, to: Reporter, also: Callable[[Mapping[str, Any]], None] | None = None
) -> Iterator[Progress]:
    """Yield the `progress` callable of one job. `also` gets every report, too."""
    to.start(name)

    def progress(
        point: Any = None, total: Any = None, figures: Mapping[str, Any] | None = None, **more: Any
    ) -> None:
        if not isinstance(point, Mapping):
            point = {"done": point} if point is not None else {}
            point |= {"total": total} if total is not None else {}
        point = {**point, **(figures or {}), **more}
        to.update(name, point)
        if also:
            also(point)

    yield progress
