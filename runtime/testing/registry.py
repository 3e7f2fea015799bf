"""The test runners there are."""

from models.manifest import NODE, Environment
from runtime.testing.base import SuiteSetup
from runtime.testing.node_runner import NodeRunner
from runtime.testing.pytest_runner import PytestRunner
from runtime.testing.runner import TestRunner

PYTEST: TestRunner = PytestRunner()
NODE_RUNNER: TestRunner = NodeRunner()
RUNNERS = {runner.name: runner for runner in (PYTEST, NODE_RUNNER)}
"""Every runner by its name; one more is one more entry."""


def runner_of(setup: SuiteSetup) -> TestRunner:
    """The runner that a setup is for."""
    return RUNNERS[setup.runner]


def runner_in(environment: Environment) -> TestRunner:
    """The runner of tests in an environment."""
    return NODE_RUNNER if environment.language == NODE else PYTEST
