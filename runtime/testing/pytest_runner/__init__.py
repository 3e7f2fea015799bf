"""pytest as a test runner: its options, its reports, and modules of ours that it loads."""

import re
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from models.suite import CaseResult, SuiteReport
from repos.index.paths import is_test_path
from runtime.sandbox import Sandbox
from runtime.testing.base import without_parameters
from runtime.testing.pytest_runner.configuration import CONFIGURATION_FILES, runner_configuration
from runtime.testing.pytest_runner.faults import run_fault
from runtime.testing.pytest_runner.guard import Guard
from runtime.testing.pytest_runner.installed import PLUGIN_GROUP, registered_plugins
from runtime.testing.pytest_runner.lines import run_measured
from runtime.testing.pytest_runner.observed import run_observed
from runtime.testing.pytest_runner.runs import UNKNOWN, refused_options, run_suite

__all__ = ["PytestRunner", "run_measured", "run_observed", "run_suite"]

_PLACE = re.compile(r"line:\d+,column:\d+")  # of an example, by Sybil
_ASSERTION = re.compile(r"\s*(?:[\w.]*AssertionError\b|assert\b|Failed:|[\w.]*Failed: )")
_IMPORT = re.compile(r"\s*(?:ImportError|ModuleNotFoundError)\b")


class PytestRunner:
    """`runtime.testing.TestRunner` by pytest."""

    name = "pytest"
    command = ("python", "-m", "pytest")
    test_suffixes = (".py",)
    modules = frozenset({"pytest", "_pytest", "py", "pluggy", "iniconfig", "sitecustomize", "usercustomize"})
    configuration_files = CONFIGURATION_FILES
    plugin_group = PLUGIN_GROUP
    configuration = staticmethod(runner_configuration)
    installed_plugins = staticmethod(registered_plugins)
    run = staticmethod(run_suite)
    run_measured = staticmethod(run_measured)
    run_observed = staticmethod(run_observed)
    refused_options = staticmethod(refused_options)
    run_fault = staticmethod(run_fault)

    def restarted(self, report: SuiteReport) -> bool:
        """Whether the output begins with the line that names unknown options."""
        return report.output.startswith(UNKNOWN)

    def is_doctest(self, test: str) -> bool:
        """Whether the file is no module, or the name is a place in it, the dotted name of an object, or its own."""
        file, _, name = test.partition("::")
        if not file.endswith(self.test_suffixes):
            return True
        if _PLACE.fullmatch(name):
            return True
        name = without_parameters(name)
        module = PurePosixPath(file).stem
        return "::" not in name and ("." in name or (name == module and not is_test_path(file)))

    def is_assertion(self, case: CaseResult) -> bool:
        """Whether the message is that of an `assert` or of `pytest.fail`."""
        return _ASSERTION.match(case.message) is not None

    def is_import_error(self, case: CaseResult) -> bool:
        """Whether the message is that of an exception of an import."""
        return _IMPORT.match(case.message) is not None

    def guard(self, sandbox: Sandbox, tree: Path, hidden: Sequence[str]) -> Guard:
        """A guard whose plugin sets audit hooks in the process of the tests."""
        return Guard(sandbox, tree, hidden)
