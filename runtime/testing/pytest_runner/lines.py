"""Lines of some files that a test run executes, on any Python of a repository's environment.

This uses our own tracer, not coverage.py: environments contain the wheels of the repository's own lock and nothing
else, for Python 3.8 to 3.14, and no release of coverage.py supports all of these.
"""

import os
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from models.limits import Limits
from models.plans import Frozen
from models.suite import SuiteReport
from runtime.sandbox import Sandbox
from runtime.testing.base import Plugin, Selection, SuiteSetup
from runtime.testing.channel import Received
from runtime.testing.pytest_runner.runs import run_suite
from runtime.testing.results import Lines

_PLUGIN = Path(__file__).with_name("_lines_plugin.py")


class _File(Frozen):
    can: tuple[int, ...]
    ran: tuple[int, ...]


_RECORD = TypeAdapter(dict[str, _File])


def run_measured(
    sandbox: Sandbox, workdir: Path, setup: SuiteSetup, selection: Selection, limits: Limits, files: Collection[str]
) -> tuple[SuiteReport, dict[str, Lines]]:
    """Run tests as `run_suite` does, and return which lines of `files` (relative paths) they ran.

    A file without a record is left out: the run did not end normally. The tested code can falsify the record; a
    measurement is no verdict.
    """
    root = sandbox.workdir_path(workdir)
    inside = {os.path.normpath(root / path): path for path in sorted(files)}
    records: list[dict[str, _File]] = []

    def collect(results: Path, received: Received) -> None:
        records[:] = [_read(line) for line in received.lines]

    plugin = Plugin(_PLUGIN, "lines", {"files": list(inside)}, collect)
    report = run_suite(sandbox, workdir, setup, selection, limits, [plugin])
    found: dict[str, Lines] = {}
    for record in records:
        for path, lines in record.items():
            if path in inside:
                before = found.get(inside[path], Lines(frozenset(), frozenset()))
                found[inside[path]] = Lines(before.can | set(lines.can), before.ran | set(lines.ran))
    return report, found


def _read(line: list[Any]) -> dict[str, _File]:
    with suppress(ValidationError):
        return _RECORD.validate_python(line[-1])
    return {}
