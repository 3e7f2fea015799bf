"""Self-test: the sandbox tries to escape from itself before it is trusted."""

import json
import os
import secrets
import socket
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from host.throwaway import throwaway
from models.errors import SandboxUnavailable
from models.limits import Limits
from runtime.sandbox import seccomp
from runtime.sandbox.base import Mount
from runtime.sandbox.bubblewrap import Bubblewrap
from runtime.sandbox.identity import is_root

SECRET = "CRA_SELF_TEST_SECRET"
_LIMITS = Limits(wall_seconds=60.0, output_bytes=1 << 20)

# Runs inside. Prints one JSON list: the names of the attempts that succeeded.
_ATTEMPTS = r"""
import ctypes, glob, itertools, json, os, socket, sys
MOST = 20000
secret_file, home, visible, port, namespaces, variable, marker = json.loads(sys.argv[1])
libc = ctypes.CDLL(None, use_errno=True)
holes = []

def attempt(name, function):
    try:
        if function():
            holes.append(name)
    except OSError:
        pass

def writable(place):
    # the first file at or below a place of /proc that opens for writing; nothing is written
    paths = [place] if os.path.isfile(place) else (
        os.path.join(folder, name) for folder, _, names in os.walk(place) for name in names
    )
    for path in itertools.islice(paths, MOST):
        try:
            os.close(os.open(path, os.O_WRONLY | os.O_NONBLOCK))
        except OSError:
            continue
        return path
    return None

def readable(paths):
    for path in paths:
        try:
            with open(path, "rb", buffering=0) as file:
                if file.read(1):
                    return path
        except OSError:
            continue
    return None

def creates(directory):
    path = os.path.join(directory, marker)
    os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL))
    os.unlink(path)
    return True

def status(field):
    with open("/proc/self/status") as lines:
        return next(int(line.split()[1], 16) for line in lines if line.startswith(field + ":"))

attempt("files", lambda: open(secret_file).read())
attempt("home", lambda: set(os.listdir(home)) - set(visible))
for directory in ("/", "/usr", "/etc", "/dev"):
    attempt("root", lambda: creates(directory))
attempt("remount", lambda: libc.mount(None, b"/usr", None, 32 | 4096, None) == 0)
attempt("network", lambda: socket.create_connection(("127.0.0.1", port), 2))
for name, inode in namespaces.items():
    attempt("namespaces", lambda: os.readlink("/proc/self/ns/" + name) == inode)
attempt("capabilities", lambda: status("CapEff") or status("CapBnd") or status("CapPrm"))
attempt("nesting", lambda: libc.unshare(0x10000000) == 0)
attempt("environment", lambda: variable in os.environ)
attempt("vsock", lambda: socket.socket(40, socket.SOCK_STREAM))
attempt("tracing", lambda: libc.ptrace(16, 1, 0, 0) == 0)
attempt("tracing", lambda: open("/proc/1/mem", "rb+"))
attempt("keyring", lambda: libc.syscall(KEYCTL, 0, -3, 1) != -1)
attempt("settings", lambda: writable("/proc/sys"))
attempt("magic keys", lambda: writable("/proc/sysrq-trigger"))
attempt("interrupts", lambda: writable("/proc/irq"))
for place in ("bus", "fs", "acpi", "scsi", "driver", "tty", "pressure", "sysvipc", "mtrr"):
    attempt("devices", lambda: writable("/proc/" + place))
attempt("kernel", lambda: readable("/proc/" + name for name in
        ("kcore", "keys", "key-users", "kmsg", "timer_list", "sched_debug", "latency_stats")))
ONLY_ROOTS = ("kernel/cad_pid", "kernel/usermodehelper/bset", "vm/mmap_rnd_bits", "fs/protected_hardlinks")
PATHS = ["/proc/sys/" + name for name in ONLY_ROOTS]
def holds_packages(root):
    found = glob.glob(root + "/lib*/python*/*-packages/*") + glob.glob(root + "/lib*/python*/ensurepip/_bundled/*")
    return found + glob.glob(root + "/share/python*-wheels/*")

for root in ("/usr", "/usr/local", sys.base_prefix):
    attempt("packages", lambda: holds_packages(root))
attempt("root user", lambda: readable(path for path in PATHS
        if os.path.exists(path) and not os.stat(path).st_mode & 0o077))
for number in SYSTEM_V:
    attempt("system v", lambda: libc.syscall(number, 0, 4096, 0o1600) != -1)
with open("owner", "w"):
    pass
print(json.dumps(sorted(set(holes))))
"""
_KEYCTL = {"x86_64": 250, "aarch64": 219}


@dataclass(frozen=True)
class IsolationCheck:
    """One thing that a sandboxed command must not be able to do, and whether it was prevented."""

    name: str
    claim: str
    holds: bool


_CLAIMS = {
    "files": "cannot read the host's files",
    "home": "cannot see the home directory",
    "root": "cannot write outside its work directory and /tmp",
    "remount": "cannot make the root writable",
    "network": "cannot reach the network, this machine's own services included",
    "namespaces": "sees no process, mount, user or network of the host",
    "capabilities": "has no privileges",
    "nesting": "cannot open a user namespace of its own",
    "environment": "does not get the host's environment variables",
    "vsock": "cannot reach the hypervisor",
    "tracing": "cannot take over the sandbox's own process",
    "keyring": "cannot reach kernel keyrings",
    "settings": "cannot write the host's kernel settings (/proc/sys)",
    "magic keys": "cannot trigger SysRq (/proc/sysrq-trigger)",
    "interrupts": "cannot change the affinity of interrupts (/proc/irq)",
    "devices": "cannot write to buses, drivers and file systems (/proc/bus, /proc/fs, ...)",
    "kernel": "cannot read the kernel's memory, keys and timers (/proc/kcore, /proc/keys, ...)",
    "root user": "is not the host's root, whatever its user id inside",
    "packages": "has no packages but those of its environment",
    "system v": "has no System V memory, which no limit per process counts",
}


def examine(sandbox: Bubblewrap) -> list[IsolationCheck]:
    """The escapes that work in this sandbox. Raises NotStarted when no command can run in it."""
    python = Path(sys.executable).resolve()
    prefix = Path(sys.base_prefix).resolve()
    home = Path.home()
    visible = prefix.relative_to(home).parts[:1] if prefix.is_relative_to(home) else ()
    namespaces = {name: os.readlink(f"/proc/self/ns/{name}") for name in ("user", "pid", "net", "mnt", "ipc")}  # noqa: PTH115
    with (
        throwaway("cra-self-test-") as folder,
        socket.create_server(("127.0.0.1", 0)) as listener,
    ):
        secret = folder / "secret"
        secret.write_text("secret")
        workdir = folder / "workdir"
        workdir.mkdir()
        arguments = json.dumps(
            [
                str(secret),
                str(home),
                list(visible),
                listener.getsockname()[1],
                namespaces,
                SECRET,
                secrets.token_hex(8),
            ]
        )
        script = _ATTEMPTS.replace("KEYCTL", str(_KEYCTL.get(os.uname().machine, -1)))
        script = script.replace("SYSTEM_V", str(() if sandbox.memory_is_accounted else seccomp.system_v()))
        os.environ[SECRET] = "secret"
        try:
            done = sandbox.run(
                [str(python), "-I", "-S", "-c", script, arguments],
                workdir=workdir,
                mounts=[Mount(prefix, prefix)],
                limits=_LIMITS,
            )
        finally:
            del os.environ[SECRET]
        as_root = _left_by_root(workdir / "owner")
    findings = _findings(done.output, as_root)
    return [each for each in findings if each.name != "system v" or not sandbox.memory_is_accounted]


def _left_by_root(left: Path) -> bool:
    """Whether a file that the sandboxed command created belongs to root outside; without one the script has failed."""
    return left.exists() and is_root(left.lstat().st_uid)


def _findings(output: str, as_root: bool) -> list[IsolationCheck]:
    try:
        holes = {*json.loads(output), *(("root user",) if as_root else ())}
    except ValueError as error:
        last = output.strip().splitlines()[-1:] or ["nothing"]
        raise SandboxUnavailable(f"the sandbox's self-test gave no answer, but printed: {last[0]}") from error
    return [IsolationCheck(name, claim, name not in holes) for name, claim in _CLAIMS.items()]


def broken(findings: Sequence[IsolationCheck]) -> list[str]:
    """The claims that do not hold, as texts."""
    return [finding.claim for finding in findings if not finding.holds]
