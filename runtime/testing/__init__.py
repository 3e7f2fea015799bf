"""Running test suites and reading their reports."""

from runtime.testing.base import Plugin, Selection, SuiteSetup, file_of, without_parameters
from runtime.testing.registry import NODE_RUNNER, PYTEST, RUNNERS, runner_in, runner_of
from runtime.testing.results import GuardEvent, Lines, Seen
from runtime.testing.runner import FileReader, RunGuard, TestRunner

__all__ = [
    "NODE_RUNNER",
    "PYTEST",
    "RUNNERS",
    "FileReader",
    "GuardEvent",
    "Lines",
    "Plugin",
    "RunGuard",
    "Seen",
    "Selection",
    "SuiteSetup",
    "TestRunner",
    "file_of",
    "runner_in",
    "runner_of",
    "without_parameters",
]
