"""Choice of the sandbox, once per process."""

import functools
import logging
import os
from dataclasses import dataclass
from typing import Literal

from models.errors import InfrastructureError, SandboxUnavailable
from runtime.sandbox.base import Sandbox
from runtime.sandbox.bubblewrap import Bubblewrap, programs
from runtime.sandbox.remedies import remedy
from runtime.sandbox.selftest import IsolationCheck, broken, examine
from runtime.sandbox.supervise import NotStarted
from runtime.sandbox.unisolated import Unisolated

_LOG = logging.getLogger(__name__)
_REPORTED = "CLEAN_ROOM_SANDBOX_LIMITS_TOLD"

SandboxKind = Literal["auto", "bubblewrap", "none"]


def open_sandbox(kind: SandboxKind = "auto", *, notify: bool = True) -> Sandbox:
    """The sandbox of a kind; `auto` is bubblewrap, never silently less.

    With `notify`, limits that the kernel does not enforce on this machine are logged in one line, once per process
    tree. Raises SandboxUnavailable with the remedy when the self-test fails (run once per process).
    """
    if kind == "none":
        return Unisolated()
    sandbox = tested()[0]
    if notify:
        _warn(unenforced(sandbox))
    return sandbox


@functools.cache
def tested() -> tuple[Bubblewrap, tuple[IsolationCheck, ...]]:
    """The first bubblewrap that passes, and the results of its self-test. Raises SandboxUnavailable."""
    failures = []
    for sandbox in sandboxes():
        program = sandbox.program
        try:
            findings = examine(sandbox)
        except NotStarted as error:
            failures.append(f"{program} cannot isolate ({error.output}); {remedy(program)}")
            continue
        except InfrastructureError as error:  # a right that even root lacks here
            failures.append(f"{program} cannot isolate: {error}; --sandbox=none runs code you trust without isolation")
            continue
        if holes := broken(findings):
            failures.append(f"{program} does not isolate; these do not hold: {'; '.join(holes)}")
            continue
        return sandbox, tuple(findings)
    raise SandboxUnavailable(failures[0])


def sandboxes() -> list[Bubblewrap]:
    """Those worth trying, the best first."""
    return [Bubblewrap(program) for program in programs()]


@dataclass(frozen=True)
class Limit:
    """A limit and its enforcement: by the kernel, or by a watcher that polls."""

    what: str
    held_by: str
    by_kernel: bool


def limits_of(sandbox: Bubblewrap) -> list[Limit]:
    """How each limit on a whole process tree is enforced on this machine."""
    counted = sandbox.memory_is_accounted
    watched = "watched twenty times a second"
    return [
        Limit("memory, memory file systems included", "control group" if counted else watched, counted),
        Limit("System V memory", "control group" if counted else "refused", True),
        Limit("kernel memory of sockets and pipes", "control group" if counted else "not limited", counted),
        Limit(
            "processes and threads", "control group" if counted else "user limit, at twice the number; watched", True
        ),
        Limit("bytes and files on disk", "watched twice a second", False),
    ]


def unenforced(sandbox: Bubblewrap) -> list[str]:
    """Limits that control groups would enforce and that are only polled; empty where control groups are available."""
    return [] if sandbox.memory_is_accounted else [each.what for each in limits_of(sandbox)[:-1] if not each.by_kernel]


def _warn(missing: list[str]) -> None:
    """Log once which limits the kernel does not enforce here. Child processes do not repeat it."""
    if missing and _REPORTED not in os.environ:
        os.environ[_REPORTED] = "1"
        _LOG.warning(
            "the kernel does not enforce limits on %s here: no control group (version 2) can be used; "
            "`cra sandbox check` shows what is watched instead",
            " and ".join(missing),
        )
