"""The sandbox: honest programs run, hostile ones get a verdict and reach nothing."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from recast.curate.errors import MissingDependencyError
from recast.curate.gate import sandbox
from recast.curate.gate.checks.case import Case
from recast.curate.gate.checks.code import CodeCheck, code_of
from recast.curate.gate.gate import load_gate
from recast.curate.gate.sandbox import Limits, RunStatus, run, run_many

walled = pytest.mark.skipif(
    sandbox.missing_wall() is not None, reason=f"cannot run untrusted code here: {sandbox.missing_wall()}"
)
SHORT = Limits(cpu_s=1, wall_s=6, memory_mb=256, file_mb=4, output_kb=16)


@walled
def test_an_honest_program_runs_with_the_standard_library():
    ended = run("import math, re, collections, heapq, json, decimal\nprint(math.comb(5, 2))")
    assert (ended.status, ended.stdout, ended.exit_code) == (RunStatus.OK, "10\n", 0)
    assert run("open('a', 'w').write('x')\nprint(open('a').read())").stdout == "x\n"


@walled
@pytest.mark.parametrize(
    ("program", "message"),
    [
        ("1/0", "ZeroDivisionError"),
        ("assert 1 == 2", "AssertionError"),
        ("def f(:", "SyntaxError"),
        ("import sys; sys.exit(0)", "SystemExit"),
        ("raise KeyboardInterrupt", "KeyboardInterrupt"),
        ("import os; os._exit(0)", "exit code 0"),
        ("import os; os.abort()", ""),
        ("\x00", ""),
        ("(" * 2000, ""),
        ("def f(): return f()\nf()", "RecursionError"),
    ],
)
def test_ending_early_is_failing(program, message):
    ended = run(program, SHORT)
    assert ended.status in (RunStatus.FAILED, RunStatus.MEMORY)
    assert message in ended.message


HOSTILE = {
    "fork": "import os\nwhile True: os.fork()",
    "subprocess": "import subprocess; subprocess.run(['/bin/ls'])",
    "system": "import os; assert os.system('ls') == 0",
    "exec": "import os; os.execv('/bin/sh', ['sh'])",
    "multiprocessing": "import multiprocessing as m; p = m.Process(target=print); p.start(); p.join()",
    "disk": "f = open('a', 'w')\nwhile True: f.write('x' * 10**6)",
    "many files": "for i in range(10**6): open(str(i), 'w').write('x' * 10**4)",
    "memory": "x = []\nwhile True: x.append(' ' * 10**7)",
    "one big object": "x = ' ' * 10**11",
    "bignum": "9 ** 9 ** 9 ** 9",
    "spin": "while True: pass",
    "sleep": "import time; time.sleep(1000)",
    "catch the alarm": "import signal\nfor s in range(1, 30):\n  try: signal.signal(s, signal.SIG_IGN)\n"
    "  except (OSError, ValueError): pass\nwhile True: pass",
    "catch everything": "while True:\n  try:\n    while True: pass\n  except BaseException: pass",
    "flood": "while True: print('x' * 1000)",
    "flood errors": "import sys\nwhile True: sys.stderr.write('x' * 1000)",
    "socket": "import socket; socket.create_connection(('127.0.0.1', 22))",
    "unix socket": "import socket; socket.socket(socket.AF_UNIX).connect('/run/x')",
    "url": "import urllib.request; urllib.request.urlopen('http://127.0.0.1:1')",
    "home": "import os; os.listdir(os.path.expanduser('~root'))",
    "passwd": "open('/etc/passwd').read()",
    "proc": "open('/proc/1/environ').read()",
    "this repository": f"open({str(sandbox.CHILD)!r}).read()",
    "write outside": "open('/tmp/recast-escaped', 'w').write('x')",
    "symlink out": "import os; os.symlink('/etc/passwd', 'p'); open('p').read()",
    "parent directory": "open('../../etc/passwd').read()",
    "kill the parent": "import os; os.kill(os.getppid(), 9); assert os.getppid() > 1",
    "kill everyone": "import os; os.kill(-1, 9)",
    "ptrace": "import ctypes; assert ctypes.CDLL(None).ptrace(16, 1, 0, 0) == 0",
    "mount": "import ctypes; assert ctypes.CDLL(None).mount(b'none', b'/tmp', b'tmpfs', 0, None) == 0",
    "new namespace": "import ctypes; assert ctypes.CDLL(None).unshare(0x10000000) == 0",
    "raise the limits": "import resource; resource.setrlimit(resource.RLIMIT_CPU, (10**6, 10**6))",
    "threads": "import threading\nwhile True: threading.Thread(target=lambda: [None for _ in iter(int, 1)]).start()",
    "close all files": "import os; os.closerange(0, 100); raise SystemExit(0)",
    "stop itself": "import os, signal; os.kill(os.getpid(), signal.SIGSTOP)",
    "segfault": "import ctypes; ctypes.string_at(0)",
    "regex bomb": "import re; re.match(r'(a+)+$', 'a' * 64 + 'b')",
}


ENDLESS = {"bignum", "spin", "sleep", "catch the alarm", "catch everything", "regex bomb"}
"""Those that nothing but a limit of time ends."""


def children_in_the_sandbox() -> list[int]:
    """Processes that this one has started in the sandbox and that are still there."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            parent = int(stat.read_text().rpartition(")")[2].split()[1])
            inside = str(sandbox.CHILD).encode() in stat.with_name("cmdline").read_bytes()
        except OSError:  # ended meanwhile
            continue
        if parent == os.getpid() and inside:
            found.append(int(stat.parent.name))
    return found


@walled
def test_hostile_programs_get_a_verdict_and_reach_nothing():
    ended = dict(zip(HOSTILE, run_many(HOSTILE.values(), SHORT, workers=4), strict=True))
    accepted = [name for name, result in ended.items() if result.status is RunStatus.OK]
    assert accepted == []
    assert {name for name, result in ended.items() if result.status is RunStatus.TIMEOUT} == ENDLESS
    assert children_in_the_sandbox() == []
    assert ended["one big object"].status is RunStatus.MEMORY
    assert ended["flood"].status is RunStatus.OUTPUT
    assert "Operation not permitted" in ended["subprocess"].message
    assert "Permission denied" in ended["passwd"].message
    assert not os.path.exists("/tmp/recast-escaped")


@walled
def test_nothing_is_inherited():
    shown = run("import os; print(sorted(os.environ), os.getpid(), os.listdir('.'))").stdout
    assert shown == "['HOME', 'TMPDIR'] 1 []\n"


def test_without_walls_nothing_runs_unless_asked(monkeypatch):
    monkeypatch.setattr(sandbox, "missing_wall", lambda: "no Landlock")
    with pytest.raises(MissingDependencyError, match=r"no Landlock.*--unsafe-exec"):
        run("print(1)")
    assert run("print(1)", unsafe=True).stdout == "1\n"
    check = CodeCheck().run(Case("x = 1", "", {"tests": "assert x == 1"}))
    assert check.reason == "no_sandbox"


def row(**extra) -> dict:
    return {"messages": [], "demonstration": "def f(x):\n    return x + 1\n", "task": "code", **extra}


@walled
@pytest.mark.parametrize(
    ("completion", "reason"),
    [
        ("Add one.\n```python\ndef f(x):\n    y = x + 1\n    return y\n```", ""),
        ("def f(x):\n    return 1 + x", ""),
        ("```python\ndef f(x):\n    return x\n```", "tests_failed"),
        ("```python\ndef f(x):\n    while True: pass\n```", "code_limit"),
        ("```python\n```", "no_code"),
    ],
)
def test_code_is_judged_by_the_tests_of_its_row(completion, reason):
    gate = load_gate("auto")
    tests = "def check(candidate):\n    assert candidate(1) == 2\n"
    given = row(tests=tests, entry_point="f")
    if reason == "code_limit":
        assert CodeCheck(limits=SHORT).run(Case(completion, "", given)).reason == reason
    else:
        assert gate.verify(given, completion).reason == reason
    assert gate.verify(row(meta=json.dumps({"tests": tests})), completion).reason != "no_tests"


def test_rows_without_tests_are_unverifiable():
    assert load_gate("code").verify(row(), "def f(x):\n    return x + 1").reason == "no_tests"


def test_the_last_fenced_block_is_the_code():
    assert code_of("a\n```python\nx = 1\n```\nb\n```\nx = 2\n```") == "x = 2\n"
    assert code_of("x = 3") == "x = 3"


@walled
def test_humaneval_canonical_solutions_pass_and_constants_fail(shared_data):
    problems = [
        json.loads(line)
        for line in (shared_data / "humaneval" / "HumanEval.jsonl").read_text(encoding="utf-8").splitlines()
    ][::8]

    def program(problem: dict, body: str) -> str:
        return f"{problem['prompt']}{body}\n{problem['test']}\ncheck({problem['entry_point']})"

    right = run_many([program(p, p["canonical_solution"]) for p in problems])
    wrong = run_many([program(p, "    return 1234567\n") for p in problems])
    assert [p["task_id"] for p, r in zip(problems, right, strict=True) if r.status is not RunStatus.OK] == []
    assert [p["task_id"] for p, r in zip(problems, wrong, strict=True) if r.status is RunStatus.OK] == []
