"""The inside of the sandbox: a script that walls itself in and then runs one untrusted program.

Started by `curate.gate.sandbox` with `python -I -S -B`, never imported. In order: new user, network, process, mount and
IPC namespaces; a small tmpfs as the only place to write; a second process that is number 1 of the new process
space, so that nothing survives it; resource limits; Landlock (nothing outside the interpreter and the system
libraries can be read, signals and TCP end at the wall); seccomp (no processes, sockets, mounts, tracing).
The program has succeeded only if it ran to its end: then the token is written to the result pipe.
"""

import ctypes
import json
import os
import platform
import resource
import signal
import struct
import sys

SETUP_FAILED = 97
LIBC = ctypes.CDLL(None, use_errno=True)

CLONE_NEWNS, CLONE_NEWUTS, CLONE_NEWIPC = 0x20000, 0x4000000, 0x8000000
CLONE_NEWUSER, CLONE_NEWPID, CLONE_NEWNET = 0x10000000, 0x20000000, 0x40000000
CLONE_THREAD = 0x10000
MS_NOSUID, MS_NODEV, MS_REC, MS_PRIVATE = 2, 4, 0x4000, 0x40000
PR_SET_PDEATHSIG, PR_SET_SECCOMP, PR_SET_NO_NEW_PRIVS = 1, 22, 38

READ_ONLY = ("/usr/lib", "/usr/lib64", "/usr/local/lib", "/lib", "/lib64", "/etc/ld.so.cache", "/etc/localtime",
             "/usr/share/zoneinfo", "/dev/null", "/dev/zero", "/dev/urandom", "/dev/random")  # fmt: skip

# numbers of the system calls that are refused, by machine
REFUSED = {
    "x86_64": {
        "fork": 57, "vfork": 58, "execve": 59, "execveat": 322, "socket": 41, "socketpair": 53, "connect": 42,
        "bind": 49, "kill": 62, "tkill": 200, "pidfd_send_signal": 424, "ptrace": 101, "mount": 165, "umount2": 166,
        "unshare": 272, "setns": 308, "pivot_root": 155, "chroot": 161, "keyctl": 250, "add_key": 248, "bpf": 321,
        "perf_event_open": 298, "process_vm_readv": 310, "process_vm_writev": 311, "userfaultfd": 323,
        "io_uring_setup": 425, "init_module": 175, "kexec_load": 246, "reboot": 169, "swapon": 167, "memfd_create": 319,
        "shmget": 29, "msgget": 68, "semget": 64, "open_tree": 428, "move_mount": 429, "fsopen": 430, "fsmount": 432,
        "mount_setattr": 442,
    },
    "aarch64": {
        "execve": 221, "execveat": 281, "socket": 198, "socketpair": 199, "connect": 203, "bind": 200, "kill": 129,
        "tkill": 130, "pidfd_send_signal": 424, "ptrace": 117, "mount": 40, "umount2": 39, "unshare": 97, "setns": 268,
        "pivot_root": 41, "chroot": 51, "keyctl": 219, "add_key": 217, "bpf": 280, "perf_event_open": 241,
        "process_vm_readv": 270, "process_vm_writev": 271, "userfaultfd": 282, "io_uring_setup": 425,
        "init_module": 105, "kexec_load": 104, "reboot": 142, "swapon": 224, "memfd_create": 279, "shmget": 194,
        "msgget": 186, "semget": 190, "open_tree": 428, "move_mount": 429, "fsopen": 430, "fsmount": 432,
        "mount_setattr": 442,
    },
}  # fmt: skip
CLONE = {"x86_64": (56, 435), "aarch64": (220, 435)}  # clone, clone3
ARCHITECTURE = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}


def call(name, *arguments):
    if getattr(LIBC, name)(*arguments) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{name}: {os.strerror(number)}")


def namespaces(work, tmpfs_bytes):
    uid, gid = os.getuid(), os.getgid()
    call("unshare", CLONE_NEWUSER | CLONE_NEWNET | CLONE_NEWPID | CLONE_NEWNS | CLONE_NEWIPC | CLONE_NEWUTS)
    for path, text in (("setgroups", "deny"), ("uid_map", f"0 {uid} 1"), ("gid_map", f"0 {gid} 1")):
        with open(f"/proc/self/{path}", "w") as file:
            file.write(text)
    call("mount", b"none", b"/", None, MS_REC | MS_PRIVATE, None)
    options = f"size={tmpfs_bytes},nr_inodes=1000,mode=700".encode()
    call("mount", b"tmpfs", work.encode(), b"tmpfs", MS_NOSUID | MS_NODEV, options)
    os.chdir(work)


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


def landlock(work):
    version = LIBC.syscall(444, None, 0, 1)
    if version < 1:
        raise OSError("this kernel has no Landlock")
    every = (1 << (13 if version == 1 else 14 if version == 2 else 15 if version < 5 else 16)) - 1
    attributes = [every]
    if version >= 4:
        attributes.append(0b11)  # TCP bind and connect
    if version >= 6:
        attributes.append(0b11)  # abstract sockets and signals
    packed = struct.pack(f"{len(attributes)}Q", *attributes)
    ruleset = LIBC.syscall(444, packed, len(packed), 0)
    if ruleset < 0:
        raise OSError(ctypes.get_errno(), "landlock_create_ruleset")
    read_file, read_dir, execute = 1 << 2, 1 << 3, 1
    rules = [(work, every)]
    rules += [(path, read_file | read_dir | execute) for path in (*READ_ONLY, sys.base_prefix)]
    for path, access in rules:
        try:
            handle = os.open(path, os.O_PATH | os.O_CLOEXEC)
        except OSError:
            continue
        if not os.path.isdir(path):
            access &= read_file | execute | 1 << 1  # a file has no right to list
            access |= (1 << 1) if path == "/dev/null" else 0
        added = LIBC.syscall(445, ruleset, 1, struct.pack("=Qi", access, handle), 0)
        os.close(handle)
        if added != 0:
            raise OSError(ctypes.get_errno(), f"landlock_add_rule {path}")
    if LIBC.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 or LIBC.syscall(446, ruleset, 0) != 0:
        raise OSError(ctypes.get_errno(), "landlock_restrict_self")
    os.close(ruleset)


def seccomp():
    machine = platform.machine()
    if machine not in REFUSED:
        raise OSError(f"no system call table for {machine}")
    load, jump_equal, jump_set, jump_ge, give = 0x20, 0x15, 0x45, 0x35, 0x06
    allow, kill, refuse, absent = 0x7FFF0000, 0x80000000, 0x00050000 | 1, 0x00050000 | 38
    clone, clone3 = CLONE[machine]
    program = [
        (load, 0, 0, 4),
        (jump_equal, 1, 0, ARCHITECTURE[machine]),
        (give, 0, 0, kill),
        (load, 0, 0, 0),
    ]
    if machine == "x86_64":
        program += [(jump_ge, 0, 1, 0x40000000), (give, 0, 0, kill)]  # the x32 numbers
    for number in REFUSED[machine].values():
        program += [(jump_equal, 0, 1, number), (give, 0, 0, refuse)]
    program += [(jump_equal, 0, 1, clone3), (give, 0, 0, absent)]  # the C library falls back to clone
    program += [
        (jump_equal, 0, 3, clone),
        (load, 0, 0, 16),
        (jump_set, 1, 0, CLONE_THREAD),
        (give, 0, 0, refuse),
    ]
    program += [(give, 0, 0, allow)]
    packed = b"".join(struct.pack("HBBI", *instruction) for instruction in program)
    buffer = ctypes.create_string_buffer(packed)

    class Program(ctypes.Structure):
        _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_void_p))

    filter_ = Program(len(program), ctypes.cast(buffer, ctypes.c_void_p))
    if LIBC.prctl(PR_SET_SECCOMP, 2, ctypes.byref(filter_), 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "seccomp")


def main():
    request = json.load(sys.stdin)
    walls, work = request["walls"], request["work"]
    LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    try:
        if walls:
            namespaces(work, request["file_bytes"])
        else:
            os.chdir(work)
    except OSError as error:
        sys.stderr.write(f"namespaces: {error}\n")
        os._exit(SETUP_FAILED)
    first = os.fork()
    if first:
        _, status = os.waitpid(first, 0)
        os._exit(128 + os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status))
    LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    try:
        null = os.open("/dev/null", os.O_RDONLY)
        os.dup2(null, 0)
        limits(request["cpu_s"], request["memory_bytes"], request["file_bytes"])
        if walls:
            landlock(work)
            seccomp()
    except OSError as error:
        sys.stderr.write(f"walls: {error}\n")
        os._exit(SETUP_FAILED)
    os.environ.clear()
    os.environ["HOME"] = os.environ["TMPDIR"] = work
    run(request["program"], request["token"], request["result_fd"])


def run(program, token, result_fd):
    space = {"__name__": "__main__", "__builtins__": __builtins__}
    try:
        exec(compile(program, "<candidate>", "exec"), space)
    except BaseException as error:  # the program's own failure, whatever it raises
        try:
            sys.stderr.write(f"{type(error).__name__}: {str(error)[:500]}\n")
            sys.stderr.flush()
        finally:
            os._exit(1)
    try:
        sys.stdout.flush()
    finally:
        os.write(result_fd, token.encode())
    os._exit(0)


if __name__ == "__main__":
    main()
