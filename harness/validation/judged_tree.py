"""A candidate's tree with the hidden tests in it, and the runs that judge it."""

import errno
import io
import tokenize
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

from harness.packages.gold_runs import sampled_files
from harness.packages.package import RepoPackage, generated_tests
from harness.validation.confirmation.recorded import Module
from harness.validation.confirmation.sentinels import with_sentinels, without_sentinels
from harness.validation.foreign_build import refuse_foreign_build
from harness.validation.node_tampering import refuse_foreign_steering
from harness.validation.tampering import Tampered, refuse_foreign_configuration, refuse_stand_ins
from models.errors import CleanRoomError, EnvironmentFault, InfrastructureError, SandboxUnavailable, WheelError
from models.files import Overlay
from models.manifest import NODE, Instance
from models.outcomes import first_files
from models.suite import SuiteEnd, SuiteReport
from repos.index.suite_layout import SuiteLayout
from repos.layouts import layout_at
from repos.trees import files_and_links, overlay
from runtime.environments import Installation, installed_modules
from runtime.testing import PYTEST, GuardEvent, Seen, Selection, SuiteSetup, file_of, runner_of
from runtime.trees import (
    BuildFailed,
    Provisioned,
    Runtime,
    checked_out,
    install,
    install_tests,
    lay_over,
    project_in,
)

OBSERVER = "observer"
_PACKAGING = {"pyproject.toml", "setup.cfg", "setup.py"}
_OF_THE_MACHINE = (errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EMFILE, errno.ENFILE, errno.EROFS)


class Unreadable(CleanRoomError):
    """Our own parser fails on a candidate's files, and not on the commit's."""


@dataclass(frozen=True)
class JudgedRun:
    """A run of the hidden tests: the report without its sentinels, how many of these failed as they must, the faults of
    the others, and the events of the watcher (None if it did not report)."""

    report: SuiteReport
    sentinels: int
    forged: tuple[str, ...]
    seen: tuple[GuardEvent, ...] | None


@dataclass(frozen=True)
class JudgedTree:
    """Changes over a commit, to be judged by an instance's tests. `provided` is the instance's environment, in use.

    With `base` at the commit itself and no changes, this is the gold state; at its parent, the unsolved state.
    """

    runtime: Runtime
    package: RepoPackage
    instance: Instance
    provided: Provisioned
    base: str
    changes: Overlay

    def at(self, commit: str) -> "JudgedTree":
        """The same with a commit's own files and no changes."""
        return replace(self, base=commit, changes={})

    def run(self) -> JudgedRun:
        """Run the hidden tests, those of the touched files first, the rest only if all of FAIL_TO_PASS passed.

        Raises Tampered and BuildFailed.
        """
        run = self._run(restart=not self.changes)
        if self.provided.environment.language == NODE or not self.changes or not PYTEST.refused_options(run.report):
            return run
        # Options of the repository are left out only if the runner does not know the same ones without the candidate.
        gold = self.at(self.instance.commit)._run(restart=True)
        if not PYTEST.restarted(gold.report):
            return run
        again = self._run(restart=True)
        return again if again.report.output.splitlines()[:1] == gold.report.output.splitlines()[:1] else run

    def _run(self, *, restart: bool) -> JudgedRun:
        with self._laid_out() as (tree, setup):
            hidden = sorted(path for path, link in files_and_links(tree) if self._layout.is_test(path) and not link)
            wrong = self._add_sentinels(tree)
            runner = runner_of(setup)
            guard = runner.guard(self.runtime.sandbox, tree, hidden)
            selection = Selection(
                first=first_files(self.instance),
                stop="if-required-fail",
                required=self.instance.fail_to_pass,
                only=sampled_files(self.instance, tree),
            )
            sandbox, limits = self.runtime.sandbox, self.runtime.limits
            whole = runner.run(sandbox, tree, setup, selection, limits, [guard.plugin], restart=restart)
        report, unheld, held = without_sentinels(whole, wrong)
        forged = tuple(sorted({wrong[test] for test in unheld}))
        return JudgedRun(report, len(held), forged, None if guard.seen is None else tuple(guard.seen))

    def observe(
        self,
        modules: Sequence[Module],
        seconds: int,
        hash_seed: int = 0,
        *,
        only: Collection[str] = (),
        states: bool = False,
    ) -> tuple[SuiteEnd, dict[str, Seen]]:
        """How the run of the twins in some modules, or of `only` some of them, ended; and observations by node id.

        `seconds` is the limit of each. With `states`, the state of objects is included. Raises Tampered, BuildFailed,
        Unreadable.
        """
        with self._laid_out() as (tree, setup):
            overlay(tree, {module.path: (module.source.encode(), False) for module in modules})
            paths = [module.path for module in modules]
            sandbox, limits = self.runtime.sandbox, self.runtime.limits
            report, seen = runner_of(setup).run_observed(
                sandbox, tree, setup, paths, OBSERVER, limits, seconds, hash_seed, only=only, states=states
            )
        return report.end, seen

    @contextmanager
    def _laid_out(self) -> Iterator[tuple[Path, SuiteSetup]]:
        """The tree to be judged, and how its tests are started. Raises Tampered, BuildFailed, Unreadable.

        A candidate's files are parsed by our own code, too. A failure there that the commit's files do not cause is
        blamed on the candidate.
        """
        with checked_out(self.package.git, self.base, self.runtime.scratch) as tree:
            try:
                setup = self._lay(tree)
            except (Tampered, BuildFailed, InfrastructureError, EnvironmentFault, WheelError, SandboxUnavailable):
                raise
            except Exception as error:
                if not self.changes or (isinstance(error, OSError) and error.errno in _OF_THE_MACHINE):
                    raise
                with self.at(self.instance.commit)._laid_out():
                    pass
                raise Unreadable(f"the patched files cannot be read: {type(error).__name__}: {error}"[:300]) from error
            yield tree, setup

    def _lay(self, tree: Path) -> SuiteSetup:
        """Apply the changes to production files to the base, and replace all tests by the commit's."""
        git, runtime = self.package.git, self.runtime
        before = frozenset(path for path, _ in files_and_links(tree))
        production = {path: content for path, content in self.changes.items() if not self._layout.is_test(path)}
        overlay(tree, production)
        if self.provided.environment.language == NODE:
            return self._lay_node(tree, production)
        roots = {*project_in(tree).import_roots, *self._test_folders()}
        installed = installed_modules(self.provided.environment.prefix)
        refuse_stand_ins(before, production, roots, installed)
        refuse_foreign_configuration(git, self.instance, tree, production)
        # Before the hidden tests can be read.
        installation = self._installed(tree)
        if not installation.of_commit and (self.instance.build or _PACKAGING & production.keys()):
            refuse_foreign_build(installation, self._honest_builds())
            roots |= set(installation.import_roots)
            refuse_stand_ins(before, installation.additions, roots, installed)
            refuse_stand_ins((), _importable(installation), (), installed)
        install_tests(git, self.instance.commit, tree)
        overlay(tree, generated_tests(self.package, self.instance))
        return lay_over(runtime, tree, self.provided, installation)

    def _honest_builds(self) -> Iterator[Installation]:
        """What builds of the commit and of its parent give."""
        for commit in (self.instance.base_commit, self.instance.commit):
            with checked_out(self.package.git, commit, self.runtime.scratch) as tree:
                yield self.at(commit)._installed(tree)

    def _installed(self, tree: Path) -> Installation:
        """The installation of a tree, less what would be written over tests.

        Raises BuildFailed for a candidate's alone: that the commit itself does not build is no candidate's fault.
        """
        try:
            found = install(self.runtime, tree, self.provided, of_commit=not self.changes)
        except BuildFailed as error:
            if self.changes:
                raise
            raise EnvironmentFault(f"{self.base[:12]} itself does not build here: {error}") from error
        layout = self._layout
        additions = {path: file for path, file in found.additions.items() if not layout.is_test(path)}
        site = {path: file for path, file in found.site.items() if not layout.is_test(path)}
        return replace(found, additions=additions, site=site)

    @property
    def _layout(self) -> SuiteLayout:
        """Which files are tests: by the configuration at the commit or at its parent, not by the candidate's."""
        return layout_at(self.package.git, self.instance.commit, self.instance.base_commit)

    def _lay_node(self, tree: Path, production: Overlay) -> SuiteSetup:
        refuse_foreign_steering(self.package.git, self.instance, production)
        made = self._installed(tree)
        overlay(tree, made.additions)
        install_tests(self.package.git, self.instance.commit, tree)
        overlay(tree, generated_tests(self.package, self.instance))
        return lay_over(self.runtime, tree, self.provided, replace(made, additions={}))

    def _test_folders(self) -> set[str]:
        """Folders of the judging tests: the runner puts them on the import path."""
        tests = (*self.instance.fail_to_pass, *self.instance.pass_to_pass)
        return {PurePosixPath(file_of(test)).parent.as_posix() for test in tests}

    def _add_sentinels(self, tree: Path) -> dict[str, str]:
        """Add must-fail tests to each touched module with judging tests; the fault if one does not fail, by its id.

        In a module without FAIL_TO_PASS tests, none of its own tests is copied.
        """
        found: dict[str, str] = {}
        judged_by = {file_of(test) for test in (*self.instance.fail_to_pass, *self.instance.pass_to_pass)}
        decisive = {file_of(test) for test in self.instance.fail_to_pass}
        for module in sorted(decisive | (judged_by & set(first_files(self.instance)))):
            path = tree / module
            if not module.endswith(".py") or path.is_symlink() or not path.is_file():
                continue
            content = path.read_bytes()
            try:
                encoding = tokenize.detect_encoding(io.BytesIO(content).readline)[0]
                text = content.decode(encoding)
            except (SyntaxError, UnicodeDecodeError):
                continue
            made = with_sentinels(module, text, (t for t in self.instance.fail_to_pass if file_of(t) == module))
            overlay(tree, {module: (made.source.encode(encoding), False)})
            found |= made.failing
        return found


def _importable(installation: Installation) -> Overlay:
    """The files beside the tree that can be imported: not the distribution's metadata."""
    return {path: file for path, file in installation.site.items() if not path.split("/")[0].endswith(".dist-info")}
