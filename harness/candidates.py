"""Judging a candidate's changes by the commit's own, hidden tests, and by those that were generated for it."""

import sys
from collections.abc import Collection
from functools import partial
from pathlib import Path, PurePosixPath

from harness.git import Git
from harness.mining.paths import is_test_path
from harness.packages import RepoPackage, generated_tests
from harness.runner_config import runner_configuration
from harness.state import (
    BuildFailed,
    Provisioned,
    Runtime,
    build,
    checked_out,
    install_tests,
    project_in,
    provisioned,
    run_tests,
)
from harness.testing import Selection
from harness.trees import Overlay, files_and_links, overlay
from models.errors import CleanRoomError
from models.manifest import Instance
from models.outcomes import OutcomeKind, Validation, judge, oracle_of
from models.suite import SuiteEnd, SuiteReport

JUDGE_VERSION = 1
"""Raised whenever a verdict could come out differently; verdicts of older versions are not used."""

RUNNER_MODULES = frozenset({"pytest", "_pytest", "py", "pluggy", "iniconfig", "sitecustomize", "usercustomize"})
"""Modules that decide what a test run says. A candidate may not put its own in their place."""

_CUT_SHORT = (SuiteEnd.TIMEOUT, SuiteEnd.CRASHED, SuiteEnd.OUTPUT_LIMIT)


class Tampered(CleanRoomError):
    """A candidate's change decides what the test run says instead of what the code does."""


def judge_candidate(
    runtime: Runtime, package: RepoPackage, instance: Instance, changes: Overlay, key: str
) -> tuple[Validation, SuiteReport]:
    """The verdict on `changes` over the instance's base, and the report it rests on.

    The commit's tests, and those generated for it if it has any, are laid over the candidate's tree, replacing whatever
    tests it has. Those of the touched files run first, and the rest only if all of FAIL_TO_PASS passed: a failed
    candidate is cheap. A run that was cut short counts only if it is cut short again. Raises EnvironmentFault,
    WheelError and InfrastructureError, which are nobody's failure.
    """
    assert instance.environment is not None, "a valid instance has an environment"
    environment = package.manifest.environment(instance.environment)
    with provisioned(runtime, environment, package.wheels, instance.version) as provided:
        try:
            report = _run(runtime, package, instance, changes, provided)
            if report.end in _CUT_SHORT:
                report = _run(runtime, package, instance, changes, provided)
        except BuildFailed as error:
            return _not_run(instance, key, OutcomeKind.BUILD_FAILED, str(error))
        except Tampered as error:
            return _not_run(instance, key, OutcomeKind.TAMPERED, str(error))
    return judge(instance, report, key), report


def _run(
    runtime: Runtime, package: RepoPackage, instance: Instance, changes: Overlay, provided: Provisioned
) -> SuiteReport:
    git, generated = package.git, generated_tests(package, instance)
    selection = Selection(
        first=tuple(path for path in (*instance.test_files, *sorted(generated)) if path.endswith(".py")),
        stop="if-required-fail",
        required=instance.fail_to_pass,
    )
    with checked_out(git, instance.base_commit, runtime.scratch) as tree:
        before = [path for path, _ in files_and_links(tree)]
        overlay(tree, {path: content for path, content in changes.items() if not is_test_path(path)})
        roots = project_in(tree).import_roots
        refuse_stand_ins(before, changes, roots)
        refuse_foreign_configuration(git, instance, tree)
        added = build(runtime, tree, provided)  # before the hidden tests are there to be read
        refuse_stand_ins(before, added, roots)
        overlay(tree, added)
        install_tests(git, instance.commit, tree)
        overlay(tree, generated)
        return run_tests(runtime, tree, provided, selection)


def _not_run(instance: Instance, key: str, kind: OutcomeKind, detail: str) -> tuple[Validation, SuiteReport]:
    report = SuiteReport(end=SuiteEnd.NOT_RUN, exit_code=None, seconds=0.0, output=detail)
    return Validation(key=key, oracle=oracle_of(instance), kind=kind, detail=detail), report


def refuse_stand_ins(before: Collection[str], changes: Overlay, roots: Collection[str]) -> None:
    """Raises Tampered for a file that Python would import instead of the test runner or the standard library.

    `before` are the base's paths: a module that lies there already (a backport, the runner's own repository) may be
    changed. `roots` are where imports are looked up, relative to the tree.
    """
    places = {PurePosixPath(root) for root in ("", *roots)}
    known = {place for path in before for place in _imported_as(path, places)}
    for path in sorted(path for path, content in changes.items() if content is not None):
        if path.endswith(".pth"):
            raise Tampered(f"{path} would change the import path of the test run")
        for place, name in _imported_as(path, places):
            if (place, name) not in known and (name in RUNNER_MODULES or name in sys.stdlib_module_names - {"test"}):
                raise Tampered(f"{path} would stand in for the module {name}")


def _imported_as(path: str, places: set[PurePosixPath]) -> list[tuple[PurePosixPath, str]]:
    """The top-level names under which a file, or the package it lies in, can be imported, with the place of each."""
    pure = PurePosixPath(path)
    if pure.suffix not in (".py", ".so", ".pyc", ".pyd"):
        return []
    inside = [place for place in places if pure.is_relative_to(place)]
    return [(place, pure.relative_to(place).parts[0].split(".")[0]) for place in inside]


def refuse_foreign_configuration(git: Git, instance: Instance, tree: Path) -> None:
    """Raises Tampered when the test runner's configuration is neither the base's nor the commit's: options and plugins
    given there decide what a run says."""
    found = runner_configuration(lambda path: _read(tree / path))
    allowed = (runner_configuration(partial(git.read, commit)) for commit in (instance.base_commit, instance.commit))
    if found in allowed:
        return
    raise Tampered("the configuration of the test runner is neither the parent's nor the commit's")


def _read(path: Path) -> bytes | None:
    return path.read_bytes() if path.is_file() and not path.is_symlink() else None
