"""The script inside the sandbox: it walls itself in and judges one untrusted program by tests that it never sees.

Started by `curate.gate.sandbox` with `python -s -P -S`, never imported. Four processes: this one waits outside the new
process space; its child is number 1 of it and forks the other two, so that nothing outlives it. The tester runs the
tests. The candidate runs the program, in a process space of its own below that one: it was forked before the tests were
read, sees no other process, and holds nothing but its end of two pipes.
"""

from __future__ import annotations

import json
import os
import sys
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))
sys.path.insert(0, ROOT)
from recast.curate.gate.inside import walls  # noqa: E402
from recast.curate.gate.inside.caller import caller  # noqa: E402
from recast.curate.gate.inside.candidate import candidate  # noqa: E402
from recast.curate.gate.inside.tester import tester  # noqa: E402

sys.path.remove(ROOT)

SETUP_FAILED, GONE = 97, 96
ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
"""Of packages: every thread's stack counts as memory."""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn, TypedDict

    class Request(TypedDict):
        """What `curate.gate.sandbox` hands over: the files of program, tests and verdict, what to see, and limits."""

        code_fd: int
        tests_fd: int
        verdict_fd: int
        visible: list[str]
        hidden: list[str]
        paths: list[str]
        work: str
        walls: bool
        cpu_s: int
        memory_bytes: int
        file_bytes: int


def main() -> NoReturn:
    request: Request = json.loads(sys.argv[1])
    sys.argv = [""]
    walls.end_with_parent()
    walled = request["walls"]
    try:
        if walled:
            walls.namespaces()
            walls.new_root(request["work"], request["visible"], request["hidden"], request["file_bytes"])
        else:
            os.chdir(request["work"])
    except OSError as error:
        fail("namespaces", error)
    os.environ.clear()
    os.environ["HOME"] = os.environ["TMPDIR"] = os.getcwd()
    if request["paths"]:
        os.environ |= ONE_THREAD
    first = os.fork()
    if first == 0:
        first_process(request, walled)
    os._exit(fate(os.waitpid(first, 0)[1]))


def first_process(request: Request, walled: bool) -> NoReturn:
    """Fork the tester and then the candidate; end with the tester, and say how whichever was killed ended."""
    walls.end_with_parent()
    questions, answers = os.pipe(), os.pipe()
    judge = os.fork()
    if judge == 0:
        behind_walls(request, walled, [request["tests_fd"], request["verdict_fd"], answers[0], questions[1]])
        tests = json.loads(read_all(request["tests_fd"]))
        if "calls" in tests:
            status, reason, gone = caller(tests, answers[0], questions[1], request["verdict_fd"])
        else:
            status, reason, gone = tester(tests, answers[0], questions[1])
        sys.stdout.flush()
        os.write(request["verdict_fd"], json.dumps([status, reason]).encode())
        os._exit(GONE if gone else 0)
    try:
        if walled:
            walls.below()
    except OSError as error:
        fail("namespaces", error)
    judged = os.fork()
    if judged == 0:
        try:
            if walled:
                walls.workplace(request["file_bytes"])
        except OSError as error:
            fail("work folder", error)
        code = read_all(request["code_fd"]).decode()
        behind_walls(request, walled, [questions[0], answers[1]])
        sys.path += request["paths"]
        candidate(code, questions[0], answers[1])
        os._exit(0)
    for pipe in (*questions, *answers):
        os.close(pipe)  # so that either side sees the other end
    status = fate(os.waitpid(judge, 0)[1])
    for _ in range(50 if status == GONE else 0):  # its files close a moment before its end can be asked for
        ended, how = os.waitpid(judged, os.WNOHANG)
        if ended:
            os._exit(fate(how) if os.WIFSIGNALED(how) else 0)
        time.sleep(0.01)
    os._exit(0 if status == GONE else status)


def behind_walls(request: Request, walled: bool, kept: list[int]) -> None:
    """Keep no file but the standard ones and `kept`, then shut the door."""
    walls.end_with_parent()
    try:
        os.dup2(os.open("/dev/null", os.O_RDONLY), 0)
        at = 3
        for handle in sorted(kept):
            os.closerange(at, handle)
            at = handle + 1
        os.closerange(at, 1024)
        walls.limits(request["cpu_s"], request["memory_bytes"], request["file_bytes"])
        if walled:
            walls.drop_capabilities()
            walls.seccomp()
    except OSError as error:
        fail("walls", error)


def read_all(handle: int) -> bytes:
    size = os.fstat(handle).st_size
    return os.pread(handle, size, 0)


def fail(where: str, error: OSError) -> NoReturn:
    os.write(2, f"{where}: {error}\n".encode())
    os._exit(SETUP_FAILED)


def fate(status: int) -> int:
    return 128 + os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status)


if __name__ == "__main__":
    main()
