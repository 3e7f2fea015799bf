"""Real runs of pytest in a real sandbox, with the interpreter that runs these tests."""

import sys
from collections.abc import Sequence
from pathlib import Path

from models.limits import Limits
from models.suite import SuiteReport
from runtime.sandbox import Mount, open_sandbox
from runtime.testing import GuardEvent, Seen, SuiteSetup
from runtime.testing.pytest_runner import run_observed, run_suite
from runtime.testing.pytest_runner.guard import Guard

VENV, BASE = Path(sys.prefix), Path(sys.base_prefix)
SETUP = SuiteSetup(
    python=VENV / "bin" / "python", mounts=(Mount(VENV, VENV), Mount(BASE, BASE)), import_roots=("src", "")
)
LIMITS = Limits(wall_seconds=60)


def lay(tree: Path, files: dict[str, str]) -> Path:
    """Write files into a tree, line ends as they are."""
    for name, text in files.items():
        path = tree / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text.encode())
    return tree


def run(tree: Path, files: dict[str, str]) -> SuiteReport:
    """Run a suite."""
    return run_suite(open_sandbox(), lay(tree, files), SETUP, limits=LIMITS)


def guarded(tree: Path, files: dict[str, str], hidden: Sequence[str]) -> tuple[SuiteReport, list[GuardEvent] | None]:
    """Run a suite under the watcher: the report, and what was seen."""
    sandbox = open_sandbox()
    guard = Guard(sandbox, lay(tree, files), hidden)
    report = run_suite(sandbox, tree, SETUP, limits=LIMITS, plugins=[guard.plugin])
    return report, guard.seen


def observed(
    tree: Path, files: dict[str, str], *, seconds: int = 5, only: Sequence[str] = (), states: bool = False
) -> dict[str, Seen]:
    """Run the twins in some modules, which name the observer `observer`: what each saw, by node id."""
    modules = [name for name in files if Path(name).name.startswith("test_")]
    sandbox = open_sandbox()
    lay(tree, files)
    return run_observed(sandbox, tree, SETUP, modules, "observer", LIMITS, seconds, only=only, states=states)[1]


def statuses(report) -> dict[str, str]:
    return {case.id: case.status.value for case in report.cases.values()}
