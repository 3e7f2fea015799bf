"""Running test suites and reading what they say."""

from harness.testing.base import Selection, SuiteSetup
from harness.testing.plugin import Plugin
from harness.testing.runs import run_suite

__all__ = ["Plugin", "Selection", "SuiteSetup", "run_suite"]
