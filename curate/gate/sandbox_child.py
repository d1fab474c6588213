"""The inside of the sandbox: a script that walls itself in and judges one untrusted program by tests it never sees.

Started by `curate.gate.sandbox` with `python -I -S -B`, never imported. Four processes: this one waits outside the new
process space; its child is number 1 of it and forks the other two, so that nothing outlives it. The `tester` runs the
tests and alone says how they ended. The `candidate` runs the program in a process space of its own below that one: it
was forked before the tests were read, sees no other process, and holds nothing but its end of two pipes. What the
tests take from the program are proxies: arguments and results cross the pipes as plain values (JSON with types), so
that equality, truth and order are the tests' own; a value that is not plain stays with the candidate as an object that
can be called, indexed and asked for attributes, and whatever would ask it about equality or truth is undecided.

The walls of both, in order: user, mount, network, IPC and host name namespaces; a root of read-only binds of the Python
runtime (so nothing of the machine can be read, changed, watched or even named) with a small tmpfs as the only place to
write; no capabilities; resource limits; a seccomp filter that allows what Python needs and refuses all else.
"""

import builtins
import ctypes
import io
import json
import os
import resource
import signal
import struct
import sys
import time
import types

LIBC = ctypes.CDLL(None, use_errno=True)
SETUP_FAILED, GONE = 97, 96
WORK = "/sandbox"
MAX_MESSAGE = 64 << 20
"""Bytes of one message that the tester reads."""

CLONE_NEWNS, CLONE_NEWUTS, CLONE_NEWIPC = 0x20000, 0x4000000, 0x8000000
CLONE_NEWUSER, CLONE_NEWPID, CLONE_NEWNET = 0x10000000, 0x20000000, 0x40000000
CLONE_THREAD = 0x10000
MS_NOSUID, MS_NODEV, MS_BIND, MS_REC, MS_PRIVATE = 2, 4, 0x1000, 0x4000, 0x40000
MNT_DETACH = 2
MOUNT_SETATTR, AT_FDCWD, AT_RECURSIVE = 442, -100, 0x8000
ATTR_RDONLY, ATTR_NOSUID, ATTR_NODEV = 1, 2, 4
PR_SET_PDEATHSIG, PR_SET_SECCOMP, PR_SET_NO_NEW_PRIVS = 1, 22, 38
CAPABILITIES = 0x20080522

# numbers of the system calls that are allowed, by machine; `ioctl`, `fcntl` and `clone` only with the arguments below
ALLOWED = {
    "x86_64": {
        "read": 0, "write": 1, "readv": 19, "writev": 20, "pread64": 17, "pwrite64": 18, "close": 3,
        "close_range": 436, "fstat": 5, "newfstatat": 262, "stat": 4, "lstat": 6, "statx": 332, "access": 21,
        "faccessat": 269, "faccessat2": 439, "lseek": 8, "mmap": 9, "munmap": 11, "mprotect": 10, "mremap": 25,
        "madvise": 28, "brk": 12, "rt_sigaction": 13, "rt_sigprocmask": 14, "rt_sigreturn": 15, "sigaltstack": 131,
        "getdents64": 217, "getcwd": 79, "chdir": 80, "fchdir": 81, "open": 2, "openat": 257, "creat": 85,
        "mkdir": 83, "mkdirat": 258, "rmdir": 84, "unlink": 87, "unlinkat": 263, "rename": 82, "renameat": 264,
        "renameat2": 316, "link": 86, "linkat": 265, "symlink": 88, "symlinkat": 266, "readlink": 89,
        "readlinkat": 267, "truncate": 76, "ftruncate": 77, "fsync": 74, "fdatasync": 75, "flock": 73, "dup": 32,
        "dup2": 33, "dup3": 292, "pipe": 22, "pipe2": 293, "poll": 7, "ppoll": 271, "select": 23, "pselect6": 270,
        "epoll_create1": 291, "epoll_ctl": 233, "epoll_wait": 232, "epoll_pwait": 281, "eventfd2": 290, "futex": 202,
        "set_robust_list": 273, "rseq": 334, "exit": 60, "exit_group": 231, "getpid": 39, "gettid": 186,
        "getppid": 110, "getuid": 102, "geteuid": 107, "getgid": 104, "getegid": 108, "getrandom": 318,
        "clock_gettime": 228, "clock_getres": 229, "clock_nanosleep": 230, "nanosleep": 35, "gettimeofday": 96,
        "time": 201, "times": 100, "getrusage": 98, "getrlimit": 97, "prlimit64": 302, "sched_yield": 24,
        "sched_getaffinity": 204, "sysinfo": 99, "uname": 63, "umask": 95, "setitimer": 38, "getitimer": 36,
        "alarm": 37, "tgkill": 234, "membarrier": 324, "rt_sigtimedwait": 128, "rt_sigpending": 127,
        "rt_sigsuspend": 130, "pause": 34, "restart_syscall": 219, "getpgrp": 111, "getpgid": 121, "getsid": 124,
        "wait4": 61, "sendfile": 40, "copy_file_range": 326, "fadvise64": 221, "fallocate": 285, "fcntl": 72,
        "getgroups": 115, "getresuid": 118, "getresgid": 120, "clone": 56,
        "clone3": 435, "ioctl": 16,
    },
    "aarch64": {
        "read": 63, "write": 64, "readv": 65, "writev": 66, "pread64": 67, "pwrite64": 68, "close": 57,
        "close_range": 436, "fstat": 80, "newfstatat": 79, "statx": 291, "faccessat": 48, "faccessat2": 439,
        "lseek": 62, "mmap": 222, "munmap": 215, "mprotect": 226, "mremap": 216, "madvise": 233, "brk": 214,
        "rt_sigaction": 134, "rt_sigprocmask": 135, "rt_sigreturn": 139, "sigaltstack": 132, "getdents64": 61,
        "getcwd": 17, "chdir": 49, "fchdir": 50, "openat": 56, "mkdirat": 34, "unlinkat": 35, "renameat": 38,
        "renameat2": 276, "linkat": 37, "symlinkat": 36, "readlinkat": 78, "truncate": 45, "ftruncate": 46,
        "fsync": 82, "fdatasync": 83, "flock": 32, "dup": 23, "dup3": 24, "pipe2": 59, "ppoll": 73, "pselect6": 72,
        "epoll_create1": 20, "epoll_ctl": 21, "epoll_pwait": 22, "eventfd2": 19, "futex": 98, "set_robust_list": 99,
        "rseq": 293, "exit": 93, "exit_group": 94, "getpid": 172, "gettid": 178, "getppid": 173, "getuid": 174,
        "geteuid": 175, "getgid": 176, "getegid": 177, "getrandom": 278, "clock_gettime": 113, "clock_getres": 114,
        "clock_nanosleep": 115, "nanosleep": 101, "gettimeofday": 169, "times": 153, "getrusage": 165,
        "getrlimit": 163, "prlimit64": 261, "sched_yield": 124, "sched_getaffinity": 123, "sysinfo": 179,
        "uname": 160, "umask": 166, "setitimer": 103, "getitimer": 102, "tgkill": 131, "membarrier": 283,
        "rt_sigtimedwait": 137, "rt_sigpending": 136, "rt_sigsuspend": 133, "restart_syscall": 128, "getpgid": 155,
        "getsid": 156, "wait4": 260, "sendfile": 71, "copy_file_range": 285, "fadvise64": 223, "fallocate": 47,
        "fcntl": 25, "getgroups": 158, "getresuid": 148, "getresgid": 150, 
        "clone": 220, "clone3": 435, "ioctl": 29,
    },
}  # fmt: skip
ARCHITECTURE = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
IOCTLS = (
    0x5401,
    0x5413,
    0x541B,
    0x5421,
    0x5450,
    0x5451,
)  # terminal or not, its size, bytes to read, file flags
FCNTLS = (
    0,
    1,
    2,
    3,
    4,
    5,
    6,
    7,
    1030,
)  # duplicates, flags and locks; not leases or notices of what others do


def call(name, *arguments):
    if getattr(LIBC, name)(*arguments) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{name}: {os.strerror(number)}")


def namespaces():
    uid, gid = os.getuid(), os.getgid()
    call("unshare", CLONE_NEWUSER | CLONE_NEWNET | CLONE_NEWPID | CLONE_NEWNS | CLONE_NEWIPC | CLONE_NEWUTS)
    for path, text in (("setgroups", "deny"), ("uid_map", f"0 {uid} 1"), ("gid_map", f"0 {gid} 1")):
        with open(f"/proc/self/{path}", "w") as file:
            file.write(text)
    call("sethostname", b"sandbox", 7)


def new_root(root, visible, hidden, tmpfs_bytes):
    """Make `root` the root: a tmpfs with read-only binds of `visible`, empty where `hidden`, and WORK to write in."""
    call("mount", b"none", b"/", None, MS_REC | MS_PRIVATE, None)
    call("mount", b"tmpfs", root.encode(), b"tmpfs", MS_NOSUID | MS_NODEV, b"size=1m,nr_inodes=1000,mode=755")
    for link in ("/lib", "/lib64"):
        if os.path.islink(link):
            os.symlink(os.readlink(link), root + link)
    for path in visible:
        bind(path, root + path)
    for path in hidden:
        call("mount", b"tmpfs", (root + path).encode(), b"tmpfs", MS_NOSUID | MS_NODEV, b"size=4k,mode=555")
    os.mkdir(root + WORK)
    os.chdir(root)
    call("pivot_root", b".", b".")
    call("umount2", b".", MNT_DETACH)  # the old root, which now lies upon the new one
    workplace(tmpfs_bytes)
    change_mount("/", ATTR_RDONLY, 0)


def bind(path, place):
    if os.path.isdir(path):
        os.makedirs(place, exist_ok=True)
    else:
        os.makedirs(os.path.dirname(place), exist_ok=True)
        os.close(os.open(place, os.O_CREAT | os.O_WRONLY))
    call("mount", path.encode(), place.encode(), None, MS_BIND | MS_REC, None)
    device = path.startswith("/dev/")
    change_mount(place, ATTR_RDONLY | ATTR_NOSUID | (0 if device else ATTR_NODEV), AT_RECURSIVE)


def change_mount(path, attributes, flags):
    packed = struct.pack("4Q", attributes, 0, 0, 0)
    if LIBC.syscall(MOUNT_SETATTR, AT_FDCWD, path.encode(), flags, packed, len(packed)) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"mount_setattr {path}: {os.strerror(number)}")


def workplace(tmpfs_bytes):
    options = f"size={tmpfs_bytes},nr_inodes=1000,mode=700".encode()
    call("mount", b"tmpfs", WORK.encode(), b"tmpfs", MS_NOSUID | MS_NODEV, options)
    os.chdir(WORK)


def limits(cpu_s, memory_bytes, file_bytes):
    for name, value in (
        (resource.RLIMIT_CPU, cpu_s),
        (resource.RLIMIT_AS, memory_bytes),
        (resource.RLIMIT_FSIZE, file_bytes),
        (resource.RLIMIT_NOFILE, 64),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_STACK, 64 << 20),
    ):
        resource.setrlimit(name, (value, value))


def drop_capabilities():
    call("prctl", PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    call("capset", struct.pack("Ii", CAPABILITIES, 0), struct.pack("6I", *[0] * 6))


def seccomp():
    machine = os.uname().machine
    if machine not in ALLOWED:
        raise OSError(f"no system call table for {machine}")
    load, jump_equal, jump_set, jump_ge, give = 0x20, 0x15, 0x45, 0x35, 0x06
    allow, kill, refuse, absent = 0x7FFF0000, 0x80000000, 0x00050000 | 1, 0x00050000 | 38
    numbers = dict(ALLOWED[machine])
    program = [
        (load, 0, 0, 4),
        (jump_equal, 1, 0, ARCHITECTURE[machine]),
        (give, 0, 0, kill),
        (load, 0, 0, 0),
    ]
    if machine == "x86_64":
        program += [(jump_ge, 0, 1, 0x40000000), (give, 0, 0, kill)]  # the x32 numbers
    program += [
        (jump_equal, 0, 1, numbers.pop("clone3")),
        (give, 0, 0, absent),
    ]  # the C library falls back to clone
    program += [
        (jump_equal, 0, 4, numbers.pop("clone")),
        (load, 0, 0, 16),
        (jump_set, 1, 0, CLONE_THREAD),
        (give, 0, 0, refuse),
        (give, 0, 0, allow),
    ]
    for name, commands in (("ioctl", IOCTLS), ("fcntl", FCNTLS)):
        program += [(jump_equal, 0, len(commands) + 3, numbers.pop(name)), (load, 0, 0, 24)]
        program += [(jump_equal, len(commands) - at, 0, command) for at, command in enumerate(commands)]
        program += [(give, 0, 0, refuse), (give, 0, 0, allow)]
    for number in numbers.values():
        program += [(jump_equal, 0, 1, number), (give, 0, 0, allow)]
    program += [(give, 0, 0, refuse)]
    packed = b"".join(struct.pack("HBBI", *instruction) for instruction in program)
    buffer = ctypes.create_string_buffer(packed)

    class Program(ctypes.Structure):
        _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_void_p))

    filter_ = Program(len(program), ctypes.cast(buffer, ctypes.c_void_p))
    call("prctl", PR_SET_SECCOMP, 2, ctypes.byref(filter_), 0, 0)


# --- values that cross the pipes


class UnplainError(Exception):
    """A value that cannot cross."""


def encode(value, refer):
    """`value` as JSON with types; `refer(value)` stands for what is not plain. Values of a subclass cross as its base."""
    if value is None or value is True or value is False:
        return value
    if isinstance(value, int):
        value = int.__add__(value, 0)
        return value if -(2**53) < value < 2**53 else {"int": hex(value)}
    if isinstance(value, float):
        return float.__mul__(value, 1.0)
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, list):
        return [encode(each, refer) for each in list.__iter__(value)]
    for name, kind in (("tuple", tuple), ("set", set), ("frozenset", frozenset)):
        if isinstance(value, kind):
            return {name: [encode(each, refer) for each in kind.__iter__(value)]}
    if isinstance(value, dict):
        return {"dict": [[encode(k, refer), encode(v, refer)] for k, v in dict.items(value)]}
    if isinstance(value, (bytes, bytearray)):
        return {type(value).__name__ if type(value) is bytearray else "bytes": bytes(value).hex()}
    if isinstance(value, complex):
        return {"complex": [value.real, value.imag]}
    return refer(value)


def decode(read, resolve):
    """The value that `encode` has written. Raises UnplainError for anything else."""
    if read is None or type(read) in (bool, int, float, str):
        return read
    if type(read) is list:
        return [decode(each, resolve) for each in read]
    if type(read) is not dict or len(read) != 1:
        raise UnplainError("no value")
    ((name, inner),) = read.items()
    if name in ("tuple", "set", "frozenset"):
        return getattr(builtins, name)([decode(each, resolve) for each in inner])
    if name == "dict":
        return {decode(k, resolve): decode(v, resolve) for k, v in inner}
    if name == "int":
        return int(inner, 16)
    if name in ("bytes", "bytearray"):
        return getattr(builtins, name).fromhex(inner)
    if name == "complex":
        return complex(*inner)
    if name == "object":
        return resolve(inner)
    raise UnplainError(f"no value of kind {name!r}")


def send(pipe, message):
    text = json.dumps(message).encode()
    text = struct.pack(">Q", len(text)) + text
    while text:
        text = text[os.write(pipe, text) :]


def receive(pipe):
    """The next message, or None where the other side has ended."""
    head = read_exactly(pipe, 8)
    if head is None:
        return None
    (length,) = struct.unpack(">Q", head)
    if length > MAX_MESSAGE:
        raise UnplainError(f"a message of {length} bytes")
    text = read_exactly(pipe, length)
    return None if text is None else json.loads(text)


def read_exactly(pipe, count):
    found = bytearray()
    while len(found) < count:
        chunk = os.read(pipe, min(count - len(found), 1 << 20))
        if not chunk:
            return None
        found += chunk
    return bytes(found)


# --- the candidate's side


class Tee:
    """Standard output that also remembers, for tests that look at what a call prints."""

    def __init__(self, real):
        self.real, self.said = real, []

    def write(self, text):
        self.said.append(text)
        return self.real.write(text)

    def __getattr__(self, name):
        return getattr(self.real, name)


def candidate(code, inlet, outlet):
    """Run the program, then answer what the tests ask of it. All that its code can reach here is itself."""
    tee = sys.stdout = Tee(sys.stdout)
    objects = []

    def refer(value):
        objects.append(value)
        return {"object": len(objects) - 1}

    def told(error):
        bases = [kind.__name__ for kind in type(error).__mro__ if kind.__module__ == "builtins"]
        try:
            text = str(error)[:500]
        except BaseException:
            text = ""
        try:
            arguments = [encode(each, refuse) for each in error.args]
        except BaseException:
            arguments = [text]
        return {"raised": type(error).__name__, "bases": bases, "args": arguments, "text": text}

    def reply_to(message):
        asked, name = message["op"], message.get("name")
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
            does = {
                "len": len,
                "str": str,
                "repr": repr,
                "iter": iter,
                "getitem": lambda o, k: o[k],
                "setitem": put,
            }
            return {"value": encode(does[asked](it, *arguments), refer)}
        value = it(*arguments, **decode(message["kwargs"], objects.__getitem__))
        reply = {"value": encode(value, refer)}
        if value is None:  # what changes its arguments returns None, by Python's own custom
            after = encode(arguments, refer)
            if after != message["args"]:
                reply["args"] = after
        return reply

    main = types.ModuleType("__main__")
    sys.modules["__main__"] = main
    sys.argv = [""]
    try:
        exec(compile(code, "<candidate>", "exec"), main.__dict__)
        ready = {"names": names_of(main.__dict__, refer)}
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
        if tee.said:
            reply["out"] = "".join(tee.said)
        try:
            send(outlet, reply)
        except (TypeError, ValueError, RecursionError) as error:
            send(outlet, told(error))


def put(it, key, value):
    it[key] = value


def refuse(value):
    raise UnplainError(type(value).__name__)


def names_of(space, refer):
    """What the program defines, by name: a value, a module, a class of exceptions, or an object that stays here."""
    found = {}
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
                found[name] = {"value": encode(value, refer)}
            except RecursionError:
                found[name] = {"value": refer(value)}
    return found


# --- the tester's side


class Ended(BaseException):
    """The candidate's process ended, or says what it cannot say."""


class Undecided(BaseException):
    """The tests ask for what does not cross the pipe."""


class Tester:
    """The tests' end of the pipes. `ended` and `undecided` outlive whatever the tests catch."""

    def __init__(self, inlet, outlet):
        self.inlet, self.outlet = inlet, outlet
        self.stdout, self.stdin = sys.stdout, sys.stdin
        self.ended = self.undecided = None
        self.exceptions = {}

    def hear(self):
        try:
            message = receive(self.inlet)
        except (UnplainError, ValueError, RecursionError, MemoryError, OSError) as error:
            self.end(f"the code's process sent no answer that can be read ({type(error).__name__})")
        if type(message) is not dict:
            self.end("the code ended its process before the tests were over")
        return message

    def end(self, reason):
        self.ended = self.ended or reason
        raise Ended(reason)

    def undecide(self, reason):
        self.undecided = self.undecided or reason
        raise Undecided(reason)

    def refer(self, value):
        if type(value) is Remote:
            return {"object": object.__getattribute__(value, "_id")}
        self.undecide(f"the tests hand the code a value of type {type(value).__name__}, which is not plain")

    def resolve(self, number):
        if type(number) is not int:
            raise UnplainError("no object")
        return Remote(self, number)

    def read(self, value):
        try:
            return decode(value, self.resolve)
        except (UnplainError, TypeError, ValueError, RecursionError, AttributeError):
            self.end("the code's process sent a value that cannot be read")

    def ask(self, op, number, *args, name=None, kwargs=None):
        try:
            sent = [encode(list(args), self.refer), encode(kwargs or {}, self.refer)]
        except RecursionError:
            self.undecide("the tests hand the code a value that contains itself")
        message = {"op": op, "object": number, "name": name, "args": sent[0], "kwargs": sent[1]}
        if sys.stdin is not self.stdin:
            message["in"] = sys.stdin.read()
        if self.ended:
            raise Ended(self.ended)
        try:
            send(self.outlet, message)
        except OSError:
            self.end("the code ended its process before the tests were over")
        reply = self.hear()
        if type(reply.get("out")) is str and sys.stdout is not self.stdout:
            sys.stdout.write(reply["out"])
        if "raised" in reply:
            self.throw(reply)
        if reply.get("stop") is True and op == "next":
            raise StopIteration
        value = self.read(reply.get("value"))
        if value is None and "args" in reply and op == "call":
            changed = self.read(reply["args"])
            if type(changed) is list and len(changed) == len(args):
                for mine, theirs in zip(args, changed):
                    restore(mine, theirs)
        return value

    def throw(self, reply):
        """Raise what the code raised: the builtin of that name, the tests' own class for one of the code's."""
        name, text = str(reply["raised"]), str(reply.get("text"))
        base = self.base(reply.get("bases"))
        if base is None:
            self.end(f"{name}: {text}")
        kind = self.exceptions.get(name) or (base if name == base.__name__ else type(name, (base,), {}))
        try:
            error = kind(*self.read(reply.get("args")))
        except Exception:
            error = RuntimeError(f"{name}: {text}")
        raise error from None

    def base(self, names):
        """The builtin exception that stands first in `names`. None where it would end the tests or a loop of theirs."""
        for name in names if type(names) is list else ():
            kind = getattr(builtins, name, None) if type(name) is str else None
            if isinstance(kind, type) and issubclass(kind, Exception):
                return RuntimeError if issubclass(kind, (StopIteration, StopAsyncIteration)) else kind
        return None

    def take(self, name, said, request):
        """What `name` of the program is to the tests; None where the tests have better than the program's word."""
        if (
            type(said) is not dict
            or len(said) != 1
            or (hasattr(builtins, name) and name != request["entry_point"])
        ):
            return None
        ((kind, inner),) = said.items()
        if kind == "module":
            real = type(inner) is str and inner.partition(".")[0] in sys.stdlib_module_names
            return (
                __import__(inner, fromlist=["_"])
                if real and name in (inner, inner.rpartition(".")[2])
                else None
            )
        if name in sys.stdlib_module_names and f"{name}." in request["tests"]:
            return None  # the tests mean the library
        if kind == "exception":
            made = type(name, (self.base(inner) or Exception,), {})
            self.exceptions[name] = made
            return made
        return self.read(inner) if kind == "value" else None


def restore(mine, theirs):
    """Give a mutable argument of the tests the content that the call has left in it."""
    if type(mine) is list and type(theirs) is list:
        mine[:] = theirs
    elif type(mine) is dict and type(theirs) is dict:
        mine.clear()
        mine.update(theirs)
    elif type(mine) is set and type(theirs) is set:
        mine.clear()
        mine.update(theirs)


class Remote:
    """An object that stays with the candidate."""

    __slots__ = ("_id", "_tester")

    def __init__(self, tester, number):
        object.__setattr__(self, "_tester", tester)
        object.__setattr__(self, "_id", number)

    def __call__(self, *args, **kwargs):
        return self._tester.ask("call", self._id, *args, kwargs=kwargs)

    def __getattr__(self, name):
        if name.startswith("__") and name not in ("__name__", "__doc__"):
            raise AttributeError(name)
        return self._tester.ask("get", self._id, name=name)

    def __setattr__(self, name, value):
        self._tester.ask("set", self._id, value, name=name)

    def __len__(self):
        return self._tester.ask("len", self._id)

    def __getitem__(self, key):
        return self._tester.ask("getitem", self._id, key)

    def __setitem__(self, key, value):
        self._tester.ask("setitem", self._id, key, value)

    def __iter__(self):
        return self._tester.ask("iter", self._id)

    def __next__(self):
        return self._tester.ask("next", self._id)

    def __str__(self):
        return self._tester.ask("str", self._id)

    def __repr__(self):
        return self._tester.ask("repr", self._id)

    __hash__ = object.__hash__


def opaque(operation):
    def refused(self, *_):
        self._tester.undecide(f"the tests use {operation} on a value of the code that is not plain")

    return refused


for _name in ("eq", "ne", "lt", "le", "gt", "ge", "bool", "contains", "instancecheck", "add", "radd", "sub", "rsub",
              "mul", "rmul", "truediv", "rtruediv", "floordiv", "rfloordiv", "mod", "rmod", "pow", "rpow", "neg", "abs",
              "int", "float", "index", "round", "and", "rand", "or", "ror", "xor", "rxor", "await", "enter",
              "format"):  # fmt: skip
    setattr(Remote, f"__{_name}__", opaque(f"__{_name}__"))


def tester(request, inlet, outlet):
    """Run the tests. Returns how they ended (ok, failed, undecided), why, and whether the candidate ended first."""
    side = Tester(inlet, outlet)
    try:
        ready = side.hear()
        if "raised" in ready:
            side.throw(ready)
        space = given(side, ready.get("names"), request)
        exec(compile(request["tests"], "<tests>", "exec"), space)
        said = ("ok", "")
    except BaseException as error:  # whatever the tests raise is a failure of theirs
        try:
            said = ("failed", f"{type(error).__name__}: {str(error)[:500]}")
        except BaseException:
            said = ("failed", type(error).__name__)
    if side.ended:
        return "failed", side.ended, True
    if side.undecided:
        return "undecided", side.undecided, False
    return *said, False


def given(side, names, request):
    """The tests' namespace: functions, modules and values of the row's own prompt, and of the code what these lack."""
    entry, module = request["entry_point"], types.ModuleType("__main__")
    sys.modules["__main__"] = module
    space, prompt = module.__dict__, {}
    for name, said in names.items() if type(names) is dict else ():
        value = side.take(name, said, request)
        if value is not None:
            space[name] = value
    try:
        exec(compile(request["prompt"], "<prompt>", "exec"), prompt)
    except Exception:  # a prompt may end in the midst of a function
        return space
    for name, value in prompt.items():
        if not name.startswith("__") and name != entry and not isinstance(value, type):
            space[name] = value
    return space


# --- the processes


def main():
    request = json.loads(sys.argv[1])
    sys.argv = [""]
    LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    walled = request["walls"]
    try:
        if walled:
            namespaces()
            new_root(request["work"], request["visible"], request["hidden"], request["file_bytes"])
        else:
            os.chdir(request["work"])
    except OSError as error:
        fail("namespaces", error)
    os.environ.clear()
    os.environ["HOME"] = os.environ["TMPDIR"] = os.getcwd()
    first = os.fork()
    if first == 0:
        first_process(request, walled)
    os._exit(fate(os.waitpid(first, 0)[1]))


def first_process(request, walled):
    """Fork the tester and then the candidate; end with the tester, and say how whichever was killed ended."""
    LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    questions, answers = os.pipe(), os.pipe()
    judge = os.fork()
    if judge == 0:
        behind_walls(request, walled, [request["tests_fd"], request["verdict_fd"], answers[0], questions[1]])
        tests = json.loads(read_all(request["tests_fd"]))
        status, reason, gone = tester(tests, answers[0], questions[1])
        sys.stdout.flush()
        os.write(request["verdict_fd"], json.dumps([status, reason]).encode())
        os._exit(GONE if gone else 0)
    try:
        if walled:
            call("unshare", CLONE_NEWPID | CLONE_NEWNS)
    except OSError as error:
        fail("namespaces", error)
    judged = os.fork()
    if judged == 0:
        try:
            if walled:
                workplace(request["file_bytes"])
        except OSError as error:
            fail("work folder", error)
        code = read_all(request["code_fd"]).decode()
        behind_walls(request, walled, [questions[0], answers[1]])
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


def behind_walls(request, walled, kept):
    """Keep no file but the standard ones and `kept`, then shut the door."""
    LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    try:
        os.dup2(os.open("/dev/null", os.O_RDONLY), 0)
        at = 3
        for handle in sorted(kept):
            os.closerange(at, handle)
            at = handle + 1
        os.closerange(at, 1024)
        limits(request["cpu_s"], request["memory_bytes"], request["file_bytes"])
        if walled:
            drop_capabilities()
            seccomp()
    except OSError as error:
        fail("walls", error)


def read_all(handle):
    size = os.fstat(handle).st_size
    return os.pread(handle, size, 0)


def fail(where, error):
    os.write(2, f"{where}: {error}\n".encode())
    os._exit(SETUP_FAILED)


def fate(status):
    return 128 + os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status)


if __name__ == "__main__":
    main()
