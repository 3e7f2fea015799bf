"""What the rest of the project asks of a test runner. Each runner is a package or module of its own beside this one."""

from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import Protocol

from models.causes import Layer
from models.limits import Limits
from models.suite import CaseResult, Fault, SuiteReport
from runtime.sandbox import Sandbox
from runtime.testing.base import Plugin, Selection, SuiteSetup
from runtime.testing.results import GuardEvent, Lines, Seen

FileReader = Callable[[str], bytes | None]
"""Gives the bytes of a regular file of a tree by its relative path; None if there is none."""


class RunGuard(Protocol):
    """Watches what tested code does to one run; its plugin goes into that run."""

    plugin: Plugin

    @property
    def seen(self) -> list[GuardEvent] | None:
        """What was seen, after the run; None if the guard did not report to its end."""
        ...


class TestRunner(Protocol):
    """A program that runs a repository's tests and says of each, by its id, how it ended.

    All runs raise InfrastructureError when the sandbox fails.
    """

    @property
    def name(self) -> str:
        """What `SuiteSetup.runner` calls it."""
        ...

    @property
    def command(self) -> tuple[str, ...]:
        """How it is started, before any options; a first word `python` is the environment's interpreter."""
        ...

    @property
    def test_suffixes(self) -> tuple[str, ...]:
        """How the files end that it takes tests from."""
        ...

    @property
    def modules(self) -> frozenset[str]:
        """Modules that decide what a run says, by the names under which they are imported."""
        ...

    @property
    def configuration_files(self) -> tuple[str, ...]:
        """Files in a tree's root that can steer it."""
        ...

    @property
    def plugin_group(self) -> str:
        """The group of entry points in which distributions register plugins for it."""
        ...

    def configuration(self, read: FileReader, /) -> str:
        """Everything in a tree's root that steers it, as canonical text."""
        ...

    def installed_plugins(self, prefix: Path, /) -> tuple[str, ...]:
        """The plugins that the distributions of the environment at `prefix` register, for `SuiteSetup.plugins`."""
        ...

    def run(
        self,
        sandbox: Sandbox,
        workdir: Path,
        setup: SuiteSetup,
        selection: Selection = ...,
        limits: Limits = ...,
        plugins: Sequence[Plugin] = ...,
        *,
        restart: bool = ...,
    ) -> SuiteReport:
        """Find and run the tests of the work tree at `workdir`.

        Options that the repository sets and the runner does not know are left out, unless `restart` is off: then it
        refuses to start.
        """
        ...

    def refused_options(self, report: SuiteReport, /) -> bool:
        """Whether a run ended because it does not know an option; anything that it runs can say so, too."""
        ...

    def restarted(self, report: SuiteReport, /) -> bool:
        """Whether a run went without options of the repository that the runner does not know. The first line of its
        output names them."""
        ...

    def run_fault(self, report: SuiteReport, /) -> tuple[Layer, Fault]:
        """Where and by what a run was ended that says nothing of its tests."""
        ...

    def is_doctest(self, test: str, /) -> bool:
        """Whether a test is an example in a document or a docstring."""
        ...

    def is_assertion(self, case: CaseResult, /) -> bool:
        """Whether a failed test failed by an assertion of its own."""
        ...

    def is_import_error(self, case: CaseResult, /) -> bool:
        """Whether a failed test failed because something could not be imported."""
        ...

    def guard(self, sandbox: Sandbox, tree: Path, hidden: Sequence[str], /) -> RunGuard:
        """A guard for one run. `hidden` are the paths of its hidden tests with their data, relative to the tree."""
        ...

    def run_measured(
        self,
        sandbox: Sandbox,
        workdir: Path,
        setup: SuiteSetup,
        selection: Selection,
        limits: Limits,
        files: Collection[str],
    ) -> tuple[SuiteReport, dict[str, Lines]]:
        """Run tests as `run` does, and say which lines of `files` (relative paths) they ran."""
        ...

    def run_observed(
        self,
        sandbox: Sandbox,
        workdir: Path,
        setup: SuiteSetup,
        modules: Sequence[str],
        observer: str,
        limits: Limits,
        seconds: int,
        hash_seed: int = ...,
        *,
        only: Collection[str] = ...,
        states: bool = ...,
    ) -> tuple[SuiteReport, dict[str, Seen]]:
        """Run the twins in some modules of a work tree, or `only` some; what each saw, by its id without parameters."""
        ...
