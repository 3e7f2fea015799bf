"""Starting a process tree under limits, watching it, and killing all of it.

The kernel enforces what it can per process (file size, data segment, no core dumps); the whole tree's wall time,
memory, number of processes, output and disk are watched from outside. The limits are set on a small shell that waits
for a line before it becomes the command: no code of ours runs between fork and exec, where a threaded program must not
do much.
"""

import contextlib
import functools
import json
import os
import select
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, NamedTuple

from models.errors import InfrastructureError
from models.limits import Limits
from runtime.sandbox.base import Finished, ProcessEnd
from runtime.sandbox.cgroup import RunCgroup, leaf
from runtime.sandbox.output import PipeReader
from runtime.sandbox.staging import Staging
from runtime.sandbox.usage import DiskWatch, ScratchWatch, proportional, tree_of, unlinked

# A limit that is refused is above the hard one, which then applies. File sizes are in blocks of 512 bytes, the data
# segment in KiB.
_GATE = """read -r _ && ulimit -c 0 && { ulimit -f "$1"; ulimit -d "$2"; shift 2; } 2>/dev/null; exec "$@" </dev/null"""
_LOOK = 0.05  # seconds between polls of the tree
_SLOW = 10  # polls between those that read disks and descriptors
_PATIENCE = 60.0  # seconds within which killed processes must be gone
_REAPING = 2.0  # seconds that bubblewrap has to reap its child, before it is killed itself
_MOST_HELPERS = 16  # processes that bubblewrap may have while it sets up
_MOST_ADJUSTMENT = "1000"  # when the host runs out of memory, the kernel ends the sandboxed first


@dataclass(frozen=True)
class ProcessLaunch:
    """What to start: `argv` with exactly `env` in `cwd`, `descriptors` left open.

    `bubblewrap` means that the program is bubblewrap, so that its status can be read. `writable` are the host
    directories whose growth is watched, the first of them at `workdir` for the command, and `scratch` its memory file
    systems. With `group`, a leaf below that control group enforces the limits. With `staging` it runs under a lent id.
    """

    argv: Sequence[str]
    env: Mapping[str, str]
    cwd: Path
    writable: Sequence[Path]
    bubblewrap: bool
    descriptors: Sequence[int] = ()
    scratch: Sequence[str] = ()
    workdir: str = ""
    group: Path | None = None
    staging: Staging | None = None


class NotStarted(InfrastructureError):
    """The sandbox itself failed before the command ran; `output` is its output."""

    def __init__(self, output: str) -> None:
        self.output = output.strip()
        last = self.output.splitlines()[-1] if self.output else "no message"
        super().__init__(f"the sandbox could not start its command: {last}; `cra sandbox check` shows why")


def supervise(launch: ProcessLaunch, limits: Limits, echo: BinaryIO | None) -> Finished:
    """Run to the end or to the first exceeded limit. Raises NotStarted, InfrastructureError."""
    with leaf(launch.group, limits) as group:
        return _supervise(launch, limits, echo, group)


def _supervise(launch: ProcessLaunch, limits: Limits, echo: BinaryIO | None, group: RunCgroup | None) -> Finished:
    started = time.monotonic()
    process, status = _start(launch, limits)
    assert process.stdin is not None and process.stdout is not None
    reader = PipeReader(process.stdout, limits.output_bytes, limits.kept_output_bytes, echo)
    tree = _Handles(process, status, group)
    scratch = ScratchWatch(launch.writable[0], launch.workdir, launch.scratch)
    try:
        disk = DiskWatch(launch.writable, limits.disk_bytes)
        _prepare(process.pid, group)
        reader.start()
        process.stdin.write(b"\n")
        process.stdin.close()
        tree.find_root()
        ending = _watch(_Watched(tree, reader, disk, scratch, group), limits, started + limits.wall_seconds)
    finally:
        tree.end()
        scratch.close()
        if not reader.exceeded.is_set() and reader.ident is not None:
            reader.join(_PATIENCE)
        process.stdout.close() if not reader.is_alive() else None
        if launch.staging is not None:
            launch.staging.release()
    seconds = time.monotonic() - started
    if ending is None and group is not None and group.out_of_memory():
        ending = ProcessEnd.MEMORY_LIMIT
    if ending is not None:
        return Finished(ending, None, seconds, reader.text())
    code = tree.exit_code(reader.text)
    if reader.exceeded.is_set():  # it printed too much and ended between two polls
        return Finished(ProcessEnd.OUTPUT_LIMIT, None, seconds, reader.text())
    kind = ProcessEnd.SIGNALLED if 128 < code <= 128 + signal.NSIG else ProcessEnd.EXITED
    return Finished(kind, code, seconds, reader.text())


def _prepare(pid: int, group: RunCgroup | None) -> None:
    """Set up the process while it waits at the gate. Raises InfrastructureError."""
    try:
        Path(f"/proc/{pid}/oom_score_adj").write_text(_MOST_ADJUSTMENT)
        if group is not None:
            group.enter(pid)
    except OSError as error:
        raise InfrastructureError(f"the sandbox's limits cannot be set: {error.strerror}; try again") from error


def _start(launch: ProcessLaunch, limits: Limits) -> tuple["subprocess.Popen[bytes]", int | None]:
    """The process, waiting at the gate, and the reading end of bubblewrap's status pipe."""
    program, *rest = launch.argv
    ends: tuple[int, ...] = os.pipe() if launch.bubblewrap else ()
    status = ["--json-status-fd", str(ends[1])] if ends else []

    def popen(user: int | None = None) -> "subprocess.Popen[bytes]":
        return subprocess.Popen(
            ["/bin/sh", "-c", _GATE, "sh", *_kernel_limits(limits), program, *status, *rest],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=dict(launch.env),
            cwd=launch.cwd,
            pass_fds=[*launch.descriptors, *ends[1:]],
            start_new_session=True,
            user=user,
            group=user,
            extra_groups=None if user is None else (),
        )

    try:
        if launch.staging is None:
            process = popen()
        else:
            process = launch.staging.start(functools.partial(popen, launch.staging.user))
    except BaseException:
        for end in ends[:1]:
            os.close(end)
        raise
    finally:
        for end in ends[1:]:
            os.close(end)
    return process, ends[0] if ends else None


def _kernel_limits(limits: Limits) -> list[str]:
    """Limits per process, as arguments of the gate. The data segment may be larger than the memory limit: reserved
    memory is not yet used."""
    return [str(limits.file_bytes // 512), str(2 * limits.memory_bytes // 1024)]


class _Watched(NamedTuple):
    """What is polled while a tree runs."""

    tree: "_Handles"
    reader: PipeReader
    disk: DiskWatch
    scratch: ScratchWatch
    group: RunCgroup | None


def _watch(watched: _Watched, limits: Limits, deadline: float) -> ProcessEnd | None:
    """The limit that the tree exceeded first, or None when it ended by itself."""
    tree, reader, disk, scratch, group = watched
    look = 0
    while not tree.ended(_LOOK):
        look += 1
        if time.monotonic() > deadline:
            return ProcessEnd.TIMEOUT
        if reader.exceeded.is_set():
            return ProcessEnd.OUTPUT_LIMIT
        usage = tree_of(tree.root, limits.processes)
        if usage.tasks > limits.processes or (group is not None and group.out_of_processes()):
            return ProcessEnd.PROCESS_LIMIT
        slow = look % _SLOW == 0
        if group is None:  # the kernel does not enforce the limits
            nameless = unlinked(usage.pids, disk.devices)[1] if slow else 0
            free = limits.memory_bytes - nameless - scratch.used(usage.pids)
            if free < 0 or (usage.resident > free and proportional(usage.pids) > free):
                return ProcessEnd.MEMORY_LIMIT
        if slow and disk.exceeded(usage.pids):
            return ProcessEnd.DISK_LIMIT
    return None


class _Handles:
    """The started process and, under bubblewrap, the first process of the sandbox's own process namespace.

    Killing the latter ends every process in the sandbox; process descriptors (pidfd) prevent killing another process
    that has got the number meanwhile.
    """

    def __init__(self, process: "subprocess.Popen[bytes]", status: int | None, group: RunCgroup | None) -> None:
        self._process, self._status, self._group = process, status, group
        self._outer = os.pidfd_open(process.pid)
        self._init: int | None = None
        self._said = b""
        self.root = process.pid

    def find_root(self) -> None:
        """Wait until bubblewrap reports the sandbox's first process, or ends."""
        if self._status is None:
            return
        while b"\n" not in self._said:
            if not _readable(self._status, _PATIENCE):
                raise InfrastructureError(f"bubblewrap did not start its sandbox within {_PATIENCE:.0f} s")
            if not (more := os.read(self._status, 4096)):
                return  # bubblewrap failed; its exit code says how
            self._said += more
        self.root = json.loads(self._said.splitlines()[0])["child-pid"]
        with contextlib.suppress(ProcessLookupError):
            self._init = os.pidfd_open(self.root)

    def ended(self, seconds: float) -> bool:
        """Wait at most `seconds` for the started process to end."""
        return _readable(self._outer, seconds)

    def end(self) -> None:
        """Kill what is left and wait until it is gone. Raises InfrastructureError if it does not die."""
        descriptors = [fd for fd in (self._init, self._outer) if fd is not None]
        try:
            if self._status is None:
                _kill_group(self._process.pid)
            elif self._init is None:
                self._kill_unfinished()
            with contextlib.suppress(ProcessLookupError, PermissionError):
                # it has to run in order to die, and a flood of processes is running as well
                os.sched_setscheduler(self.root, os.SCHED_RR, os.sched_param(1))
            if self._group is not None:
                self._group.kill()
            for descriptor in descriptors:
                with contextlib.suppress(ProcessLookupError):
                    signal.pidfd_send_signal(descriptor, signal.SIGKILL)
                _readable(self._outer, _REAPING)
            if not all(_readable(descriptor, _PATIENCE) for descriptor in descriptors):
                raise InfrastructureError(
                    f"process {self.root} outlives SIGKILL for {_PATIENCE:.0f} s; the machine hangs on I/O"
                )
            self._process.wait()
            if self._status is not None:
                while more := os.read(self._status, 4096):
                    self._said += more
        finally:
            for descriptor in [*descriptors, *([self._status] if self._status is not None else [])]:
                os.close(descriptor)

    def _kill_unfinished(self) -> None:
        """Kill what bubblewrap forked before it reported its child, which does not yet die with it."""
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(self._outer, signal.SIGSTOP)
        for pid in tree_of(self._process.pid, _MOST_HELPERS).pids[1:]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def exit_code(self, output: Callable[[], str]) -> int:
        """The command's exit code, 128 + n for signal n. Raises NotStarted if bubblewrap never ran it."""
        if self._status is None:
            code = self._process.returncode
            return code if code >= 0 else 128 - code
        for line in self._said.splitlines():
            if "exit-code" in (status := json.loads(line)):
                return int(status["exit-code"])
        if self._init is None or self._process.returncode == 1:
            raise NotStarted(output())
        raise InfrastructureError(
            f"the sandbox was killed from outside (bubblewrap ended with {self._process.returncode}); "
            "most likely the machine ran out of memory"
        )


def _readable(descriptor: int, seconds: float) -> bool:
    """Whether a pipe has data or its end, or a process descriptor's process has ended, within `seconds`."""
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    return bool(poll.poll(seconds * 1000))


def _kill_group(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(pid, signal.SIGKILL)
