"""Each test is a real attempt, made inside a real sandbox, by code that means harm."""

import os
import shutil
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from models.errors import InfrastructureError, SandboxUnavailable
from models.limits import Limits
from runtime.sandbox import Finished, Mount, ProcessEnd, Sandbox, bubblewrap, open_sandbox, opening
from runtime.sandbox.bubblewrap import Bubblewrap
from runtime.sandbox.identity import lent_id
from runtime.sandbox.selftest import SECRET, examine

BASE = Path(sys.base_prefix).resolve()
PYTHON = Path(sys.executable).resolve()
ROOT = Path(__file__).parents[2]
ROOT_ONLY = {"files"} if lent_id() is not None else set()  # what a lent id cannot reach even where it is shown


@pytest.fixture(scope="module")
def sandbox() -> Sandbox:
    return open_sandbox("bubblewrap")


@pytest.fixture
def sh(sandbox: Sandbox, tmp_path: Path):
    def run(script: str, **options) -> Finished:
        return sandbox.run(["sh", "-c", script], workdir=tmp_path, limits=Limits(wall_seconds=30), **options)

    return run


@pytest.fixture
def py(sandbox: Sandbox, tmp_path: Path):
    def run(script: str, *args: str, **options) -> Finished:
        return sandbox.run(
            [str(PYTHON), "-I", "-S", "-c", script, *args],
            workdir=tmp_path,
            mounts=[Mount(BASE, BASE)],
            limits=Limits(wall_seconds=30),
            **options,
        )

    return run


def test_every_claim_of_the_self_test_holds():
    _, findings = opening.tested()
    assert len(findings) > 5
    assert [finding.name for finding in findings if not finding.holds] == []


@pytest.fixture
def leaky():
    def build(*options: str) -> Bubblewrap:
        """A bubblewrap with options of its own after those that it is given."""
        return Bubblewrap(opening.tested()[0].program, options)

    return build


@pytest.mark.parametrize(
    ("options", "holes"),
    [
        (["--share-net"], {"network", "namespaces"}),
        # root's sandbox is started where a file system of its own hides /tmp, and a folder below it is not there
        (["--ro-bind-try", tempfile.gettempdir(), tempfile.gettempdir()], {"files"} - ROOT_ONLY),
        (["--tmpfs", "/usr/local"], set()),
        (["--setenv", SECRET, "leaked"], {"environment"}),
        (["--tmpfs", "/etc"], {"root"}),
    ],
)
def test_the_self_test_finds_the_hole_in_a_leaky_sandbox(leaky, options, holes):
    assert {finding.name for finding in examine(leaky(*options)) if not finding.holds} == holes


def test_a_sandbox_with_a_hole_is_refused_by_the_name_of_the_hole(leaky, monkeypatch):
    monkeypatch.setattr(opening, "sandboxes", lambda: [leaky("--share-net")])
    with pytest.raises(SandboxUnavailable, match="cannot reach the network"):
        opening.tested.__wrapped__()


def test_a_sandbox_that_cannot_start_is_refused_with_a_remedy(leaky, monkeypatch):
    monkeypatch.setattr(opening, "sandboxes", lambda: [leaky("--no-such-option")])
    with pytest.raises(SandboxUnavailable, match=r"Unknown option --no-such-option.*--sandbox=none"):
        opening.tested.__wrapped__()


def test_the_work_directory_is_writable_and_current(sandbox, sh, tmp_path):
    done = sh("pwd; echo text > file")
    assert (done.ending, done.exit_code) == (ProcessEnd.EXITED, 0)
    assert done.output == f"{sandbox.workdir_path(tmp_path)}\n"
    assert (tmp_path / "file").read_text() == "text\n"


def test_the_time_zone_is_utc_by_its_file_as_well(py):
    script = """
import time, zoneinfo
with open("/etc/localtime", "rb") as file:
    zone = zoneinfo.ZoneInfo.from_file(file)
import datetime
print(time.tzname, zone.tzname(datetime.datetime(2026, 7, 1)), zone.utcoffset(datetime.datetime(2026, 7, 1)))
"""
    assert py(script).output.strip() == "('UTC', 'UTC') UTC 0:00:00"


def test_git_knows_an_author_in_the_sandbox(sh):
    done = sh("git init -q own && cd own && git commit -q --allow-empty -m First && git log --format='%an, %s'")
    assert done.output.splitlines()[-1] == "Sandbox, First"


def test_exit_codes_and_signals_are_told_apart(sh):
    assert (sh("exit 7").ending, sh("exit 7").exit_code) == (ProcessEnd.EXITED, 7)
    assert (sh("kill -SEGV $$").ending, sh("kill -SEGV $$").exit_code) == (ProcessEnd.SIGNALLED, 128 + 11)
    assert sh("no-such-command").exit_code == 127


@pytest.mark.parametrize("path", ["/etc/shadow", "/etc/ssh", "/var", "/home", "/srv", "/boot", "/run", "/sys"])
def test_host_paths_are_not_there(sh, path):
    assert sh(f"ls {path}").exit_code != 0


def test_a_secret_beside_the_work_directory_cannot_be_read(sh, tmp_path_factory):
    secret = tmp_path_factory.mktemp("host") / "secret"
    secret.write_text("the secret")
    done = sh(f"cat {secret}; cat ../*/secret; cat /room/../../{secret}")
    assert done.exit_code != 0
    assert "the secret" not in done.output


@pytest.mark.parametrize("path", ["/x", "/usr/x", "/usr/bin/x", "/etc/x", "/etc/passwd", "/dev/x", "/cra"])
def test_nothing_outside_the_work_directory_and_tmp_can_be_written(sh, path):
    assert sh(f"echo harm > {path}").exit_code != 0


def test_read_only_mounts_stay_read_only(sandbox, tmp_path):
    source, workdir = tmp_path / "source", tmp_path / "workdir"
    for directory in (source, workdir):
        directory.mkdir()
    (source / "file").write_text("ours")
    done = sandbox.run(
        ["sh", "-c", "cat /given/file; echo harm > /given/file || chmod 777 /given/file || rm /given/file"],
        workdir=workdir,
        mounts=[Mount(source, Path("/given"))],
    )
    assert done.output.startswith("ours")
    assert done.exit_code != 0
    assert (source / "file").read_text() == "ours"


def test_no_package_but_the_environments_own_can_be_imported(sandbox, tmp_path):
    venv = Path(sys.prefix)
    script = """
import importlib, glob, sys
import pytest
found = []
for path in [*glob.glob("/usr/lib/python3*/*-packages"), *glob.glob("/usr/local/lib/python3*/*-packages"), sys.argv[1]]:
    sys.path = [path]
    for name in ("pip", "setuptools", "_distutils_hack", "pkg_resources"):
        sys.modules.pop(name, None)
        try:
            found.append(importlib.import_module(name).__file__)
        except ImportError:
            pass
print(found)
"""
    base = next(BASE.glob("lib/python3*/site-packages"))
    done = sandbox.run(
        [str(venv / "bin" / "python"), "-c", script, str(base)],
        workdir=tmp_path,
        mounts=[Mount(BASE, BASE), Mount(venv, venv)],
        limits=Limits(wall_seconds=60),
    )
    assert done.output == "[]\n", done


@pytest.mark.parametrize("environment", ["", "environment", "lib/python3.99/site-packages/environment"])
def test_what_a_mount_brings_below_or_beside_an_interpreter_stays(sandbox, tmp_path, environment):
    base, held, workdir = (tmp_path / name for name in ("base", "held", "work"))
    (base / "bin").mkdir(parents=True)
    (base / "bin" / "python3.99").touch()
    (base / "lib/python3.99/site-packages/environment").mkdir(parents=True)
    (base / "environment").mkdir()
    (base / "lib/python3.99/site-packages/later.py").touch()
    held.mkdir()
    workdir.mkdir()
    (held / "own.py").touch()
    if not environment:
        (base / "pyvenv.cfg").touch()
    mounts = [Mount(base, Path("/base")), Mount(held, Path("/base") / (environment or "environment"))]
    done = sandbox.run(["find", "/base", "-name", "*.py"], workdir=workdir, mounts=mounts)
    assert "own.py" in done.output
    assert ("later.py" in done.output) == (not environment or environment.startswith("lib/"))


def test_the_self_test_finds_packages_behind_covers(monkeypatch):
    monkeypatch.setattr(bubblewrap, "package_covers", lambda mounts: [])
    found = examine(Bubblewrap(bubblewrap.programs()[0]))
    assert "packages" in {finding.name for finding in found if not finding.holds}


def test_the_root_cannot_be_remounted(py):
    done = py(
        """
import ctypes
libc = ctypes.CDLL(None, use_errno=True)
MS_REMOUNT, MS_BIND = 32, 4096
for path in (b"/", b"/usr", b"/etc/passwd", b"/proc", b"/dev"):
    for flags in (MS_REMOUNT, MS_REMOUNT | MS_BIND):
        assert libc.mount(None, path, None, flags, None) == -1, path
        assert ctypes.get_errno() == 1, (path, ctypes.get_errno())
assert libc.umount2(b"/usr", 2) == -1
assert libc.mount(b"none", b"/tmp", b"tmpfs", 0, None) == -1
print("refused")
"""
    )
    assert done.output == "refused\n"


def test_no_process_of_the_host_is_seen_or_can_be_signalled(py):
    done = py(
        """
import os, sys
me = os.getpid()
seen = sorted(int(name) for name in os.listdir("/proc") if name.isdigit())
assert seen[0] == 1 and me in seen and len(seen) <= 3, seen
host = int(sys.argv[1])
if host not in seen:
    try:
        os.kill(host, 0)
    except ProcessLookupError:
        print("nobody there")
""",
        str(2**15 + os.getpid()),
    )
    assert done.output == "nobody there\n"


def test_the_sandboxes_first_process_cannot_be_taken_over(py):
    done = py(
        """
import ctypes, os
libc = ctypes.CDLL(None, use_errno=True)
PTRACE_ATTACH, PTRACE_SEIZE = 16, 0x4206
assert libc.ptrace(PTRACE_ATTACH, 1, 0, 0) == -1 and ctypes.get_errno() == 1
assert libc.ptrace(PTRACE_SEIZE, 1, 0, 0) == -1 and ctypes.get_errno() == 1
for number in {"x86_64": (310, 311), "aarch64": (270, 271)}[os.uname().machine]:
    assert libc.syscall(number, 1, None, 0, None, 0, 0) == -1 and ctypes.get_errno() == 1
os.kill(1, 9)
print(os.listdir("/proc/1"))
"""
    )
    assert done.output == "[]\n", done


def test_the_hosts_own_services_cannot_be_reached(py):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        done = py(
            """
import socket, sys
try:
    socket.create_connection(("127.0.0.1", int(sys.argv[1])), 5)
except ConnectionRefusedError:
    print("refused")
""",
            str(listener.getsockname()[1]),
        )
    assert done.output == "refused\n"


def test_an_abstract_unix_socket_of_the_host_cannot_be_reached(py):
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind("\0cra-test-listener")
        listener.listen()
        done = py(
            """
import socket
try:
    socket.socket(socket.AF_UNIX).connect("\\0cra-test-listener")
except ConnectionRefusedError:
    print("refused")
"""
        )
    assert done.output == "refused\n"


def test_names_are_not_resolved_and_addresses_not_routed(py):
    done = py(
        """
import errno, socket
try:
    socket.getaddrinfo("example.org", 80)
except socket.gaierror:
    print("no name")
try:
    socket.create_connection(("192.0.2.1", 80), 5)
except OSError as error:
    print(errno.errorcode[error.errno])
"""
    )
    assert done.output == "no name\nENETUNREACH\n"


def test_loopback_inside_the_sandbox_works(py):
    done = py(
        """
import socket
server = socket.create_server(("localhost", 0))
socket.create_connection(server.getsockname())
print("connected")
"""
    )
    assert done.output == "connected\n"


def test_hypervisor_sockets_and_keyrings_are_refused(py):
    done = py(
        """
import ctypes, os, socket
try:
    socket.socket(40, socket.SOCK_STREAM)
except PermissionError:
    print("no vsock")
libc = ctypes.CDLL(None, use_errno=True)
number = {"x86_64": 250, "aarch64": 219}[os.uname().machine]
assert libc.syscall(number, 0, -3, 0) == -1 and ctypes.get_errno() == 1
print("no keyring")
"""
    )
    assert done.output == "no vsock\nno keyring\n"


def test_no_user_namespace_can_be_opened(py):
    done = py(
        """
import ctypes
libc = ctypes.CDLL(None, use_errno=True)
print(libc.unshare(0x10000000), libc.unshare(0x00020000))
"""
    )
    assert done.output == "-1 -1\n"


def test_there_are_no_privileges_to_take(py):
    done = py(
        """
import os
fields = dict(line.split(":", 1) for line in open("/proc/self/status"))
assert all(int(fields[name], 16) == 0 for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"))
assert fields["NoNewPrivs"].strip() == "1"
for attempt in (lambda: os.setuid(0), lambda: os.setgid(0), lambda: os.setgroups([0])):
    try:
        attempt()
    except OSError:
        print("no")
print(os.getuid(), os.getgid())
"""
    )
    assert done.output == "no\nno\nno\n1000 1000\n"


def test_a_setuid_file_gives_nothing(py, tmp_path):
    shutil.copy("/bin/sh", tmp_path / "sh")
    (tmp_path / "sh").chmod(0o6755)
    done = py("import os; os.execv('./sh', ['sh', '-pc', 'grep -c CapEff:.*0000000000000000 /proc/self/status'])")
    assert done.output == "1\n"


def test_the_hosts_environment_is_not_passed_on(sh, monkeypatch):
    monkeypatch.setenv("CRA_FAKE_SECRET", "the secret")
    done = sh("env; cat /proc/*/environ", env={"GIVEN": "on purpose"})
    assert "the secret" not in done.output
    assert "GIVEN=on purpose" in done.output
    assert "HOME=/tmp/home" in done.output


def test_a_symlink_in_the_work_directory_leads_nowhere_outside(sh, tmp_path, tmp_path_factory):
    outside = tmp_path_factory.mktemp("outside")
    (outside / "file").write_text("ours")
    (tmp_path / "link").symlink_to(outside)
    (tmp_path / "file-link").symlink_to(outside / "file")
    done = sh("echo harm > link/new; echo harm > file-link; cat link/file")
    assert done.exit_code != 0
    assert "ours" not in done.output
    assert [path.name for path in outside.iterdir()] == ["file"]
    assert (outside / "file").read_text() == "ours"


def test_no_descriptor_of_ours_is_left_open_inside(py):
    done = py("import os; print(sorted(int(n) for n in os.listdir('/proc/self/fd')))")
    assert done.output in ("[0, 1, 2, 3]\n",)


def test_a_mount_inside_the_work_directory_is_refused(sandbox, tmp_path):
    target = sandbox.workdir_path(tmp_path) / "inside"
    with pytest.raises(InfrastructureError, match="outside"):
        sandbox.run(["true"], workdir=tmp_path, mounts=[Mount(tmp_path, target)])


def test_a_mount_that_does_not_exist_is_an_infrastructure_fault(sandbox, tmp_path):
    with pytest.raises(InfrastructureError, match="could not start"):
        sandbox.run(["true"], workdir=tmp_path, mounts=[Mount(tmp_path / "missing", Path("/missing"))])


@pytest.mark.skipif(
    os.getuid() != 0 or not Path("/usr/bin/python3.11").exists() or sys.version_info[:2] != (3, 11),
    reason="needs root, to become somebody else, and an interpreter that everybody can read",
)
def test_an_ordinary_user_gets_the_same_isolation():
    site = next(path for path in sys.path if path.endswith("site-packages"))
    script = (
        "import os; from runtime.sandbox.opening import tested\n"
        "print(os.getuid(), all(finding.holds for finding in tested()[1]))"
    )
    done = subprocess.run(
        ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "/usr/bin/python3.11", "-c", script],
        env={"PYTHONPATH": f"{ROOT}:{site}", "HOME": "/nonexistent", "PATH": os.environ["PATH"]},
        cwd="/",
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout == "65534 True\n", done.stderr
