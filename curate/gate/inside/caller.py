"""The asking side without tests: it calls one function of the code again and again and writes down what comes of it.

Each result is on disk before the next call, so that a call that ends the process takes nothing with it.
"""

from __future__ import annotations

import json
import os

from recast.curate.gate.inside.tester import Ended, Remote, Tester
from recast.curate.gate.inside.values import DICT, send

TYPE_CHECKING = False
if TYPE_CHECKING:
    from recast.curate.gate.inside.values import Anything, Wire

MAX_RESULT = 1 << 16
"""Bytes of one result."""


def caller(request: dict[str, Anything], inlet: int, outlet: int, results: int) -> tuple[str, str, bool]:
    """Call the entry point with every list of arguments; a line of `results` each. How that ended, as `tester`."""
    side = Tester(inlet, outlet)
    try:
        ready = side.hear()
        if "raised" in ready:
            return "failed", f"{ready['raised']}: {ready.get('text')}", False
        names: Anything = ready.get("names")
        name: str = request["entry_point"]
        function = side.take(name, names.get(name), request) if type(names) is DICT else None
        if type(function) is not Remote:
            return "failed", f"the code defines no function {name}", False
        number: int = object.__getattribute__(function, "_id")
        for arguments in request["calls"]:
            write(results, called(side, number, arguments))
    except Ended as error:
        return "failed", str(error), True
    return "ok", "", False


def called(side: Tester, number: int, arguments: Wire) -> str:
    message: Wire = {"op": "call", "object": number, "name": None, "args": arguments, "kwargs": {"dict": []}}
    try:
        send(side.outlet, message)
    except OSError:
        side.end("the code ended its process")
    reply = side.hear()
    if "raised" in reply:
        return json.dumps({"raised": f"{reply['raised']}: {reply.get('text')}"[:1000]})
    value = reply.get("value")
    if type(side.read(value)) is Remote:
        return json.dumps({"raised": "it returned an object that is no plain value"})
    line = json.dumps({"value": value})
    return (
        line
        if len(line) <= MAX_RESULT
        else json.dumps({"raised": f"it returned a value of {len(line)} bytes"})
    )


def write(results: int, line: str) -> None:
    left = line.encode() + b"\n"
    while left:
        left = left[os.write(results, left) :]
