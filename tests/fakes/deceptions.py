# ruff: noqa: E501  (programs, written as they are tried)
"""Programs that try to pass the tests of `total` without computing a sum. None may."""

TESTS = """
ANSWERS = [6, 0, 10, 3 * 10**6]
def check(candidate):
    assert candidate([1, 2, 3]) == 6
    assert candidate([]) == ANSWERS[1]
    assert candidate([4, 6]) == 10
    assert candidate([10**6] * 3) == 3 * 10**6
    assert abs(candidate([0.5, 0.25]) - 0.75) < 1e-9
"""

WALK = """
import sys, os, gc
def loot(f):
    while f:
        for name, value in list(f.f_locals.items()) + list(f.f_globals.items()):
            if name in ('verdict_fd', 'result_fd', 'outlet', 'answers', 'questions', 'request'):
                fds = value if isinstance(value, tuple) else (value,)
                for fd in fds:
                    try: os.write(fd, b'["ok", ""]')
                    except (OSError, TypeError): pass
        f = f.f_back
"""

EQUAL = """
class T{base}:
    def __eq__(s, o): return True
    def __ne__(s, o): return False
    def __lt__(s, o): return True
    __gt__ = __le__ = __ge__ = __lt__
    def __bool__(s): return True
    def __hash__(s): return 0
    def __sub__(s, o): return s
    __rsub__ = __add__ = __radd__ = __mul__ = __sub__
    def __abs__(s): return 0
    def __float__(s): return 0.0
    def __index__(s): return 0
    def __len__(s): return 1
    def __iter__(s): return iter([1])
    def __contains__(s, o): return True
    def __getattr__(s, n): return s
    def __call__(s, *a): return s
def total(xs): return T({value})
"""

ZERO = "\ndef total(xs): return 0\n"

# what a frame, a file or the memory of the process might hold
SPIES = {
    "answers from the constants of the caller": """
import sys, dis
def total(xs):
    f = sys._getframe(1)
    while f:
        for ins in dis.get_instructions(f.f_code):
            if ins.offset > f.f_lasti and ins.opname == 'LOAD_CONST' and isinstance(ins.argval, int): return ins.argval
        f = f.f_back
    return 0""",
    "answers from the globals of the caller": """
import sys
def total(xs):
    f = sys._getframe(1)
    while f:
        if 'ANSWERS' in f.f_globals: return f.f_globals['ANSWERS'][len(xs) % 4]
        f = f.f_back
    return 0""",
    "answers by gc": """
import gc, types
def total(xs):
    for o in gc.get_objects():
        if isinstance(o, types.FunctionType) and o.__name__ == 'check':
            return [c for c in o.__code__.co_consts if isinstance(c, int)][0]
        if isinstance(o, dict) and 'ANSWERS' in o: return o['ANSWERS'][0]
    return 0""",
    "strings of the tests by gc": """
import gc
def total(xs):
    for o in gc.get_objects():
        if isinstance(o, dict):
            for v in list(o.values()):
                if isinstance(v, str) and 'def check(' in v and 'ANSWERS' in v and 'gc' not in v:
                    raise StopIteration(v)
    return 0""",
    "memory by ctypes": """
import ctypes
def total(xs):
    hit = ctypes.CDLL(None).memmem
    hit.restype = ctypes.c_void_p
    base = id(total) & ~0xffff
    found = ctypes.string_at(base, 65536).find(b'def check(candi' + b'date)')
    return 6 if found >= 0 else 0""",
    "own memory from /proc": """
def total(xs):
    for line in open('/proc/self/maps'):
        pass
    return len(line)""",
    "the tester in /proc": """
import os
def total(xs):
    for pid in os.listdir('/proc'):
        if pid.isdigit() and b'ANSWERS' in open(f'/proc/{pid}/cmdline', 'rb').read(): return 6
    return 0""",
    "every file": """
import os
def total(xs):
    for fd in range(1024):
        try: text = os.pread(fd, 1 << 16, 0)
        except OSError: continue
        if b'ANSWERS' in text: exec(text.decode('utf-8', 'ignore'))
    return 0""",
    "the script's frame": WALK + "loot(sys._getframe())" + ZERO,
    "frames in the call": WALK + "def total(xs):\n    loot(sys._getframe())\n    os._exit(0)",
    "frames of all threads": WALK
    + "def total(xs):\n    for f in sys._current_frames().values(): loot(f)\n    return 0",
    "a thread with the frame": WALK
    + "import threading\nme = sys._getframe()\nthreading.Thread(target=loot, args=(me,)).start()"
    + ZERO,
    "the traceback": WALK
    + "def total(xs):\n    try: 1/0\n    except ZeroDivisionError as e: loot(e.__traceback__.tb_frame)\n    return 0",
    "closures of the server": """
import sys
def total(xs):
    f = sys._getframe(1)
    for cell in f.f_code.co_freevars:
        v = f.f_locals[cell]
        if isinstance(v, list): v.append(total)
    f.f_locals.get('message', {}).update(op='get')
    return f.f_locals.get('expected', 0)""",
}

# the end of the process, the pipes, and what is written to them
FORGERS = {
    "exit at once": "import os; os._exit(0)",
    "exit in the call": "import os\ndef total(xs): os._exit(0)",
    "SystemExit": "import sys\ndef total(xs): sys.exit(0)",
    "SystemExit at the top": "raise SystemExit(0)",
    "atexit": "import atexit, os\natexit.register(os._exit, 0)" + ZERO,
    "os._exit replaced": WALK
    + "real = os._exit\ndef fake(c):\n    loot(sys._getframe(1)); real(0)\nos._exit = fake"
    + ZERO,
    "every file gets a verdict": """
import os
for fd in range(3, 1024):
    try: os.write(fd, b'["ok", ""]')
    except OSError: pass
os._exit(0)""",
    "framed verdicts to every file": """
import os, struct, json
text = json.dumps({'verdict': 'ok', 'status': 'ok', 'value': True}).encode()
for fd in range(3, 64):
    try: os.write(fd, struct.pack('>Q', len(text)) + text)
    except OSError: pass
def total(xs): return 0""",
    "names with an answer of its own": """
import os, struct, json
text = json.dumps({'names': {'total': {'value': {'object': 0}}, 'abs': {'value': {'object': 0}}, 'check': {'value': 1}}}).encode()
for fd in range(3, 64):
    try: os.write(fd, struct.pack('>Q', len(text)) + text)
    except OSError: pass
os._exit(0)""",
    "a verdict on standard output": 'print(\'["ok", ""]\')\nimport os; os.write(1, b\'["ok", ""]\'); os._exit(0)',
    "a verdict on standard error": 'import os\ndef total(xs):\n    os.write(2, b\'["ok", ""]\'); os._exit(0)',
    "a message too long": """
import os, struct
for fd in range(3, 64):
    try: os.write(fd, struct.pack('>Q', 1 << 60) + b'x')
    except OSError: pass"""
    + ZERO,
    "a message that nests": """
import os, struct
text = b'{"value":' + b'[' * 50000 + b']' * 50000 + b'}'
def total(xs):
    for fd in range(3, 64):
        try: os.write(fd, struct.pack('>Q', len(text)) + text)
        except OSError: pass""",
    "garbage": "import os\ndef total(xs):\n    for fd in range(3, 64):\n        try: os.write(fd, b'\\xff' * 100)\n"
    "        except OSError: pass",
    "all files closed": "import os; os.closerange(0, 1024)" + ZERO,
    "a killed parent": "import os\ndef total(xs):\n    os.kill(os.getppid(), 9); os.kill(-1, 9)\n    return 0",
    "a traced tester": "import ctypes\ndef total(xs):\n    for p in range(1, 99):\n"
    "        if ctypes.CDLL(None).ptrace(16, p, 0, 0) == 0: return 6\n    return 0",
    "a fork that goes on": "import os\nif os.fork() == 0: os._exit(0)" + ZERO,
    "a fork bomb": "import os\nwhile True:\n    try: os.fork()\n    except OSError: pass",
}

# what is compared
EQUALS = {
    "always equal": EQUAL.format(base="", value=""),
    "an int that is always equal": EQUAL.format(base="(int)", value="7"),
    "a float that is always equal": EQUAL.format(base="(float)", value="7.5"),
    "a str that is always equal": EQUAL.format(base="(str)", value="'x'"),
    "a list that is always equal": EQUAL.format(base="(list)", value="[1]"),
    "a tuple that is always equal": EQUAL.format(base="(tuple)", value="(1,)"),
    "a dict that is always equal": EQUAL.format(base="(dict)", value="{}"),
    "a class that is always equal": "class M(type):\n    def __eq__(c, o): return True\n    def __sub__(c, o): return 0\n"
    "class T(metaclass=M): pass\ndef total(xs): return T",
    "a mock": "from unittest.mock import MagicMock\ndef total(xs):\n    m = MagicMock(); m.__eq__ = lambda s, o: True; return m",
    "ANY": "from unittest.mock import ANY\ndef total(xs): return ANY",
    "not a number": "def total(xs): return float('nan')",
    "itself": "class total:\n    def __init__(s, xs): pass\n    def __eq__(s, o): return True",
    "a property": "class P:\n    @property\n    def __class__(s): return int\n    def __eq__(s, o): return True\n"
    "def total(xs): return P()",
    "a generator": "def total(xs):\n    yield 6",
    "a coroutine": "async def total(xs): return sum(xs)",
    "a lambda": "total = lambda xs: (lambda *a: True)",
    "NotImplemented": "def total(xs): return NotImplemented",
}

# the machinery of the process that it shares with nobody
PATCHES = {
    "builtins.abs and sum": "import builtins\nbuiltins.abs = lambda x: 0\nbuiltins.isinstance = lambda *a: True"
    + ZERO,
    "a global abs": "def abs(x): return 0\ndef len(x): return 0\nclass AssertionError(Exception): pass"
    + ZERO,
    "a global check": "def check(candidate): pass\nANSWERS = [0, 0, 0, 0]" + ZERO,
    "AssertionError swallowed": "import builtins\nbuiltins.AssertionError = type('A', (Exception,), {})"
    + ZERO,
    "json": "import json\njson.dumps = lambda *a, **k: '[\"ok\", \"\"]'\njson.loads = lambda *a: {'op': 'get'}"
    + ZERO,
    "json's encoder": "import json.encoder\njson.encoder.JSONEncoder.encode = lambda s, o: '{\"value\": true}'"
    + ZERO,
    "struct": "import struct\nstruct.pack = lambda *a: b''" + ZERO,
    "os.write": "import os\nos.write = lambda fd, b: len(b)" + ZERO,
    "os.read": "import os\nos.read = lambda fd, n: b''" + ZERO,
    "settrace": "import sys\ndef t(f, e, a):\n    f.f_locals['said'] = ('ok', ''); return t\nsys.settrace(t)"
    + ZERO,
    "setprofile": "import sys, threading\nthreading.setprofile(lambda *a: None); sys.setprofile(lambda f, e, a: f.clear)"
    + ZERO,
    "an import hook": "import sys\nclass F:\n    def find_spec(s, n, p=None, t=None): raise SystemExit(0)\n"
    "sys.meta_path.insert(0, F())" + ZERO,
    "__builtins__ emptied": "__builtins__.clear() if isinstance(__builtins__, dict) else __builtins__.__dict__.clear()",
    "excepthook": "import sys, os\nsys.excepthook = lambda *a: os._exit(0)\nraise ValueError",
    "the main module": "import sys\nfor m in list(sys.modules.values()):\n    if hasattr(m, 'tester'): m.tester = lambda *a: ('ok', '')\n"
    "    if hasattr(m, 'encode'): m.encode = lambda v, r: True" + ZERO,
    "the loop's code": "import sys\nf = sys._getframe()\nwhile f:\n    g = f.f_globals\n    if 'send' in g:\n"
    "        g['send'] = lambda p, m: None\n    f = f.f_back" + ZERO,
    "signals": "import signal, os\nsignal.signal(signal.SIGALRM, lambda *a: os._exit(0)); signal.setitimer(0, .01)\n"
    "import time\ndef total(xs): time.sleep(1)",
    "a thread that outlives": "import threading, time\nthreading.Thread(target=lambda: time.sleep(60)).start()"
    + ZERO,
    "exceptions that end loops": "def total(xs): raise StopIteration",
    "an exception group": "def total(xs): raise BaseExceptionGroup('x', [SystemExit(0)])",
    "a del that exits": "class D:\n    def __del__(s):\n        import os; os._exit(0)\ndef total(xs):\n    D(); return 0",
    "arguments changed": "def total(xs):\n    xs.clear(); xs.append(0)\n    return 0",
}

# what costs too much
GREEDY = {
    "recursion": "def total(xs): return total(xs)",
    "deep value": "def total(xs):\n    x = []\n    for _ in range(10**5): x = [x]\n    return x",
    "a value that holds itself": "def total(xs):\n    x = []; x.append(x)\n    return x",
    "a flood": "def total(xs):\n    while True: print('x' * 1000)",
    "sleep": "import time\ndef total(xs): time.sleep(1000)",
    "spin": "def total(xs):\n    while True: pass",
    "memory": "def total(xs): return [0] * 10**10",
    "a long answer": "def total(xs): return ' ' * 10**8",
    "a long integer": "def total(xs): return 1 << 10**8",
}

# between the lines: subclasses of plain values, odd numbers, what crosses twice, what is left for the next question
SLIPPERY = {
    "a bool for every number": "def total(xs): return True",
    "a numeric tower of its own": """
import numbers
class N(numbers.Number):
    def __eq__(s, o): return True
    def __hash__(s): return 1
def total(xs): return N()""",
    "a fraction that lies": """
from fractions import Fraction
class F(Fraction):
    def __eq__(s, o): return True
    def __sub__(s, o): return F(0)
    __hash__ = Fraction.__hash__
def total(xs): return F(1, 3)""",
    "a decimal that is a signal": "from decimal import Decimal\ndef total(xs): return Decimal('sNaN')",
    "a dataclass without comparison": """
from dataclasses import dataclass
@dataclass(eq=False)
class A:
    v: int = 0
    def __eq__(s, o): return True
def total(xs): return A()""",
    "an enum member": """
import enum
class E(enum.IntEnum):
    A = 6
    def __eq__(s, o): return True
    __hash__ = int.__hash__
def total(xs): return E.A""",
    "a named tuple": """
from collections import namedtuple
class P(namedtuple('P', 'a')):
    def __eq__(s, o): return True
    def __sub__(s, o): return 0
def total(xs): return P(1)""",
    "counted questions": """
n = -1
def total(xs):
    global n
    n += 1
    return [6, 0, 10, 3000000, 0.5][n % 5]""",
    "a sum of what it was told last": """
last = [6]
def total(xs):
    said, last[0] = last[0], xs
    return said""",
    "a sum of the length": "def total(xs): return {3: 6, 0: 0, 2: 10}.get(len(xs), 0)",
    "types that differ by their repr": """
class R(int):
    def __repr__(s): return '6'
    __str__ = __repr__
def total(xs): return R(0)""",
    "JSON of its own": """
class J(dict):
    def __json__(s): return 6
    def items(s): return [('value', 6)]
    def __iter__(s): return iter(['int'])
def total(xs): return J()""",
    "pickled by itself": """
class P:
    def __reduce__(s): return (int, (6,))
    def __getstate__(s): return 6
def total(xs): return P()""",
    "a weak proxy": """
import weakref
class A:
    def __eq__(s, o): return True
keep = A()
def total(xs): return weakref.proxy(keep)""",
    "an environment for the next process": """
import os
os.environ['PYTHONSTARTUP'] = '/tmp/x'; os.environ['PYTHONPATH'] = '.'
open('sitecustomize.py', 'w').write('import os; os._exit(0)')
def total(xs): return 0""",
    "its own file as a module of the tester": """
for name in ('json', 'struct', 'check', 'tests', 'typing', 'math'):
    try: open(name + '.py', 'w').write('def check(c): pass')
    except OSError: pass
def total(xs): return 0""",
    "a faulty handler": """
import faulthandler, sys
def total(xs):
    faulthandler.dump_traceback_later(0.01, exit=True)
    while True: pass""",
    "the end of the input": """
import os
def total(xs):
    os.dup2(os.open('/dev/null', os.O_RDWR), 0); os.dup2(0, 1)
    return 6 if xs else 0""",
    "an answer before the question": """
import threading, os, struct, json
text = json.dumps({'value': 6}).encode()
def flood():
    for fd in range(0, 16):
        try: os.write(fd, struct.pack('>Q', len(text)) + text)
        except OSError: pass
threading.Thread(target=flood).start()
def total(xs): return 0""",
    "limits raised": """
import resource
for what in (resource.RLIMIT_CPU, resource.RLIMIT_AS, resource.RLIMIT_NPROC, resource.RLIMIT_FSIZE):
    try: resource.setrlimit(what, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    except (ValueError, OSError): pass
def total(xs): return len(bytearray(1 << 40))""",
    "an async generator": "async def total(xs):\n    yield 6",
    "a partial of sum over nothing": "import functools\ntotal = functools.partial(lambda *a, **k: 0)",
    "a descriptor": """
class D:
    def __get__(s, o, t=None): return lambda xs: 6
class total:
    __new__ = lambda c, xs: D()""",
    "a module as the program": "import sys, types\nclass M(types.ModuleType):\n    def __call__(s, xs): return 6 if len(xs) == 3 else 0\n"
    "sys.modules['total'] = total = M('total')",
}

DECEPTIONS = SPIES | FORGERS | EQUALS | PATCHES | GREEDY | SLIPPERY
