"""Which lines of some files a test run executes, on whatever Python the repository's environment has.

A tracer of ours and not coverage.py: environments hold the wheels of the repository's own lock and nothing else, for
Python 3.8 to 3.14, and no release of coverage.py runs on all of these.
"""

import json
import os
import secrets
from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from harness.sandbox import Mount, Sandbox
from harness.testing.base import Selection, SuiteSetup
from harness.testing.records import read_left
from harness.testing.runs import run_suite
from harness.throwaway import throwaway
from models.limits import Limits
from models.plans import Frozen
from models.suite import SuiteReport

_PLUGIN = Path(__file__).with_name("_lines_plugin.py")


class _File(Frozen):
    can: tuple[int, ...]
    ran: tuple[int, ...]


class _Record(Frozen):
    nonce: str
    files: dict[str, _File]


_RECORD = TypeAdapter(_Record)


@dataclass(frozen=True)
class Lines:
    """Lines of a file, from 1: those that have code, and those of them that ran."""

    can: frozenset[int]
    ran: frozenset[int]


def run_measured(
    sandbox: Sandbox, workdir: Path, setup: SuiteSetup, selection: Selection, limits: Limits, files: Collection[str]
) -> tuple[SuiteReport, dict[str, Lines]]:
    """Run tests as `run_suite` does, and say which lines of `files` (relative paths) they ran.

    A file that nothing is known of is left out: the run did not come to its end. What the tested code does to the
    record cannot be told from the truth; a measurement is no verdict.
    """
    with throwaway("cra-lines-") as scratch:
        plugin = Mount(scratch / "plugin", Path("/cra/lines"))
        results = Mount(scratch / "results", Path("/cra/measured"), writable=True)
        for mount in (plugin, results):
            mount.source.mkdir()
        root, nonce = sandbox.workdir_path(workdir), secrets.token_hex(16)
        inside = {os.path.normpath(root / path): path for path in sorted(files)}
        wanted = {"files": list(inside), "results": str(sandbox.path_of(results)), "nonce": nonce}
        (plugin.source / "wanted.json").write_text(json.dumps(wanted), encoding="utf-8")
        module = f"lines_{secrets.token_hex(8)}"  # nothing in the tree can bear its name
        (plugin.source / f"{module}.py").write_bytes(_PLUGIN.read_bytes())
        measured = replace(
            setup,
            mounts=(*setup.mounts, plugin, results),
            extra_path=(*setup.extra_path, sandbox.path_of(plugin)),
            command=(*setup.command, "-p", module),
        )
        report = run_suite(sandbox, workdir, measured, selection, limits)
        records = [_read(path, nonce) for path in sorted(results.source.glob("lines-*.json"))]
    found: dict[str, Lines] = {}
    for record in records:
        for path, lines in record.items():
            if path in inside:
                before = found.get(inside[path], Lines(frozenset(), frozenset()))
                found[inside[path]] = Lines(before.can | set(lines.can), before.ran | set(lines.ran))
    return report, found


def _read(path: Path, nonce: str) -> dict[str, _File]:
    content = read_left(path)
    with suppress(ValidationError):
        record = _RECORD.validate_json(content or b"")
        return record.files if record.nonce == nonce else {}
    return {}
