"""Escapes from the sandbox, as root and as an ordinary user: the probes of `_probes`, all in one run each."""

import contextlib
import functools
import json
import os
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from benchmarks.attacks import _probes
from benchmarks.attacks.base import Attack, GotThrough, NotHere
from models.limits import Limits
from runtime.sandbox import Mount
from runtime.sandbox.identity import lent_id
from runtime.sandbox.opening import tested
from runtime.sandbox.staging import Staging

ROOT = Path(__file__).parents[2]
_VARIABLE = "HOST_SECRET_OF_ATTACKS"
_AS_PROGRAM = "import json; from benchmarks.attacks.sandbox import probed; print(json.dumps(probed()))"
_ONLY_COUNTED = ("System V memory", "System V queues", "System V semaphores")


def attacks() -> list[Attack]:
    """One attack per probe and user."""
    kinds = {"sandbox as root": as_root, "sandbox as an ordinary user": as_ordinary_user}
    return [
        Attack(kind, name, functools.partial(_try, said, name))
        for kind, said in kinds.items()
        for name in _probes.PROBES
    ]


def _try(said: Callable[[], dict[str, str]], name: str, scratch: Path) -> str:
    answers = said()
    if name not in answers:
        raise GotThrough(f"the probes were ended before they could tell: {answers}")
    if answers[name].startswith("GOT "):
        raise GotThrough(answers[name].removeprefix("GOT "))
    return answers[name]


@functools.cache
def as_root() -> dict[str, str]:
    """What the probes said in a sandbox of root's. Raises NotHere for anybody else."""
    if lent_id() is None:
        raise NotHere("only root can be attacked as root")
    return probed()


@functools.cache
def as_ordinary_user() -> dict[str, str]:
    """What the probes said in a sandbox of an ordinary user's: ours, or one that root becomes for it."""
    lent = lent_id()
    return probed() if lent is None else _become(lent - 1)


def _become(user: int) -> dict[str, str]:
    scratch = Path(tempfile.mkdtemp(prefix="cra-attack-user-"))
    site = next(Path(path) for path in sys.path if path.endswith("site-packages"))
    staging = Staging(user, [ROOT, Path(sys.base_prefix), site, scratch], Path("/bin/true"))
    try:
        os.chown(scratch, user, user)
        seen = staging.path_of
        python = seen(Path(sys.base_prefix)) / Path(sys.executable).resolve().relative_to(
            Path(sys.base_prefix).resolve()
        )
        process = staging.start(
            lambda: subprocess.Popen(
                [python, "-S", "-c", _AS_PROGRAM],
                env={"PYTHONPATH": f"{seen(ROOT)}:{seen(site)}", "TMPDIR": str(seen(scratch)), "HOME": "/nonexistent",
                     "PATH": os.environ["PATH"]},
                cwd="/", stdout=subprocess.PIPE, stderr=subprocess.PIPE, user=user, group=user, extra_groups=(),
            )
        )  # fmt: skip
        out, error = process.communicate(timeout=120)
    finally:
        staging.release()
        shutil.rmtree(scratch, ignore_errors=True)
    if process.returncode != 0:
        raise NotHere(f"no ordinary user to be had: {error.decode(errors='replace').strip().splitlines()[-1:]}")
    answers: dict[str, str] = json.loads(out.decode().splitlines()[-1])
    return answers


def probed() -> dict[str, str]:
    """What the probes said in a sandbox of the caller's, with traps laid on the host; each with what the host saw."""
    sandbox = tested()[0]
    python = Path(sys.executable).resolve()
    base = Path(sys.base_prefix).resolve()
    with (
        tempfile.TemporaryDirectory(prefix="cra-attack-", ignore_cleanup_errors=True) as name,
        _traps(Path(name)) as traps,
    ):
        workdir = Path(name) / "work"
        workdir.mkdir()
        shutil.copy(_probes.__file__, workdir / "probes.py")
        before = _state()
        done = sandbox.run(
            [str(python), "-I", "-S", "probes.py", json.dumps(traps)],
            workdir=workdir,
            mounts=[Mount(base, base)],
            limits=Limits(wall_seconds=60),
        )
        try:
            answers: dict[str, str] = json.loads(done.output)
        except ValueError:
            return {"": f"{done.ending}: {done.output[-500:]}"}
        if sandbox.memory_is_accounted:
            answers |= dict.fromkeys(_ONLY_COUNTED, "counted by the control group")
        if (after := _state()) != before:
            answers["see processes of the host"] = f"GOT the host changed from {before} to {after}"
        return answers


def _state() -> tuple[str, ...]:
    settings = ("core_pattern", "hostname", "sysrq", "panic")
    return tuple(path.read_text() for name in settings if (path := Path("/proc/sys/kernel") / name).exists())


@contextlib.contextmanager
def _traps(folder: Path) -> Iterator[dict[str, str]]:
    """Things of the host's that the probes look for."""
    host = folder / "host"
    host.mkdir()
    (host / "secret").write_text("the host's own")
    shared = Path("/dev/shm") / f"cra-{secrets.token_hex(4)}"
    abstract = f"cra-{secrets.token_hex(4)}"
    os.environ[_VARIABLE] = "secret"
    with contextlib.ExitStack() as held:
        shared.touch()
        held.callback(shared.unlink)
        held.callback(os.environ.pop, _VARIABLE)
        descriptor = os.open(host / "secret", os.O_RDONLY)
        held.callback(os.close, descriptor)
        os.set_inheritable(descriptor, True)
        listener = held.enter_context(socket.create_server(("127.0.0.1", 0)))
        for address in (str(host / "socket"), f"\0{abstract}"):
            unix = held.enter_context(socket.socket(socket.AF_UNIX))
            unix.bind(address)
            unix.listen()
        yield {
            "file": str(host / "secret"),
            "port": str(listener.getsockname()[1]),
            "socket": str(host / "socket"),
            "abstract": abstract,
            "pid": str(os.getpid()),
            "variable": _VARIABLE,
            "shared": shared.name,
        }
