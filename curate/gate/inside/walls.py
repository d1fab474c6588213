"""The walls around untrusted code: a process shuts itself in and cannot come out again.

In order: user, mount, network, IPC and host name namespaces; a root of read-only binds of the Python runtime, so that
nothing of the machine can be read, changed, watched or even named, with a small tmpfs as the only place to write; no
capabilities; resource limits; a seccomp filter that allows what Python needs and refuses all else. Each function raises
OSError with the name of the call that this machine refuses.
"""

from __future__ import annotations

import ctypes
import os
import resource
import struct

LIBC = ctypes.CDLL(None, use_errno=True)
WORK = "/sandbox"
"""The working folder inside."""

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


def call(name: str, *arguments: object) -> None:
    if getattr(LIBC, name)(*arguments) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{name}: {os.strerror(number)}")


def namespaces() -> None:
    uid, gid = os.getuid(), os.getgid()
    call("unshare", CLONE_NEWUSER | CLONE_NEWNET | CLONE_NEWPID | CLONE_NEWNS | CLONE_NEWIPC | CLONE_NEWUTS)
    for path, text in (("setgroups", "deny"), ("uid_map", f"0 {uid} 1"), ("gid_map", f"0 {gid} 1")):
        with open(f"/proc/self/{path}", "w") as file:
            file.write(text)
    call("sethostname", b"sandbox", 7)


def below() -> None:
    """Let the next child have process and mount spaces below this process's."""
    call("unshare", CLONE_NEWPID | CLONE_NEWNS)


def new_root(root: str, visible: list[str], hidden: list[str], tmpfs_bytes: int) -> None:
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


def bind(path: str, place: str) -> None:
    if os.path.isdir(path):
        os.makedirs(place, exist_ok=True)
    else:
        os.makedirs(os.path.dirname(place), exist_ok=True)
        os.close(os.open(place, os.O_CREAT | os.O_WRONLY))
    call("mount", path.encode(), place.encode(), None, MS_BIND | MS_REC, None)
    device = path.startswith("/dev/")
    change_mount(place, ATTR_RDONLY | ATTR_NOSUID | (0 if device else ATTR_NODEV), AT_RECURSIVE)


def change_mount(path: str, attributes: int, flags: int) -> None:
    packed = struct.pack("4Q", attributes, 0, 0, 0)
    if LIBC.syscall(MOUNT_SETATTR, AT_FDCWD, path.encode(), flags, packed, len(packed)) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"mount_setattr {path}: {os.strerror(number)}")


def workplace(tmpfs_bytes: int) -> None:
    options = f"size={tmpfs_bytes},nr_inodes=1000,mode=700".encode()
    call("mount", b"tmpfs", WORK.encode(), b"tmpfs", MS_NOSUID | MS_NODEV, options)
    os.chdir(WORK)


def limits(cpu_s: int, memory_bytes: int, file_bytes: int) -> None:
    for name, value in (
        (resource.RLIMIT_CPU, cpu_s),
        (resource.RLIMIT_AS, memory_bytes),
        (resource.RLIMIT_FSIZE, file_bytes),
        (resource.RLIMIT_NOFILE, 64),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_STACK, 64 << 20),
    ):
        resource.setrlimit(name, (value, value))


def drop_capabilities() -> None:
    call("prctl", PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    call("capset", struct.pack("Ii", CAPABILITIES, 0), struct.pack("6I", *[0] * 6))


def seccomp() -> None:
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


def end_with_parent() -> None:
    LIBC.prctl(PR_SET_PDEATHSIG, 9, 0, 0, 0)
