"""A suite of one test, run in a real sandbox."""

from collections.abc import Callable
from pathlib import Path

import pytest

from models.limits import Limits
from models.suite import SuiteReport
from runtime.sandbox import open_sandbox
from runtime.testing import Selection
from runtime.testing.pytest_runner import run_suite
from tests.support.suites import SETUP, lay

EVERYTHING = Selection()


@pytest.fixture
def suite(tmp_path: Path) -> Callable[..., SuiteReport]:
    """Run a suite of files; they stay in `tree` below the test's folder, and a second call adds to them."""

    def run(files: dict[str, str], selection=EVERYTHING, kind="bubblewrap", setup=SETUP, **limits) -> SuiteReport:
        tree = lay(tmp_path / "tree", files)
        return run_suite(open_sandbox(kind), tree, setup, selection, Limits(**{"wall_seconds": 60, **limits}))

    return run
