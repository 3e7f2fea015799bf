"""The test runners there are."""

from runtime.testing.base import SuiteSetup
from runtime.testing.pytest_runner import PytestRunner
from runtime.testing.runner import TestRunner

PYTEST: TestRunner = PytestRunner()
RUNNERS = {runner.name: runner for runner in (PYTEST,)}
"""Every runner by its name; one more is one more entry."""


def runner_of(setup: SuiteSetup) -> TestRunner:
    """The runner that a setup is for."""
    return RUNNERS[setup.runner]
