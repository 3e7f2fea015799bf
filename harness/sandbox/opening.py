"""Choosing a sandbox, once per process."""

import functools
from typing import Literal

from harness.sandbox.base import Sandbox
from harness.sandbox.bubblewrap import Bubblewrap, programs
from harness.sandbox.remedies import remedy
from harness.sandbox.selftest import Finding, broken, examine
from harness.sandbox.supervise import NotStarted
from harness.sandbox.unisolated import Unisolated
from models.errors import SandboxUnavailable

Kind = Literal["auto", "bubblewrap", "none"]


def open_sandbox(kind: Kind = "auto") -> Sandbox:
    """The sandbox of a kind; `auto` is bubblewrap, never silently less.

    Raises SandboxUnavailable with the remedy when it does not hold what it must (tested once per process).
    """
    return Unisolated() if kind == "none" else tested()[0]


@functools.cache
def tested() -> tuple[Bubblewrap, tuple[Finding, ...]]:
    """The first bubblewrap that holds, and what its self-test found. Raises SandboxUnavailable."""
    failures = []
    for program in programs():
        sandbox = Bubblewrap(program)
        try:
            findings = examine(sandbox)
        except NotStarted as error:
            failures.append(f"{program} cannot isolate ({error.output}); {remedy(program)}")
            continue
        if holes := broken(findings):
            failures.append(f"{program} does not isolate; these do not hold: {'; '.join(holes)}")
            continue
        return sandbox, tuple(findings)
    raise SandboxUnavailable(failures[0])
