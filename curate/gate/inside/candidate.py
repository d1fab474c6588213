"""The code's side: it runs the program, then answers what the tests ask of it.

The program shares this interpreter and can change all of it; what it can reach is itself, and one end of two pipes that
carry what it has to say anyway. Nothing here knows the tests.
"""

from __future__ import annotations

import io
import sys
import types

from recast.curate.gate.inside.values import decode, encode, receive, send

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TextIO

    from recast.curate.gate.inside.values import Anything, Wire


class Tee:
    """Standard output that also remembers, for tests that look at what a call prints."""

    def __init__(self, real: TextIO) -> None:
        self.real = real
        self.said: list[str] = []

    def write(self, text: str) -> int:
        self.said.append(text)
        return self.real.write(text)

    def __getattr__(self, name: str) -> Anything:
        return getattr(self.real, name)


def candidate(code: str, inlet: int, outlet: int) -> None:
    """Run the program, then answer what the tests ask of it. All that its code can reach here is itself."""
    tee = Tee(sys.stdout)
    sys.stdout = tee  # pyright: ignore[reportAttributeAccessIssue]  # __getattr__ has what it lacks of a TextIO
    objects: list[Anything] = []

    def refer(value: object) -> Wire:
        objects.append(value)
        return {"object": len(objects) - 1}

    def told(error: BaseException) -> dict[str, Wire]:
        bases: list[Wire] = [kind.__name__ for kind in type(error).__mro__ if kind.__module__ == "builtins"]
        try:
            text = str(error)[:500]
        except BaseException:
            text = ""
        try:
            arguments: list[Wire] = [encode(each, None) for each in error.args]
        except BaseException:
            arguments = [text]
        return {"raised": type(error).__name__, "bases": bases, "args": arguments, "text": text}

    def reply_to(message: dict[str, Anything]) -> dict[str, Wire]:
        asked, name = message["op"], message["name"]
        it = objects[message["object"]]
        if "in" in message:
            sys.stdin = io.StringIO(message["in"])
        if asked == "get":
            return {"value": encode(getattr(it, name), refer)}
        arguments = decode(message["args"], objects.__getitem__)
        if asked == "set":
            return {"value": setattr(it, name, *arguments)}
        if asked == "next":
            for value in it:
                return {"value": encode(value, refer)}
            return {"stop": True}
        if asked != "call":
            does: dict[str, Callable[..., object]] = {
                "len": len,
                "str": str,
                "repr": repr,
                "iter": iter,
                "getitem": get,
                "setitem": put,
            }
            return {"value": encode(does[asked](it, *arguments), refer)}
        value = it(*arguments, **decode(message["kwargs"], objects.__getitem__))
        reply: dict[str, Wire] = {"value": encode(value, refer)}
        if value is None:  # what changes its arguments returns None, by Python's own custom
            after = encode(arguments, refer)
            if after != message["args"]:
                reply["args"] = after
        return reply

    main = types.ModuleType("__main__")
    sys.modules["__main__"] = main
    sys.argv = [""]
    try:
        # dont_inherit: this module's own `annotations` would turn those of the program into strings
        exec(compile(code, "<candidate>", "exec", dont_inherit=True), main.__dict__)
        ready: dict[str, Wire] = {"names": names_of(main.__dict__, refer)}
    except BaseException as error:
        ready = told(error)
    sys.stdout.flush()
    send(outlet, ready)
    while (message := receive(inlet)) is not None:
        del tee.said[:]
        try:
            reply = reply_to(message)
        except BaseException as error:
            reply = told(error)
        tee.real.flush()
        try:
            send(outlet, reply | {"out": "".join(tee.said)})
        except (TypeError, ValueError, RecursionError) as error:
            send(outlet, told(error))


def get(it: Anything, key: object) -> Anything:
    return it[key]


def put(it: Anything, key: object, value: object) -> None:
    it[key] = value


def names_of(space: dict[str, object], refer: Callable[[Anything], Wire]) -> dict[str, Wire]:
    """What the program defines, by name: a value, a module, a class of exceptions, or an object that stays here."""
    found: dict[str, Wire] = {}
    for name, value in list(space.items()):
        if name.startswith("__"):
            continue
        if isinstance(value, types.ModuleType):
            found[name] = {"module": value.__name__}
        elif isinstance(value, type) and issubclass(value, Exception):
            found[name] = {
                "exception": [kind.__name__ for kind in value.__mro__ if kind.__module__ == "builtins"]
            }
        else:
            try:
                found[name] = {"value": encode(value, refer)}  # pyright: ignore[reportUnknownArgumentType]  # or a class
            except RecursionError:
                found[name] = {"value": refer(value)}
    return found
