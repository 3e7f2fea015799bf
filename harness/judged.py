"""A candidate's tree with the hidden tests in it, and the runs that judge it."""

import io
import tokenize
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from harness.confirmation.recorded import Module
from harness.confirmation.sentinels import with_sentinels, without_parameters, without_sentinels
from harness.environments import installed_modules
from harness.mining.paths import is_test_path
from harness.packages import RepoPackage, generated_tests
from harness.state import (
    Provisioned,
    Runtime,
    build,
    checked_out,
    install_tests,
    project_in,
    run_tests,
    suite_setup,
)
from harness.tampering import refuse_foreign_configuration, refuse_stand_ins
from harness.testing import Selection
from harness.testing.guard import Guard, Sighting
from harness.testing.observed import Seen, run_observed
from harness.trees import Overlay, files_and_links, overlay
from models.manifest import Instance
from models.suite import SuiteReport

OBSERVER = "observer"


@dataclass(frozen=True)
class JudgedRun:
    """A run of the hidden tests: the report without its sentinels, how many of these failed as they must, what is
    wrong with the others, and what the watcher saw (None if it did not report)."""

    report: SuiteReport
    sentinels: int
    forged: tuple[str, ...]
    seen: tuple[Sighting, ...] | None


@dataclass(frozen=True)
class JudgedTree:
    """Changes over a commit, to be judged by an instance's tests. `provided` is the instance's environment, in use.

    With `base` at the commit itself and no changes, this is the gold state; at its parent, the state to be improved on.
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
        with self._laid_out() as tree:
            first = self._touched()
            hidden = sorted(path for path in first if (tree / path).is_file())
            sentinels = self._add_sentinels(tree)
            guard = Guard(self.runtime.sandbox, tree, hidden)
            selection = Selection(first=first, stop="if-required-fail", required=self.instance.fail_to_pass)
            whole = run_tests(self.runtime, tree, self.provided, selection, [guard.plugin])
        wrong = {test: what for members in sentinels.values() for test, what in members.items()}
        report, passed, failed = without_sentinels(whole, wrong)
        forged = sorted({wrong[without_parameters(test)] for test in passed})
        for module, members in sorted(sentinels.items()):
            if members and not failed & set(members):
                forged.append(f"none of the tests of {module} that must fail was run")
        seen = None if guard.seen is None else tuple(guard.seen)
        return JudgedRun(report, len(failed), tuple(forged), seen)

    def observe(
        self,
        modules: Sequence[Module],
        seconds: int,
        hash_seed: int = 0,
        *,
        only: Collection[str] = (),
        states: bool = False,
    ) -> dict[str, Seen]:
        """What the twins in some modules, or `only` some of them, see in this tree, by node id.

        Each has so many seconds. With `states`, what objects hold is among it.
        Raises Tampered and BuildFailed.
        """
        with self._laid_out() as tree:
            overlay(tree, {module.path: (module.source.encode(), False) for module in modules})
            setup = suite_setup(tree, self.provided)
            paths = [module.path for module in modules]
            sandbox, limits = self.runtime.sandbox, self.runtime.limits
            return run_observed(
                sandbox, tree, setup, paths, OBSERVER, limits, seconds, hash_seed, only=only, states=states
            )[1]

    def _touched(self) -> tuple[str, ...]:
        generated = generated_tests(self.package, self.instance)
        return tuple(path for path in (*self.instance.test_files, *sorted(generated)) if path.endswith(".py"))

    @contextmanager
    def _laid_out(self) -> Iterator[Path]:
        """The base's files, the changes to production files over them, the commit's tests in place of all others."""
        git, runtime = self.package.git, self.runtime
        with checked_out(git, self.base, runtime.scratch) as tree:
            before = frozenset(path for path, _ in files_and_links(tree))
            production = {path: content for path, content in self.changes.items() if not is_test_path(path)}
            overlay(tree, production)
            roots = project_in(tree).import_roots
            installed = installed_modules(self.provided.environment.prefix)
            refuse_stand_ins(before, production, roots, installed)
            refuse_foreign_configuration(git, self.instance, tree, production)
            added = build(runtime, tree, self.provided)  # before the hidden tests are there to be read
            refuse_stand_ins(before, added, roots, installed)
            overlay(tree, added)
            install_tests(git, self.instance.commit, tree)
            overlay(tree, generated_tests(self.package, self.instance))
            yield tree

    def _add_sentinels(self, tree: Path) -> dict[str, Mapping[str, str]]:
        """Add tests that must fail to each touched module with tests that are judged by; by module and id, what
        is wrong if one passes.

        Where no test of a module must go from failing to passing, none of its own is copied.
        """
        found: dict[str, Mapping[str, str]] = {}
        judged_by = {test.partition("::")[0] for test in (*self.instance.fail_to_pass, *self.instance.pass_to_pass)}
        decisive = {test.partition("::")[0] for test in self.instance.fail_to_pass}
        for module in sorted(decisive | (judged_by & set(self._touched()))):
            path = tree / module
            if not module.endswith(".py") or path.is_symlink() or not path.is_file():
                continue
            content = path.read_bytes()
            try:
                encoding = tokenize.detect_encoding(io.BytesIO(content).readline)[0]
                text = content.decode(encoding)
            except (SyntaxError, UnicodeDecodeError):
                continue
            made = with_sentinels(
                module, text, (t for t in self.instance.fail_to_pass if t.partition("::")[0] == module)
            )
            overlay(tree, {module: (made.source.encode(encoding), False)})
            found[module] = made.failing
        return found
