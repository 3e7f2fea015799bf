"""Running test suites and reading their reports."""

from runtime.testing.base import Selection, SuiteSetup
from runtime.testing.plugin import Plugin
from runtime.testing.runs import run_suite

__all__ = ["Plugin", "Selection", "SuiteSetup", "run_suite"]
