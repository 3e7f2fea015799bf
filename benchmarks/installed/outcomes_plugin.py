"""A pytest plugin that writes the ids of the tests that passed to the file that OUTCOMES names.

The Python that runs it may be the oldest that has an environment.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

_PASSED: set[str] = set()
_NOT_PASSED: set[str] = set()


def pytest_runtest_logreport(report: Any) -> None:
    """Note one phase of a test; an expected failure and an unexpected pass do not count as passed."""
    if report.outcome != "passed" or hasattr(report, "wasxfail"):
        _NOT_PASSED.add(report.nodeid)
    elif report.when == "call":
        _PASSED.add(report.nodeid)


def pytest_sessionfinish() -> None:
    """Write the ids."""
    Path(os.environ["OUTCOMES"]).write_text(json.dumps(sorted(_PASSED - _NOT_PASSED)))
