"""Taking too much, of anything: each attack says `GOT` when it has it, and is held when it was ended or refused before."""

# ruff: noqa: E501 (programs of one line each)

import functools
import os
import secrets
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.attacks.base import Attack, GotThrough
from host.folders import copy_tree
from host.throwaway import discard, throwaway
from models.limits import MIB, Limits
from repos.trees import files_and_links
from runtime.sandbox import Finished, Mount, ProcessEnd
from runtime.sandbox.opening import tested

PYTHON, BASE = Path(sys.executable).resolve(), Path(sys.base_prefix).resolve()
_PATIENCE = 20.0  # seconds in which a tree must be out of the way; it takes a fraction of one
_LIMITS = Limits(
    wall_seconds=20, memory_bytes=192 * MIB, processes=64, disk_bytes=48 * MIB, file_bytes=32 * MIB, output_bytes=MIB
)


@dataclass(frozen=True)
class Taking:
    """A script that takes something, and the limits that end it; a refusal that it notices holds it as well."""

    name: str
    script: str
    ends: tuple[ProcessEnd, ...] = ()
    limits: dict[str, float] = field(default_factory=dict)


_MEMORY, _PROCESSES, _DISK = (ProcessEnd.MEMORY_LIMIT,), (ProcessEnd.PROCESS_LIMIT,), (ProcessEnd.DISK_LIMIT,)
_HOLD = "\nimport time; time.sleep(3); print('GOT', flush=True)"
_TAKINGS = (
    Taking("memory of one process", "hog = [b'x' * 2**20 for _ in range(400)]" + _HOLD, _MEMORY),
    Taking(
        "memory over many processes",
        "import os\nfor _ in range(3): os.fork()\nhog = os.urandom(2**20) * 60" + _HOLD,
        _MEMORY,
    ),
    Taking("memory shared without a file", "import mmap\nhog = mmap.mmap(-1, 400 * 2**20)\nhog.write(b'x' * (400 * 2**20))" + _HOLD, _MEMORY),
    Taking(
        "memory files",
        "import os\nhog = os.memfd_create('hog')\nfor _ in range(15): os.write(os.memfd_create('hog'), b'')\n"
        "files = [os.memfd_create('hog') for _ in range(20)]\nfor file in files: os.write(file, b'x' * (20 * 2**20))" + _HOLD,
        _MEMORY,
    ),
    Taking(
        "memory files of a process that may not be looked into",
        "import ctypes, os\nctypes.CDLL(None).prctl(4, 0)\nfiles = [os.memfd_create('hog') for _ in range(20)]\n"
        "for file in files: os.write(file, b'x' * (20 * 2**20))" + _HOLD,
        _MEMORY,
    ),
    Taking(
        "System V memory that nobody has attached",
        "import ctypes, os\nlibc = ctypes.CDLL(None)\nlibc.shmat.restype = ctypes.c_void_p\nfor _ in range(8):\n"
        "    number = libc.shmget(0, 50 * 2**20, 0o1600)\n    if number == -1: raise SystemExit('refused')\n"
        "    at = libc.shmat(number, None, 0)\n    ctypes.memset(at, 1, 50 * 2**20)\n    libc.shmdt(ctypes.c_void_p(at))" + _HOLD,
        _MEMORY,
    ),
    Taking(
        "System V message queues",
        "import ctypes\nlibc = ctypes.CDLL(None)\nqueues = [libc.msgget(0, 0o1600) for _ in range(1000)]\n"
        "if queues[-1] == -1: raise SystemExit('refused')" + _HOLD,
        _MEMORY,
    ),
    Taking(
        "System V semaphores",
        "import ctypes\nlibc = ctypes.CDLL(None)\nif libc.semget(0, 32000, 0o1600) == -1: raise SystemExit('refused')" + _HOLD,
        _MEMORY,
    ),
    Taking(
        "POSIX shared memory",
        "files = [open(f'/dev/shm/{n}', 'wb') for n in range(10)]\nfor file in files: file.write(b'x' * (20 * 2**20)); file.flush()" + _HOLD,
        _MEMORY,
    ),
    Taking(
        "bytes in /tmp",
        "for n in range(10):\n    with open(f'/tmp/{n}', 'wb') as file: file.write(b'x' * (30 * 2**20))" + _HOLD,
        _MEMORY,
        {"disk_bytes": 2048 * MIB},
    ),
    Taking(
        "bytes in files of /tmp without a name",
        "import os\nfiles = []\nfor n in range(10):\n    files.append(open('/tmp/x', 'wb')); os.unlink('/tmp/x')\n"
        "    files[-1].write(b'x' * (30 * 2**20)); files[-1].flush()" + _HOLD,
        _MEMORY,
        {"disk_bytes": 2048 * MIB},
    ),
    Taking(
        "files in /tmp without content",
        "import os\nfor n in range(300000): os.close(os.open(f'/tmp/{n}', os.O_CREAT | os.O_WRONLY))" + _HOLD,
        _MEMORY,
    ),
    Taking(
        "folders in /dev/shm",
        "import os\nfor n in range(300000): os.mkdir(f'/dev/shm/{n}')" + _HOLD,
        _MEMORY,
    ),
    Taking("reserved memory", "bytearray(2**40)" + _HOLD),
    Taking("a flood of processes", "import os\nwhile True:\n    os.fork()", _PROCESSES),
    Taking(
        "a flood of processes that leave their session",
        "import os\nwhile True:\n    if os.fork() == 0: os.setsid()",
        _PROCESSES,
    ),
    Taking(
        "processes that are replaced as they end",
        "import os, time\nif os.fork():\n    time.sleep(60); print('GOT')\nwhile True:\n    if os.fork(): os._exit(0)",
        (ProcessEnd.TIMEOUT,),
        {"wall_seconds": 1.0},
    ),
    Taking(
        "threads",
        "import threading, time\nthreading.stack_size(65536)\nfor _ in range(300): threading.Thread(target=time.sleep, args=(30,)).start()" + _HOLD,
        _PROCESSES,
    ),
    Taking(
        "processes that nobody waits for",
        "import os, time\nfor _ in range(300):\n    if os.fork() == 0: os._exit(0)" + _HOLD,
        _PROCESSES,
    ),
    Taking("printed bytes", "import os\nwhile True: os.write(1, b'x' * 65536)", (ProcessEnd.OUTPUT_LIMIT,)),
    Taking("printed lines on the error output", "import os\nwhile True: os.write(2, b'x\\n')", (ProcessEnd.OUTPUT_LIMIT,)),
    Taking(
        "bytes on disk",
        "for n in range(20):\n    with open(str(n), 'wb') as file: file.write(b'x' * (20 * 2**20))" + _HOLD,
        _DISK,
    ),
    Taking(
        "bytes on disk, deep in the tree",
        "import os\nfor _ in range(1500): os.mkdir('d' * 100); os.chdir('d' * 100)\nfor n in range(20):\n"
        "    with open(str(n), 'wb') as file: file.write(b'x' * (20 * 2**20))" + _HOLD,
        _DISK,
    ),
    Taking(
        "bytes on disk, in folders without rights",
        "import os\nfor n in range(20):\n    os.mkdir(f'd{n}')\n    with open(f'd{n}/x', 'wb') as file: file.write(b'x' * (20 * 2**20))\n"
        "    os.chmod(f'd{n}', 0o111)" + _HOLD,
        _DISK,
    ),
    Taking(
        "bytes in files on disk without a name",
        "import os\nfiles = []\nfor n in range(20):\n    files.append(open('x', 'wb')); os.unlink('x')\n"
        "    files[-1].write(b'x' * (20 * 2**20)); files[-1].flush()" + _HOLD,
        _DISK,
    ),
    Taking(
        "files on disk without content",
        "import os\nfor n in range(40000): os.close(os.open(str(n), os.O_CREAT | os.O_WRONLY))" + _HOLD,
        _DISK,
    ),
    Taking(
        "one large file",
        "with open('x', 'wb') as file: file.write(b'x' * (40 * 2**20))" + _HOLD,
        _DISK,
    ),
    Taking("one sparse file", "with open('x', 'wb') as file: file.truncate(2**40)" + _HOLD, _DISK),
    Taking("time", "import time; time.sleep(60); print('GOT')", (ProcessEnd.TIMEOUT,), {"wall_seconds": 0.5}),
    Taking(
        "time, with every signal ignored",
        "import signal, time\nfor n in range(1, 32):\n    try: signal.signal(n, signal.SIG_IGN)\n    except OSError: pass\n"
        "time.sleep(60); print('GOT')",
        (ProcessEnd.TIMEOUT,),
        {"wall_seconds": 0.5},
    ),
    Taking(
        "time, stopped",
        "import os, signal; os.kill(os.getpid(), signal.SIGSTOP); print('GOT')",
        (ProcessEnd.TIMEOUT,),
        {"wall_seconds": 0.5},
    ),
    Taking(
        "time, with the output closed",
        "import os, time; os.close(1); os.close(2); time.sleep(60)",
        (ProcessEnd.TIMEOUT,),
        {"wall_seconds": 0.5},
    ),
    Taking("time, busy", "while True: pass", (ProcessEnd.TIMEOUT,), {"wall_seconds": 0.5}),
)  # fmt: skip

_SURVIVORS = {
    "a daemon": "import os\nif os.fork() == 0:\n    os.setsid()\n    if os.fork() == 0: os.execv(python, argv)",
    "a daemon that holds the output": "import os\nif os.fork() == 0: os.execv(python, argv)",
    "a daemon that is stopped": "import os, signal\nif os.fork() == 0:\n    os.kill(os.getpid(), signal.SIGSTOP); os.execv(python, argv)",
    "a daemon of a killed run": "import os, time\nif os.fork() == 0: os.setsid(); os.execv(python, argv)\ntime.sleep(60)",
}  # fmt: skip

_TREES = {
    "3,000 nested folders": "import os\nfor _ in range(3000): os.mkdir('d'); os.chdir('d')",
    "3,000 nested folders with long names": "import os\nfor _ in range(3000): os.mkdir('d' * 255); os.chdir('d' * 255)",
    "20,000 folders with long names": "import os\nfor n in range(20000): os.mkdir(f'{n:0255d}')",
    "folders without rights": "import os\nfor n in range(300): os.makedirs(f'd{n}/below/it'); os.chmod(f'd{n}/below', 0); os.chmod(f'd{n}', 0)",
    "nested folders without rights": "import os\nfor n in range(200): os.makedirs('/'.join(f'd{i}' for i in range(n + 1)), exist_ok=True)\n"
    "for n in range(200, 0, -1): os.chmod('/'.join(f'd{i}' for i in range(n)), 0)",
    "a work tree without rights": "import os\nos.mkdir('x'); os.chmod('.', 0)",
    "names that are no text": "import os\nfor n in range(1, 255):\n    if n != 47: os.makedirs(bytes([n]) + b'\\xff/' + bytes([n]))",
    "links in circles": "import os\nos.symlink('a', 'b'); os.symlink('b', 'a'); os.symlink('.', 'self'); os.symlink('/', 'root')",
    "pipes and sockets": "import os, socket\nos.mkfifo('pipe'); socket.socket(socket.AF_UNIX).bind('socket'); os.mkdir('d'); os.mkfifo('d/conftest.py')",
    "files of many names": "import os\nopen('x', 'w').close()\nfor n in range(20000): os.link('x', str(n))",
    "sparse files of 64 GiB": "for n in range(2000): open(str(n), 'wb').truncate(2**25)",
    "attributes and sticky folders": "import os\nfor n in range(100): os.mkdir(str(n)); os.mkdir(f'{n}/x'); os.chmod(str(n), 0o1555)",
}  # fmt: skip


def attacks() -> list[Attack]:
    """All attacks of this kind."""
    found = [Attack("exhaustion", each.name, functools.partial(_take, each)) for each in _TAKINGS]
    found += [Attack("exhaustion", f"outlive: {n}", functools.partial(_survive, s)) for n, s in _SURVIVORS.items()]
    return found + [Attack("exhaustion", f"leave behind: {n}", functools.partial(_leave, s)) for n, s in _TREES.items()]


def _run(workdir: Path, script: str, limits: Limits, *more: str) -> Finished:
    argv = [str(PYTHON), "-I", "-S", "-c", script, *more]
    return tested()[0].run(argv, workdir=workdir, mounts=[Mount(BASE, BASE)], limits=limits)


def _take(taking: Taking, scratch: Path) -> str:
    with throwaway("take-", scratch) as workdir:
        done = _run(workdir, taking.script, _LIMITS.model_copy(update=taking.limits))
    if "GOT" in done.output:
        raise GotThrough(f"it got it: {done.ending} {done.output[-200:]}")
    if done.ending is ProcessEnd.EXITED and done.exit_code != 0:
        return f"refused: {done.output.strip().splitlines()[-1:]}"
    if done.ending not in taking.ends:
        raise GotThrough(f"it ended as {done.ending}: {done.output[-200:]}")
    return done.ending.value


def _survive(script: str, scratch: Path) -> str:
    marker = f"cra-survivor-{secrets.token_hex(6)}"
    head = f"python, argv = {str(PYTHON)!r}, ['{marker}', '-I', '-S', '-c', 'import time; time.sleep(60)']\n"
    _run(scratch, head + script, _LIMITS.model_copy(update={"wall_seconds": 2.0}))
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if path.read_bytes().startswith(marker.encode()):
                raise GotThrough(f"process {path.parent.name} is still there")
        except OSError:
            continue
    return "nothing is left of it"


def _leave(script: str, scratch: Path) -> str:
    with throwaway("cra-left-") as folder:
        workdir = folder / "work"
        workdir.mkdir()
        first = _run(workdir, script, _LIMITS.model_copy(update={"wall_seconds": 60, "disk_bytes": 4096 * MIB}))
        if first.ending is not ProcessEnd.EXITED or first.exit_code != 0:
            raise GotThrough(f"the attack did not work: {first.ending} {first.output[-300:]}")
        again = _run(workdir, "print('still')", _LIMITS)
        if again.output != "still\n" and os.geteuid() == 0:
            raise GotThrough(f"a second run over what the first one left: {again.ending} {again.output[-300:]}")
        known = sum(1 for _ in files_and_links(workdir)) if os.access(workdir, os.R_OK) else 0
        try:
            copy_tree(workdir, folder / "copy")
        except OSError as error:
            copied = f"not copied ({error.strerror or error})"
        else:
            copied = "copied"
        started = time.monotonic()
        for name in ("copy", "work"):
            discard(folder / name)
        took = time.monotonic() - started
        if workdir.exists() or took > _PATIENCE:
            raise GotThrough(f"the tree is in the way for {took:.0f} s")
    return f"{known} files seen, {copied}, out of the way in {took:.1f} s"
