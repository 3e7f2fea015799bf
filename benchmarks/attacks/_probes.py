"""Ways out of a sandbox, tried from inside: run there as a program, with the host's traps as a JSON object.

Prints one JSON object: the name of each probe with how it was held, or with `GOT` and what it got. What is tried is
harmless to a host that lets it through: values are written back as they are, counts and pointers are zero.
"""

# ruff: noqa: PTH101, PTH110, PTH115, PTH118, PTH119, PTH120, PTH123, PTH207, PTH208, PTH211

import contextlib
import ctypes
import errno
import fcntl
import functools
import glob
import importlib.machinery
import json
import os
import resource
import signal
import socket
import sys
import termios
import time
from collections.abc import Callable, Iterable, Sequence

X86 = os.uname().machine == "x86_64"
LIBC = ctypes.CDLL(None, use_errno=True)
REFUSALS = {errno.EPERM, errno.EACCES, errno.ENOSYS, errno.EROFS, errno.ENOSPC, errno.EUSERS}  # the last two: no more
NEW = {"user": 0x10000000, "mount": 0x00020000, "network": 0x40000000, "process": 0x20000000, "ipc": 0x08000000,
       "host name": 0x04000000, "control group": 0x02000000, "time": 0x00000080}  # fmt: skip
PROBES: dict[str, Callable[[dict[str, str]], object]] = {}


def probe(name: str) -> Callable[[Callable[[dict[str, str]], object]], Callable[[dict[str, str]], object]]:
    def keep(function: Callable[[dict[str, str]], object]) -> Callable[[dict[str, str]], object]:
        PROBES[name] = function
        return function

    return keep


def refused(result: int) -> str:
    """Empty if a call of the C library was refused for lack of a right, else what came of it."""
    if result == -1:
        number = ctypes.get_errno()
        return "" if number in REFUSALS else f"not refused, but {errno.errorcode.get(number, number)}"
    return f"gave {result}"


def call(number: tuple[int, int], *arguments: object) -> str:
    """A system call by its number on x86-64 and AArch64. What exists on neither is refused."""
    chosen = number[0] if X86 else number[1]
    return refused(LIBC.syscall(ctypes.c_long(chosen), *arguments)) if chosen >= 0 else ""


def opens(path: str, flags: int = os.O_WRONLY) -> str:
    os.close(os.open(path, flags | os.O_NONBLOCK))
    return f"{path} opens"


def opens_below(folder: str) -> str:
    for base, _, names in os.walk(folder):
        for name in names:
            with contextlib.suppress(OSError):
                return opens(os.path.join(base, name))
    return ""


def content(path: str) -> str:
    with open(path, "rb", buffering=0) as file:
        return f"{path} says {file.read(20)!r}" if file.read(1) else ""


def first(tries: Iterable[Callable[[], object]]) -> object:
    """What the first of some tries got that got anything."""
    for attempt in tries:
        with contextlib.suppress(OSError):
            if got := attempt():
                return got
    return ""


def under(folder: str, names: str) -> list[str]:
    return [f"{folder}/{name}" for name in names.split()]


for _name in ("kernel/core_pattern", "kernel/modprobe", "vm/drop_caches", "kernel/ns_last_pid"):
    probe(f"write /proc/sys/{_name}")(lambda traps, path=f"/proc/sys/{_name}": opens(path))
for _name in ("sys", "irq", "bus", "fs", "driver", "scsi", "acpi", "tty", "pressure", "sysvipc", "asound"):
    probe(f"write anything in /proc/{_name}")(lambda traps, path=f"/proc/{_name}": opens_below(path))
for _name in ("sysrq-trigger", "mtrr", "kcore", "1/mem", "1/oom_score_adj"):
    probe(f"write /proc/{_name}")(lambda traps, path=f"/proc/{_name}": opens(path))
for _name in ("kcore", "kmsg", "keys", "timer_list", "vmallocinfo", "kpageflags", "slabinfo", "1/environ", "1/maps"):
    probe(f"read /proc/{_name}")(lambda traps, path=f"/proc/{_name}": content(path))
for _name, _paths in {
    "memory": "mem kmem port kmsg snapshot",
    "disk": "sda vda nvme0n1 loop0 loop-control mapper/control fuse",
    "machine": "kvm vhost-vsock vhost-net net/tun uinput userfaultfd console hwrng",
}.items():
    probe(f"open the host's {_name} devices")(
        lambda traps, paths=_paths: first(functools.partial(opens, path, os.O_RDWR) for path in under("/dev", paths))
    )


@probe("list what is the host's")
def _host_folders(traps: dict[str, str]) -> object:
    known = {part for part in sys.base_prefix.split("/") if part}  # the interpreter is mounted where it lies

    def unknown(path: str) -> object:
        return set(os.listdir(path)) - known

    return first(
        functools.partial(unknown, path) for path in ("/root", "/home", "/var", "/run", "/sys", "/boot", "/srv")
    )


@probe("read the host's passwords")
def _passwords(traps: dict[str, str]) -> object:
    return content("/etc/shadow")


for _name in ("root", "cwd", "fd"):
    probe(f"go through /proc/1/{_name}")(lambda traps, path=f"/proc/1/{_name}": os.listdir(path))
for _name, _flag in NEW.items():
    probe(f"unshare a {_name} namespace")(lambda traps, flag=_flag: refused(LIBC.unshare(flag)))
for _name in ("/", "/usr", "/proc/sys"):
    probe(f"remount {_name} writable")(
        lambda traps, path=_name: refused(LIBC.mount(None, path.encode(), None, ctypes.c_ulong(32 | 4096), None))
    )
for _name in ("tmpfs", "proc", "sysfs", "cgroup2", "overlay", "bpf"):
    probe(f"mount {_name}")(
        lambda traps, kind=_name: refused(LIBC.mount(b"none", b"/tmp", kind.encode(), ctypes.c_ulong(0), None))
    )
for _name in ("/proc/sys", "/proc/irq", "/proc/1"):
    probe(f"unmount {_name}")(lambda traps, path=_name: refused(LIBC.umount2(path.encode(), 2)))
for _name, _number, _arguments in (
    ("chroot", (161, 51), (b"/tmp",)),
    ("pivot_root", (155, 41), (b"/", b"/tmp")),
    ("set the host name", (170, 161), (b"room", 4)),
    ("set the domain name", (171, 162), (b"room", 4)),
    ("swapon", (167, 224), (b"/room/none", 0)),
    ("swapoff", (168, 225), (b"/room/none",)),
    ("process accounting", (163, 89), (None,)),
    ("reboot switch", (169, 142), (0xFEE1DEAD, 672274793, 0x89ABCDEF, None)),
    ("load a module", (175, 105), (None, 0, b"")),
    ("load a module from a file", (313, 273), (-1, b"", 0)),
    ("unload a module", (176, 106), (b"none", 0)),
    ("load a kernel for kexec", (246, 104), (0, 0, None, 0)),
    ("load a kernel file for kexec", (320, 294), (-1, -1, 0, None, 0)),
    ("kernel log", (103, 116), (3, None, 0)),
    ("port permission", (173, -1), (0, 1, 1)),
    ("port level", (172, -1), (3,)),
    ("hang up the terminal", (153, 58), ()),
    ("BPF", (321, 280), (0, None, 0)),
    ("performance events", (298, 241), (None, 0, -1, -1, 0)),
    ("userfaultfd", (323, 282), (0,)),
    ("io_uring", (425, 425), (1, None)),
    ("io_uring enter", (426, 426), (-1, 0, 0, 0, None, 0)),
    ("keyring: key control", (250, 219), (0, -3, 1)),
    ("keyring: new key", (248, 217), (b"user", b"name", b"x", 1, -3)),
    ("keyring: ask for a key", (249, 218), (b"user", b"name", None, -3)),
    ("fanotify on the whole system", (300, 262), (0x0C, 0)),
    ("read a process's memory", (310, 270), (1, None, 0, None, 0, 0)),
    ("write a process's memory", (311, 271), (1, None, 0, None, 0, 0)),
    ("take a descriptor of another process", (438, 438), (-1, 0, 0)),
    ("trace the first process", (101, 117), (16, 1, 0, 0)),
    ("be traced", (101, 117), (0, 0, 0, 0)),
    ("new mount API: open a file system", (430, 430), (b"tmpfs", 0)),
    ("new mount API: clone a tree", (428, 428), (-100, b"/usr", 1)),
    ("new mount API: set attributes", (442, 442), (-100, b"/usr", 0, (ctypes.c_uint64 * 4)(0, 1, 0, 0), 32)),
    ("set the clock", (227, 112), (0, (ctypes.c_long * 2)(int(time.time()), 0))),
    ("System V memory", (29, 194), (0, 4096, 0o1600)),
    ("System V queues", (68, 186), (0, 0o1600)),
    ("System V semaphores", (64, 190), (0, 1, 0o1600)),
    ("join root's groups", (116, 159), (1, (ctypes.c_uint32 * 1)(0))),
    ("compare with the first process", (312, 272), (1, os.getpid(), 2, 0, 0)),
    ("real-time scheduling of the first process", (144, 119), (1, 1, (ctypes.c_int * 1)(1))),
):
    probe(_name)(lambda traps, number=_number, arguments=_arguments: call(number, *arguments))


@probe("open a file by its handle")
def _handle(traps: dict[str, str]) -> object:
    handle, mount = ctypes.create_string_buffer(8 + 128), ctypes.c_int()
    handle[0] = b"\x80"
    if LIBC.name_to_handle_at(-100, b"/room", handle, ctypes.byref(mount), 0) != 0:
        return ""
    return refused(LIBC.open_by_handle_at(os.open("/room", os.O_RDONLY | os.O_DIRECTORY), handle, 0))


for _name, _change in {"root": os.setuid, "root's group": os.setgid}.items():
    probe(f"become {_name}")(lambda traps, change=_change: [change(0), "done"])


@probe("a user namespace by clone3")
def _clone3(traps: dict[str, str]) -> object:
    arguments = (ctypes.c_uint64 * 11)(NEW["user"], 0, 0, 0, signal.SIGCHLD, 0, 0, 0, 0, 0, 0)
    made = LIBC.syscall(ctypes.c_long(435), arguments, ctypes.sizeof(arguments))
    if made == 0:
        os._exit(0)
    return refused(made)


@probe("join the first process's namespaces")
def _setns(traps: dict[str, str]) -> object:
    return refused(LIBC.setns(os.open("/proc/1/ns/mnt", os.O_RDONLY), 0))


@probe("join the outer namespaces by an ioctl")
def _owner_namespace(traps: dict[str, str]) -> object:
    with open("/proc/self/ns/user") as own:
        return refused(LIBC.setns(fcntl.ioctl(own, 0xB702), 0))  # NS_GET_PARENT


@probe("write an id map")
def _id_map(traps: dict[str, str]) -> object:
    with open("/proc/self/uid_map", "wb", buffering=0) as file:
        return file.write(b"0 0 1")


@probe("capabilities of any kind")
def _capabilities(traps: dict[str, str]) -> object:
    with open("/proc/self/status") as lines:
        fields = dict(line.split(":", 1) for line in lines)
    held = {name: fields[name].strip() for name in ("CapPrm", "CapEff", "CapBnd", "CapAmb") if int(fields[name], 16)}
    return held or (fields["NoNewPrivs"].strip() != "1" and "privileges can be gained")


@probe("setuid copies of a shell")
def _setuid(traps: dict[str, str]) -> object:
    import shutil

    shutil.copy("/bin/sh", "shell")
    os.chmod("shell", 0o6755)
    with os.popen("./shell -pc 'grep CapEff /proc/self/status'") as said:
        return int(said.read().split()[1], 16)


@probe("setuid programs of the system")
def _system_setuid(traps: dict[str, str]) -> object:
    for name in ("/usr/bin/su", "/usr/bin/mount", "/usr/bin/passwd", "/usr/bin/newuidmap", "/usr/bin/sudo"):
        if os.path.exists(name) and not os.statvfs(name).f_flag & os.ST_NOSUID:
            return f"{name} keeps its rights"
    return ""


@probe("device nodes")
def _mknod(traps: dict[str, str]) -> object:
    os.mknod("node", 0o20666, os.makedev(1, 1))
    return "a node for /dev/mem"


@probe("the host's own file, by its path")
def _host_file(traps: dict[str, str]) -> object:
    return content(traps["file"])


@probe("the host's own file, by a link in the work tree")
def _host_link(traps: dict[str, str]) -> object:
    os.symlink(traps["file"], "link-to-host")
    return content("link-to-host")


@probe("a hard link to the host's file")
def _hard_link(traps: dict[str, str]) -> object:
    os.link(traps["file"], "hard-link")
    return "linked"


@probe("the folders above the work tree")
def _above(traps: dict[str, str]) -> object:
    return [name for name in os.listdir("..") if name in (os.path.basename(os.path.dirname(traps["file"])), "host")]


@probe("the host's server on TCP")
def _tcp(traps: dict[str, str]) -> object:
    return socket.create_connection(("127.0.0.1", int(traps["port"])), 2)


@probe("the host's unix socket, by its path")
def _unix(traps: dict[str, str]) -> object:
    socket.socket(socket.AF_UNIX).connect(traps["socket"])
    return "connected"


@probe("the host's abstract unix socket")
def _abstract(traps: dict[str, str]) -> object:
    socket.socket(socket.AF_UNIX).connect(f"\0{traps['abstract']}")
    return "connected"


@probe("an outside address")
def _outside(traps: dict[str, str]) -> object:
    return socket.create_connection(("192.0.2.1", 80), 2)


@probe("raw sockets")
def _raw(traps: dict[str, str]) -> object:
    return socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)


@probe("packet sockets")
def _packet(traps: dict[str, str]) -> object:
    return socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)


@probe("hypervisor sockets")
def _vsock(traps: dict[str, str]) -> object:
    return socket.socket(40, socket.SOCK_STREAM)


@probe("the network's own settings by netlink")
def _netlink(traps: dict[str, str]) -> object:
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 9) as audit:  # NETLINK_AUDIT
        audit.sendto(bytes([16, 0, 0, 0, 0xE9, 3, 5, 0, 1, 0, 0, 0, 0, 0, 0, 0]), (0, 0))
        audit.settimeout(1)
        answer = audit.recv(4096)
        return int.from_bytes(answer[16:20], "little", signed=True) == 0 and "the audit service answers"


@probe("signal the host's process by its number")
def _signal(traps: dict[str, str]) -> object:
    if os.path.exists(f"/proc/{traps['pid']}") and int(traps["pid"]) > 1000:
        return "the host's process is seen"
    os.kill(int(traps["pid"]), 0)
    return "reached"


@probe("see processes of the host")
def _processes(traps: dict[str, str]) -> object:
    seen = sorted(int(name) for name in os.listdir("/proc") if name.isdigit())
    return seen if len(seen) > 4 else ""


@probe("kill the sandbox's first process")
def _first(traps: dict[str, str]) -> object:
    os.kill(1, signal.SIGKILL)
    os.kill(1, 0)
    return ""  # the kernel drops it: whoever runs on is held


@probe("the host's environment")
def _environment(traps: dict[str, str]) -> object:
    return [name for name in os.environ if name == traps["variable"]]


@probe("descriptors of the host")
def _descriptors(traps: dict[str, str]) -> object:
    found = []
    for name in os.listdir("/proc/self/fd"):
        with contextlib.suppress(OSError):
            found += [os.readlink(f"/proc/self/fd/{name}")] if int(name) > 2 else []
    return [each for each in found if not each.startswith(("/proc/", "/room", "/dev/ptmx"))]


@probe("type into the terminal")
def _terminal(traps: dict[str, str]) -> object:
    fcntl.ioctl(os.open("/dev/tty", os.O_RDWR), termios.TIOCSTI, b"x")
    return "typed"


@probe("shared memory of the host")
def _shared(traps: dict[str, str]) -> object:
    return [name for name in os.listdir("/dev/shm") if name == traps["shared"]]


@probe("more than the hard limits")
def _limits(traps: dict[str, str]) -> object:
    for name in (resource.RLIMIT_FSIZE, resource.RLIMIT_CORE, resource.RLIMIT_NPROC, resource.RLIMIT_DATA):
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(name, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
            return f"limit {name} is lifted"
    return ""


@probe("a higher priority")
def _priority(traps: dict[str, str]) -> object:
    os.setpriority(os.PRIO_PROCESS, 0, -5)
    return "raised"


@probe("control groups")
def _groups(traps: dict[str, str]) -> object:
    return os.path.exists("/sys/fs/cgroup") and opens_below("/sys/fs/cgroup")


@probe("change what is mounted read-only")
def _read_only(traps: dict[str, str]) -> object:
    os.chmod(sys.executable, 0o777)
    return "the interpreter's rights"


@probe("write beside the work tree")
def _beside(traps: dict[str, str]) -> object:
    for folder in ("/", "/etc", "/usr/lib", "/dev", "/proc", "/cra", os.path.dirname(os.__file__)):
        with contextlib.suppress(OSError):
            os.close(os.open(f"{folder}/planted", os.O_CREAT | os.O_WRONLY))
            return folder
    return ""


def imported(folders: Sequence[str], names: str) -> object:
    """Where the first of some modules lies that can be imported from folders or archives."""
    found = (importlib.machinery.PathFinder.find_spec(name, folders) for name in names.split())
    return next((spec.origin for spec in found if spec), "")


_LIBRARIES = "pip setuptools packaging attr yaml six requests markupsafe jinja2 pkg_resources"
for _name, _folders in {
    "the base interpreter's packages": f"{sys.base_prefix}/lib/python3*/site-packages",
    "the base interpreter's bundled wheels": f"{sys.base_prefix}/lib/python3*/ensurepip/_bundled/*.whl",
    "the system's packages": "/usr/lib/python3*/*-packages",
    "the administrator's packages": "/usr/local/lib/python3*/*-packages",
    "the system's bundled wheels": "/usr/share/python*-wheels/*.whl",
    "packages of another program's interpreter": "/usr/lib/*/*/*/lib/python3*/site-packages",
}.items():
    probe(f"import from {_name}")(lambda traps, folders=_folders: imported(glob.glob(folders), _LIBRARIES))
    probe(f"list {_name}")(lambda traps, folders=_folders: glob.glob(f"{folders.removesuffix('/*.whl')}/*")[:3])


@probe("packages of the base interpreter by way of the process's own root")
def _by_root(traps: dict[str, str]) -> object:
    return glob.glob(f"/proc/self/root{sys.base_prefix}/lib/python3*/*-packages/*")[:3]


@probe("take away what covers packages")
def _uncovered(traps: dict[str, str]) -> object:
    places = [*glob.glob("/usr/lib/python3*/*-packages"), *glob.glob(f"{sys.base_prefix}/lib/python3*/site-packages")]
    return [place for place in places if LIBC.umount2(place.encode(), 2) == 0]


def main() -> None:
    traps: dict[str, str] = json.loads(sys.argv[1])
    said = {}
    for name, function in PROBES.items():
        try:
            got = function(traps)
            said[name] = f"GOT {got}"[:200] if got else "refused"
        except (OSError, ValueError, OverflowError, ProcessLookupError) as error:
            said[name] = str(error)[:100] or type(error).__name__
    print(json.dumps(said))


if __name__ == "__main__":
    main()
