# ruff: noqa: E501  (programs, written as they are tried)
"""The sandbox: honest programs run, hostile ones get a verdict and reach nothing."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from recast.curate.errors import MissingDependencyError
from recast.curate.gate import sandbox
from recast.curate.gate.checks.case import Case
from recast.curate.gate.checks.code import CodeCheck, code_of
from recast.curate.gate.gate import load_gate
from recast.curate.gate.sandbox import Limits, RunStatus, run, run_many
from tests.fakes import deceptions

ROOT = Path(__file__).parents[3]

walled = pytest.mark.skipif(
    sandbox.missing_wall() is not None, reason=f"cannot run untrusted code here: {sandbox.missing_wall()}"
)
SHORT = Limits(cpu_s=1, wall_s=6, memory_mb=256, file_mb=4, output_kb=16)


@walled
def test_an_honest_program_runs_with_the_standard_library():
    ended = run("import math, re, collections, heapq, json, decimal\nprint(math.comb(5, 2))")
    assert (ended.status, ended.stdout) == (RunStatus.OK, "10\n")
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
        ("import os; os._exit(0)", "ended its process"),
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
    assert "No such file" in ended["passwd"].message  # it is not there: nothing tells what is
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


def judged(code: str, tests: str, limits: Limits = SHORT, **row: object) -> Any:
    return CodeCheck(limits=limits).run(Case(code, "", {"tests": tests, **row}))


WAITING = {"sleep", "the loop's code", "os.write"}  # nobody answers: these end by the clock


@walled
@pytest.mark.parametrize("name", deceptions.DECEPTIONS)
def test_no_program_deceives_the_tests(name):
    waits = name in WAITING
    limits = SHORT.model_copy(update={"wall_s": 2.0}) if waits else SHORT
    check = judged(deceptions.DECEPTIONS[name], deceptions.TESTS, limits, entry_point="total")
    assert check.reason in (("code_limit",) if waits else ("tests_failed", "code_limit", "not_plain")), check


@walled
def test_the_deceptions_of_before_fail_and_a_sum_passes(shared_data):
    tries = json.loads((shared_data / "trials" / "code_deceptions.json").read_text())
    ended = {
        name: judged(code, deceptions.TESTS, entry_point="total").status.value for name, code in tries.items()
    }
    assert [name for name, status in ended.items() if status == "pass"] == []
    assert judged("def total(xs): return sum(xs)", deceptions.TESTS, entry_point="total").reason == ""
    assert len(deceptions.DECEPTIONS) >= 100


CROSSING = {
    "plain values of every kind": (
        "def f(x): return x",
        "for v in [None, True, 1, -1, 2**80, 0.5, float('inf'), 'é\\ud800', [1, [2]], (1, (2,)), {'a': (1,)}, {1: 2}, {1, 2}, "
        "frozenset([1]), b'\\x00', 1j, {(1, 2): [3]}]:\n    r = f(v)\n    assert r == v and type(r) is type(v), (r, v)",
    ),
    "minus zero": ("def f(): return -0.0", "assert str(f()) == '-0.0'"),
    "a subclass crosses as its base": (
        "from collections import Counter, defaultdict, namedtuple\nP = namedtuple('P', 'x y')\ndef f(x): return Counter(x), P(1, 2)",
        "assert f('aab') == ({'a': 2, 'b': 1}, (1, 2))",
    ),
    "builtin exceptions": (
        "def f(x):\n    if x: raise KeyError(x)\n    raise ValueError('no')",
        "for x, kind, args in ((1, KeyError, (1,)), (0, ValueError, ('no',))):\n"
        "    try: f(x)\n    except kind as e: assert e.args == args\n    else: assert False",
    ),
    "exceptions of the code": (
        "class Low(ValueError): pass\ndef f(): raise Low('x')",
        "try: f()\nexcept Low as e: assert isinstance(e, ValueError)\nelse: assert False",
    ),
    "arguments changed in place": (
        "def f(x, d):\n    x.sort(); d['n'] = 1",
        "a, d = [3, 1, 2], {}\nf(a, d)\nassert a == [1, 2, 3] and d == {'n': 1}",
    ),
    "classes and their objects": (
        "class Stack:\n    def __init__(self): self.items = []\n    def push(self, x): self.items.append(x); return self\n"
        "    def __len__(self): return len(self.items)\n    def __getitem__(self, i): return self.items[i]\n"
        "    def __str__(self): return 'stack'",
        "s = Stack()\ns.push(1).push(2)\nassert len(s) == 2 and s[1] == 2 and s.items == [1, 2] and list(s) == [1, 2] and str(s) == 'stack'",
    ),
    "objects handed back": (
        "class N:\n    def __init__(self, v, n=None): self.v, self.n = v, n\ndef total(n): return n.v + total(n.n) if n else 0",
        "assert total(N(1, N(2, N(3)))) == 6",
    ),
    "generators": ("def f(n):\n    for i in range(n): yield i * i", "assert list(f(4)) == [0, 1, 4, 9]"),
    "constants and keyword arguments": (
        "X = {'a': 1}\ndef f(a, *, b=2): return a + b",
        "assert X == {'a': 1} and f(1, b=5) == 6",
    ),
    "modules that the code imports": (
        "import math\ndef f(x): return x / 3",
        "assert math.fabs(f(1) - 1 / 3) < 1e-9",
    ),
    "what a call prints": (
        "def f(): print('said')",
        "import io, contextlib\nwith contextlib.redirect_stdout(io.StringIO()) as out: f()\nassert out.getvalue() == 'said\\n'",
    ),
    "what a call reads": (
        "def f(): return int(input()) + int(input())",
        "import io, sys\nsys.stdin = io.StringIO('1\\n2\\n')\nassert f() == 3",
    ),
    "dataclasses": (
        "from dataclasses import dataclass\n@dataclass\nclass P:\n    x: 'int' = 1",
        "assert P(3).x == 3",
    ),
    "threads": (
        "from concurrent.futures import ThreadPoolExecutor\ndef f():\n    with ThreadPoolExecutor(2) as p: return list(p.map(abs, [-1, -2]))",
        "assert f() == [1, 2]",
    ),
}


@walled
@pytest.mark.parametrize("name", CROSSING)
def test_what_honest_tests_need_crosses(name):
    code, tests = CROSSING[name]
    assert judged(code, tests, Limits()).message == ""


@walled
@pytest.mark.parametrize(
    ("code", "tests", "words"),
    [
        ("class P: pass\ndef f(): return P()", "assert f() == f()", "__eq__"),
        ("class P: pass\ndef f(): return P()", "assert f()", "__bool__"),
        ("def f(g): return g(1)", "assert f(lambda x: x) == 1", "type function"),
        ("class P: pass\ndef f(): return P()", "try:\n    assert 5 in f()\nexcept BaseException: pass", "__contains__"),
    ],
)  # fmt: skip
def test_what_cannot_cross_is_undecided_and_says_what(code, tests, words):
    check = judged(code, tests)
    assert (check.status.value, check.reason) == ("undecided", "not_plain")
    assert words in check.message


@walled
@pytest.mark.parametrize(
    ("code", "tests"),
    [
        (
            "def f(x): return 0\nclass math:\n    fabs = staticmethod(lambda x: 0)",
            "assert math.fabs(f(1) - 1) < 1e-9",
        ),
        ("def f(x): return 0\ndef poly(x): return 0", "assert poly(f(2)) == 0"),
        (
            "def f(x): raise StopIteration",
            "assert all(map(lambda x: f(x) == x, [1, 2]))\nassert [f(1)] == [1]",
        ),
        ("def f(x): raise SystemExit(0)", "try:\n    f(1)\nexcept BaseException: pass"),
        ("import os\ndef f(x): os._exit(0)", "try:\n    f(1)\nexcept BaseException: pass"),
    ],
)
def test_names_and_ends_that_would_help_a_wrong_program_do_not(code, tests):
    prompt = "def poly(x):\n    return x - 2\n"
    assert judged(code, tests, entry_point="f", code_prompt=prompt).reason == "tests_failed"


@walled
@pytest.mark.parametrize(
    ("code", "tests", "prompt", "reason"),
    [
        ("def f(x: missing): return x", "assert f(1) == 1", "", "tests_failed"),
        ("def f(x: int): return f.__annotations__['x'](x)", "assert f(1) == 1", "", ""),
        ("def f(x): return x", "def g(x: missing): pass", "", "tests_failed"),
        ("def f(x): return x", "def g(x: int): pass\nassert g.__annotations__ == {'x': int}", "", ""),
        ("def f(x): return x", "assert g.__annotations__ == {'x': int}", "def g(x: int): pass\n", ""),
        ("def f(x): return x", "assert not hasattr(f, '__annotations__')", "", ""),
    ],
)
def test_annotations_are_as_the_row_has_them_not_as_the_sandbox_has_its_own(code, tests, prompt, reason):
    assert judged(code, tests, entry_point="f", code_prompt=prompt).reason == reason


@pytest.fixture
def victims(tmp_path: Path) -> Path:
    """A folder of a file, a link and a folder that a program outside could change, watch or ask about."""
    (tmp_path / "key").write_text("secret")
    (tmp_path / "folder").mkdir()
    (tmp_path / "link").symlink_to("key")
    os.chmod(tmp_path / "key", 0o640)
    os.utime(tmp_path / "key", (1, 1))
    return tmp_path


def state_of(folder: Path) -> list[tuple[object, ...]]:
    told = [(path.name, path.lstat()) for path in [folder, *sorted(folder.rglob("*"))]]
    return [
        *((n, s.st_mode, s.st_uid, s.st_size, s.st_mtime_ns, s.st_ctime_ns, s.st_nlink) for n, s in told),
        *((str(path), os.listxattr(path, follow_symlinks=False)) for path in sorted(folder.rglob("*"))),
    ]


TOUCH = [
    "os.chmod(P, 0o4777)", "os.chmod(D, 0)", "os.lchown(P, 0, 0)", "os.utime(P, (9, 9))", "os.utime(D)",
    "os.setxattr(P, 'user.x', b'1')", "os.removexattr(P, 'user.x')", "os.listxattr(P)", "os.truncate(P, 0)",
    "os.remove(P)", "os.rename(P, P + '2')", "os.rename(P, 'mine')", "os.link(P, 'mine')", "os.rmdir(D + '/folder')",
    "os.mkdir(D + '/new')", "os.mkfifo(D + '/pipe')", "os.mknod(D + '/node')", "open(P).read()", "open(P, 'w')",
    "open(P, 'a').write('x')", "os.open(D, os.O_TMPFILE | os.O_WRONLY)", "os.stat(P)", "os.lstat(D + '/link')",
    "os.access(P, os.F_OK) or 1/0", "os.path.exists(D) or 1/0", "os.listdir(D)", "os.listdir(os.path.dirname(D))",
    "os.readlink(D + '/link')", "os.chdir(D)", "os.statvfs(D)", "os.statvfs('/')", "os.chroot('.')", "os.sync() or 1/0",
    "libc(254, P.encode(), 0xfff)", "libc(294, 0) >= 0 or 1/0", "libc(253) >= 0 or 1/0", "libc(300, 0, 0) >= 0 or 1/0",
    "fcntl.fcntl(os.open('/usr/lib', 0), fcntl.F_NOTIFY, 2)", "os.chmod('/dev/null', 0)", "os.utime('/dev/null')",
    "os.chmod(os.__file__, 0)", "open(os.__file__, 'a')", "os.utime(os.__file__)", "open('/new', 'w')", "os.mkdir('/new')",
    "os.symlink(P, 'p') or open('p').read()", "open('/proc/self/root' + P).read()", "open('/sandbox/../..' + P).read()",
    "os.setpriority(os.PRIO_USER, 0, 19)", "os.sched_setaffinity(0, {0})", "socket.socket(socket.AF_UNIX)",
    "os.memfd_create('x')", "os.pidfd_open(1)", "os.setuid(0)", "os.setgroups([])",
    "libc(165, b'none', b'/sandbox', b'tmpfs', 0, 0) == 0 or 1/0", "libc(272, 0x10000000) == 0 or 1/0",
    "libc(155, b'.', b'.') == 0 or 1/0", "libc(304, 0, P.encode(), 0) >= 0 or 1/0", "libc(59, b'/bin/sh', 0, 0) or 1/0",
]  # fmt: skip


def touching(victims: Path) -> str:
    """A program that tries all of TOUCH and prints what did not raise."""
    return (
        f"import os, fcntl, socket, ctypes\nD = {str(victims)!r}\nP = D + '/key'\ndef libc(*a):\n"
        "    r = ctypes.CDLL(None, use_errno=True).syscall(*a)\n    if r < 0: raise OSError(ctypes.get_errno(), 'x')\n"
        f"    return r\nfor it in {TOUCH!r}:\n    try: exec(it)\n    except (OSError, ZeroDivisionError): continue\n"
        "    print('did', it)"
    )


@walled
def test_nothing_outside_is_changed_or_told(victims):
    before = state_of(victims)
    ended = run(touching(victims))
    assert (ended.status, ended.stdout) == (RunStatus.OK, "")
    assert state_of(victims) == before


@walled
def test_a_path_that_exists_looks_like_one_that_does_not(victims):
    program = (
        "import os\nfor f in (os.stat, os.listdir, open, os.chmod, os.chdir, os.remove):\n"
        "    try: f(*[{0!r}] + [0] * (f is os.chmod))\n    except OSError as e: print(f.__name__, e.errno)"
    )
    there, gone = (run(program.format(str(victims / name))).stdout for name in ("key", "nothing"))
    assert there == gone and len(there.splitlines()) == 6


@walled
def test_only_the_runtime_can_be_seen():
    seen = run(
        "import os, sys\nsite = [d for d, _, files in os.walk('/') if d.endswith('-packages') and files]\n"
        "print(sorted(os.listdir('/dev')), os.listdir('/etc'), site, os.path.exists('/proc'), os.uname().nodename)"
    ).stdout
    assert seen == "['null', 'random', 'urandom', 'zero'] ['ld.so.cache'] [] False sandbox\n"


def other_interpreter() -> str | None:
    """A Python of this version that any user may start, or None."""
    for name in (sys.executable, f"/usr/bin/python{sys.version_info.major}.{sys.version_info.minor}"):
        path = Path(os.path.realpath(name))
        if path.exists() and all(parent.stat().st_mode & 0o005 == 0o005 for parent in path.parents):
            return name
    return None


@walled
@pytest.mark.skipif(os.getuid() != 0, reason="all tests of this file run as a user who is not root already")
@pytest.mark.skipif(other_interpreter() is None, reason="no Python here that another user may start")
def test_the_walls_hold_for_a_user_who_is_not_root(victims, tmp_path):
    os.chmod(tmp_path, 0o777)
    for folder in tmp_path.parents:
        if folder.stat().st_mode & 0o077 == 0 and folder.name.startswith("pytest-"):
            os.chmod(folder, 0o755)
    for path in (victims / "key", victims / "folder"):
        os.chown(path, 65534, 65534)
    before = state_of(victims)
    python = other_interpreter()
    assert python is not None
    script = (
        "import json, os, sys\nsys.path[:0] = json.loads(sys.argv[1])\nos.setgroups([]); os.setgid(65534); os.setuid(65534)\n"
        "from recast.curate.gate.sandbox import judge, missing_wall, run\n"
        "ended = run(sys.argv[2])\nright, wrong = (judge(f'def f(x): return x + {n}', 'assert f(1) == 2') for n in (1, 2))\n"
        "print(json.dumps([os.getuid(), missing_wall(), ended.status, ended.stdout, right.status, wrong.status]))"
    )
    paths = [str(ROOT), *(path for path in sys.path if path.endswith("-packages"))]
    said = subprocess.run(
        [python, "-c", script, json.dumps(paths), touching(victims)],
        capture_output=True, text=True, cwd="/", env={"TMPDIR": str(tmp_path)}, check=False,
    )  # fmt: skip
    assert said.returncode == 0, said.stderr
    assert json.loads(said.stdout) == [65534, None, "ok", "", "ok", "failed"]
    assert [entry for entry in state_of(victims) if entry[0] != tmp_path.name] == [
        entry for entry in before if entry[0] != tmp_path.name
    ]  # the folder's own times: the temporary folders of the runs lie in it


@walled
def test_humaneval_canonical_solutions_pass_and_constants_fail(shared_data):
    problems = [
        json.loads(line)
        for line in (shared_data / "humaneval" / "HumanEval.jsonl").read_text(encoding="utf-8").splitlines()
    ][::8]

    def passes(problem: dict, body: str) -> bool:
        row = {
            name: problem[key] for name, key in (("entry_point", "entry_point"), ("code_prompt", "prompt"))
        }
        return judged(f"```python\n{body}\n```", problem["test"], Limits(), **row).status.value == "pass"

    assert [p["task_id"] for p in problems if not passes(p, p["canonical_solution"])] == []
    assert [p["task_id"] for p in problems if passes(p, "    return 1234567\n")] == []


@walled
def test_a_function_is_called_with_plain_values_and_each_result_is_its_own():
    program = """
import os
def f(what, *more):
    if what == "raise": raise KeyError(what)
    if what == "die": os._exit(0)
    if what == "object": return object()
    if what == "long": return "x" * 100_000
    return [what, *more]
"""
    run, results = sandbox.call(
        program, "f", [(1, {"a": (2.5,)}), ("raise",), ("object",), ("long",), (None,)]
    )
    assert run.status is RunStatus.OK
    assert [r.value for r in results] == [[1, {"a": (2.5,)}], None, None, None, [None]]
    assert [r.raised for r in results] == [
        "", "KeyError: 'raise'", "it returned an object that is no plain value",
        "it returned a value of 100013 bytes", "",
    ]  # fmt: skip
    run, results = sandbox.call(program, "f", [(1,), ("die",), (2,)])
    assert (run.status, [r.value for r in results]) == (RunStatus.FAILED, [[1]])


@walled
def test_calls_over_a_limit_leave_what_came_before():
    program = "def f(n):\n    while n > 1: pass\n    return n"
    run, results = sandbox.call(program, "f", [(0,), (1,), (2,), (0,)], limits=Limits(cpu_s=1, wall_s=10))
    assert (run.status, [r.value for r in results]) == (RunStatus.TIMEOUT, [0, 1])


@walled
@pytest.mark.parametrize(
    ("program", "reason"),
    [
        ("f = 3", "defines no function f"),
        ("raise ValueError('no')", "ValueError: no"),
        ("def f(:", "SyntaxError"),
    ],
)
def test_a_program_without_the_function_gives_no_results(program, reason):
    run, results = sandbox.call(program, "f", [(1,)])
    assert (run.status, results) == (RunStatus.FAILED, [])
    assert reason in run.message


@walled
def test_hashes_and_sets_are_the_same_in_every_run():
    program = "def f():\n    return [hash('a'), list({'a', 'b', 'c', 'd'})]"
    assert sandbox.call(program, "f", [()])[1] == sandbox.call(program, "f", [()])[1]


@walled
def test_packages_are_seen_only_where_they_are_asked_for():
    program = "def f():\n    import numpy\n    return float(numpy.sum([1, 2]))"
    assert sandbox.call(program, "f", [()])[1][0].raised == "ModuleNotFoundError: No module named 'numpy'"
    assert sandbox.call(program, "f", [()], packages=True)[1][0].value == 3.0
