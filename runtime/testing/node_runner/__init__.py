"""JavaScript's test runners behind one interface: vitest, jest, mocha and `node --test`.

Which of them a repository uses, its scripts say. Twins, sentinels, the watcher and measured lines are made for Python:
here no guard sees anything, nothing is measured, and nothing observed.
"""

import re
from collections.abc import Collection, Sequence
from pathlib import Path

from models.causes import Layer
from models.limits import Limits
from models.suite import CaseResult, Fault, SuiteEnd, SuiteReport
from repos.index.paths import SCRIPT
from runtime.sandbox import Sandbox
from runtime.testing.base import Plugin, Selection, SuiteSetup
from runtime.testing.node_runner.calls import encoded
from runtime.testing.node_runner.configuration import named_configuration, runner_configuration, steering, steers
from runtime.testing.node_runner.runs import run_suite
from runtime.testing.node_runner.scripts import FRAMEWORKS, NODE_TEST, Script, find_script, package_json
from runtime.testing.output import last_line
from runtime.testing.results import GuardEvent, Lines, Seen

__all__ = [
    "FRAMEWORKS",
    "NODE_TEST",
    "NodeRunner",
    "Script",
    "encoded",
    "find_script",
    "named_configuration",
    "package_json",
    "run_suite",
    "steering",
    "steers",
]

_ASSERTION = re.compile(
    r"\s*(?:\w*AssertionError\b|expect\(|Error: expect\(|JestAssertionError|Expected\b|assert)", re.I
)
_IMPORT = re.compile(
    r"Cannot find (?:module|package)|Failed to resolve (?:import|entry)|does not provide an export named"
    r"|ERR_MODULE_NOT_FOUND|MODULE_NOT_FOUND|is not exported (?:by|from)"
)

_THROWN = re.compile(r"^\s*(?:Uncaught )?(?P<type>\w*Error)(?: \[\w+\])?: (?P<text>.*)$", re.M)


class NodeRunner:
    """`runtime.testing.TestRunner` by the runner that a repository's package.json names."""

    name = "node"
    command = (NODE_TEST,)
    test_suffixes = SCRIPT
    modules = frozenset[str]()
    configuration_files = ("package.json",)
    plugin_group = "node"
    configuration = staticmethod(runner_configuration)
    run = staticmethod(run_suite)

    def installed_plugins(self, prefix: Path) -> tuple[str, ...]:
        """None: these runners load what their configuration names."""
        return ()

    def refused_options(self, report: SuiteReport) -> bool:
        """Never: options that could be refused are not passed on."""
        return False

    def restarted(self, report: SuiteReport) -> bool:
        """Never."""
        return False

    def run_fault(self, report: SuiteReport) -> tuple[Layer, Fault]:
        """The first error that was printed, else how the run ended."""
        printed = _THROWN.search(report.output)
        fault = (
            Fault(error=printed["type"], text=printed["text"].strip()[:300])
            if printed
            else Fault(error=report.end.value, text=last_line(report.output))
        )
        return (Layer.TEST if report.cases else Layer.CONFIGURATION), fault

    def is_doctest(self, test: str) -> bool:
        """Never."""
        return False

    def is_assertion(self, case: CaseResult) -> bool:
        """Whether the message is that of an assertion library."""
        return _ASSERTION.match(case.message) is not None

    def is_import_error(self, case: CaseResult) -> bool:
        """Whether the message says that a module, or a name in it, is missing."""
        return _IMPORT.search(case.message) is not None

    def guard(self, sandbox: Sandbox, tree: Path, hidden: Sequence[str]) -> "NoGuard":
        """A guard that sees nothing."""
        return NoGuard()

    def run_measured(
        self,
        sandbox: Sandbox,
        workdir: Path,
        setup: SuiteSetup,
        selection: Selection,
        limits: Limits,
        files: Collection[str],
    ) -> tuple[SuiteReport, dict[str, Lines]]:
        """Run tests; no lines are measured."""
        return run_suite(sandbox, workdir, setup, selection, limits), {}

    def run_observed(
        self,
        sandbox: Sandbox,
        workdir: Path,
        setup: SuiteSetup,
        modules: Sequence[str],
        observer: str,
        limits: Limits,
        seconds: int,
        hash_seed: int = 0,
        *,
        only: Collection[str] = (),
        states: bool = False,
    ) -> tuple[SuiteReport, dict[str, Seen]]:
        """Nothing is run: there are no twins."""
        return SuiteReport(end=SuiteEnd.NOT_RUN, exit_code=None, seconds=0.0), {}


class NoGuard:
    """The guard of a run that nothing watches."""

    plugin = Plugin(Path(), "none", {}, lambda results, received: None)

    @property
    def seen(self) -> list[GuardEvent] | None:
        """Nothing."""
        return []
