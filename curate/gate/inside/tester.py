"""The tests' side: it runs them with proxies for what the code defines, and alone says how they ended.

What comes from the code is read strictly: plain values become new objects of Python's own types, so that equality,
truth and order are the tests' own. All else is a `Remote`, which can be called, indexed, iterated and asked for
attributes; whatever would ask it about equality or truth is undecided. The code cannot put its own `abs`, `math` or
`check` into the tests' hands, cannot end a loop of theirs with StopIteration, and cannot be forgiven its end by a test
that catches everything.
"""

from __future__ import annotations

import builtins
import sys
import types

from recast.curate.gate.inside.values import UnplainError, decode, encode, receive, send

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import NoReturn, TypeAlias

    from recast.curate.gate.inside.values import Anything, Wire

    Single: TypeAlias = "bool | int | float | complex | str | bytes | bytearray | Remote | None"
    Read: TypeAlias = (
        "Single | list[Read] | tuple[Read, ...] | set[Read] | frozenset[Read] | dict[Read, Read]"
    )
    """A value of the code as the tests get it."""


class Ended(BaseException):
    """The candidate's process ended, or says what it cannot say."""


class Undecided(BaseException):
    """The tests ask for what does not cross the pipe."""


class Tester:
    """The tests' end of the pipes. `ended` and `undecided` outlive whatever the tests catch."""

    def __init__(self, inlet: int, outlet: int) -> None:
        self.inlet, self.outlet = inlet, outlet
        self.stdout, self.stdin = sys.stdout, sys.stdin
        self.ended: str | None = None
        self.undecided: str | None = None
        self.exceptions: dict[str, type[Exception]] = {}

    def hear(self) -> dict[str, Wire]:
        try:
            message: Wire = receive(self.inlet)
        except (UnplainError, ValueError, RecursionError, MemoryError, OSError) as error:
            self.end(f"the code's process sent no answer that can be read ({type(error).__name__})")
        if type(message) is not dict:
            self.end("the code ended its process before the tests were over")
        return message

    def end(self, reason: str) -> NoReturn:
        self.ended = self.ended or reason
        raise Ended(reason)

    def undecide(self, reason: str) -> NoReturn:
        self.undecided = self.undecided or reason
        raise Undecided(reason)

    def refer(self, value: object) -> Wire:
        if type(value) is Remote:
            return {"object": object.__getattribute__(value, "_id")}
        self.undecide(f"the tests hand the code a value of type {type(value).__name__}, which is not plain")

    def resolve(self, number: Wire) -> Remote:
        if type(number) is not int:
            raise UnplainError("no object")
        return Remote(self, number)

    def read(self, value: Wire) -> Anything:
        try:
            return decode(value, self.resolve)
        except (UnplainError, TypeError, ValueError, RecursionError, AttributeError):
            self.end("the code's process sent a value that cannot be read")

    def ask(
        self,
        op: str,
        number: int,
        *args: Anything,
        name: str | None = None,
        kwargs: dict[str, Anything] | None = None,
    ) -> Anything:
        try:
            sent = [encode(list(args), self.refer), encode(kwargs or {}, self.refer)]
        except RecursionError:
            self.undecide("the tests hand the code a value that contains itself")
        message: dict[str, Wire] = {
            "op": op,
            "object": number,
            "name": name,
            "args": sent[0],
            "kwargs": sent[1],
        }
        if sys.stdin is not self.stdin:
            message["in"] = sys.stdin.read()
        if self.ended:
            raise Ended(self.ended)
        try:
            send(self.outlet, message)
        except OSError:
            self.end("the code ended its process before the tests were over")
        reply = self.hear()
        out = reply.get("out")
        if type(out) is str and out and sys.stdout is not self.stdout:
            sys.stdout.write(out)
        if "raised" in reply:
            self.throw(reply)
        if reply.get("stop") is True and op == "next":
            raise StopIteration
        value = self.read(reply.get("value"))
        if value is None and "args" in reply and op == "call":
            changed: Read = self.read(reply["args"])
            if type(changed) is list and len(changed) == len(args):
                for mine, theirs in zip(args, changed, strict=True):
                    restore(mine, theirs)
        return value

    def throw(self, reply: dict[str, Wire]) -> NoReturn:
        """Raise what the code raised: the builtin of that name, the tests' own class for one of the code's."""
        name, text = str(reply["raised"]), str(reply.get("text"))
        base = self.base(reply.get("bases"))
        if base is None:
            self.end(f"{name}: {text}")
        kind = self.exceptions.get(name) or (base if name == base.__name__ else an_exception(name, base))
        try:
            error = kind(*self.read(reply.get("args")))
        except Exception:
            error = RuntimeError(f"{name}: {text}")
        raise error from None

    def base(self, names: Wire) -> type[Exception] | None:
        """The builtin exception that stands first in `names`. None where it would end the tests or a loop of theirs."""
        for name in names if type(names) is list else ():
            kind = getattr(builtins, name, None) if type(name) is str else None
            if isinstance(kind, type) and issubclass(kind, Exception):
                return RuntimeError if issubclass(kind, (StopIteration, StopAsyncIteration)) else kind
        return None

    def take(self, name: str, said: Wire, request: dict[str, str]) -> Anything:
        """What `name` of the program is to the tests; None where the tests have better than the program's word."""
        if (
            type(said) is not dict
            or len(said) != 1
            or (hasattr(builtins, name) and name != request["entry_point"])
        ):
            return None
        ((kind, inner),) = said.items()
        if kind == "module":
            if type(inner) is not str or inner.partition(".")[0] not in sys.stdlib_module_names:
                return None
            return __import__(inner, fromlist=["_"]) if name in (inner, inner.rpartition(".")[2]) else None
        if name in sys.stdlib_module_names and f"{name}." in request["tests"]:
            return None  # the tests mean the library
        if kind == "exception":
            made = an_exception(name, self.base(inner) or Exception)
            self.exceptions[name] = made
            return made
        return self.read(inner) if kind == "value" else None


def an_exception(name: str, base: type[Exception]) -> type[Exception]:
    return type(name, (base,), {})


def restore(mine: Read, theirs: Read) -> None:
    """Give a mutable argument of the tests the content that the call has left in it."""
    if type(mine) is dict and type(theirs) is dict:
        mine.clear()
        mine.update(theirs)
    elif type(mine) is list and type(theirs) is list:
        mine[:] = theirs
    elif type(mine) is set and type(theirs) is set:
        mine.clear()
        mine.update(theirs)


class Remote:
    """An object that stays with the candidate."""

    __slots__ = ("_id", "_tester")

    def __init__(self, tester: Tester, number: int) -> None:
        # declared here, since in the class they would give each Remote `__annotations__`, which tests can look at
        self._tester: Tester
        self._id: int
        object.__setattr__(self, "_tester", tester)
        object.__setattr__(self, "_id", number)

    def __call__(self, *args: Anything, **kwargs: Anything) -> Anything:
        return self._tester.ask("call", self._id, *args, kwargs=kwargs)

    def __getattr__(self, name: str) -> Anything:
        if name.startswith("__") and name not in ("__name__", "__doc__"):
            raise AttributeError(name)
        return self._tester.ask("get", self._id, name=name)

    def __setattr__(self, name: str, value: object) -> None:
        self._tester.ask("set", self._id, value, name=name)

    def __len__(self) -> int:
        return self._tester.ask("len", self._id)

    def __getitem__(self, key: object) -> Anything:
        return self._tester.ask("getitem", self._id, key)

    def __setitem__(self, key: object, value: object) -> None:
        self._tester.ask("setitem", self._id, key, value)

    def __iter__(self) -> Anything:
        return self._tester.ask("iter", self._id)

    def __next__(self) -> Anything:
        return self._tester.ask("next", self._id)

    def __str__(self) -> str:
        return self._tester.ask("str", self._id)

    def __repr__(self) -> str:
        return self._tester.ask("repr", self._id)

    __hash__ = object.__hash__


def opaque(operation: str) -> Callable[..., NoReturn]:
    def refused(self: Remote, *_: object) -> NoReturn:
        side: Tester = object.__getattribute__(self, "_tester")
        side.undecide(f"the tests use {operation} on a value of the code that is not plain")

    return refused


for _name in ("eq", "ne", "lt", "le", "gt", "ge", "bool", "contains", "instancecheck", "add", "radd", "sub", "rsub",
              "mul", "rmul", "truediv", "rtruediv", "floordiv", "rfloordiv", "mod", "rmod", "pow", "rpow", "neg", "abs",
              "int", "float", "index", "round", "and", "rand", "or", "ror", "xor", "rxor", "await", "enter",
              "format"):  # fmt: skip
    setattr(Remote, f"__{_name}__", opaque(f"__{_name}__"))


def tester(request: dict[str, str], inlet: int, outlet: int) -> tuple[str, str, bool]:
    """Run the tests. Returns how they ended (ok, failed, undecided), why, and whether the candidate ended first."""
    side = Tester(inlet, outlet)
    try:
        ready = side.hear()
        if "raised" in ready:
            side.throw(ready)
        space = given(side, ready.get("names"), request)
        # dont_inherit, here and below: this module's own `annotations` are not for the texts of the row
        exec(compile(request["tests"], "<tests>", "exec", dont_inherit=True), space)
        said: tuple[str, str] = ("ok", "")
    except BaseException as error:  # whatever the tests raise is a failure of theirs
        try:
            said = ("failed", f"{type(error).__name__}: {str(error)[:500]}")
        except BaseException:
            said = ("failed", type(error).__name__)
    if side.ended:
        return "failed", side.ended, True
    if side.undecided:
        return "undecided", side.undecided, False
    return said[0], said[1], False


def given(side: Tester, names: Wire, request: dict[str, str]) -> dict[str, Anything]:
    """The tests' namespace: functions, modules and values of the row's own prompt, and of the code what these lack."""
    entry, module = request["entry_point"], types.ModuleType("__main__")
    sys.modules["__main__"] = module
    space: dict[str, Anything] = module.__dict__
    prompt: dict[str, Anything] = {}
    for name, said in names.items() if type(names) is dict else ():
        value = side.take(name, said, request)
        if value is not None:
            space[name] = value
    try:
        exec(compile(request["prompt"], "<prompt>", "exec", dont_inherit=True), prompt)
    except Exception:  # a prompt may end in the midst of a function
        return space
    for name, value in prompt.items():
        if not name.startswith("__") and name != entry and not isinstance(value, type):
            space[name] = value
    return space
