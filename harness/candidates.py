"""Judging a candidate's changes by the commit's own, hidden tests."""

import sys
from pathlib import Path, PurePosixPath

from harness.mining.paths import is_test_path
from harness.packages import RepoPackage
from harness.state import (
    BuildFailed,
    Overlay,
    Runtime,
    checked_out,
    install_tests,
    overlay,
    provisioned,
    run_tests,
)
from harness.testing import Selection
from models.manifest import Instance
from models.outcomes import OracleKind, OutcomeKind, Validation, judge
from models.suite import SuiteEnd, SuiteReport

RUNNER_MODULES = frozenset({"pytest", "_pytest", "py", "pluggy", "iniconfig", "sitecustomize", "usercustomize"})
"""Modules that decide what a test run says. A candidate may not put its own in their place."""


def judge_candidate(
    runtime: Runtime, package: RepoPackage, instance: Instance, changes: Overlay, key: str
) -> tuple[Validation, SuiteReport]:
    """The verdict on `changes` over the instance's base, and the report it rests on.

    The commit's tests are laid over the candidate's tree, replacing whatever tests it has. Those of the touched
    files run first, and the rest only if all of FAIL_TO_PASS passed: a failed candidate is cheap. Raises
    EnvironmentFault, WheelError and InfrastructureError, which are nobody's failure.
    """
    if stand_in := tampering(changes):
        return _not_run(key, OutcomeKind.TAMPERED, f"{stand_in} would stand in for a module of the test runner")
    assert instance.environment is not None, "a valid instance has an environment"
    environment = package.manifest.environment(instance.environment)
    selection = Selection(
        first=tuple(path for path in instance.test_files if path.endswith(".py")),
        stop="if-required-fail",
        required=instance.fail_to_pass,
    )
    with (
        provisioned(runtime, environment, package.wheels, instance.version) as provided,
        checked_out(package.git, instance.base_commit, runtime.scratch) as tree,
    ):
        overlay(tree, {path: content for path, content in changes.items() if not is_test_path(path)})
        install_tests(package.git, instance.commit, tree)
        try:
            report = run_tests(runtime, tree, provided, selection)
        except BuildFailed as error:
            return _not_run(key, OutcomeKind.BUILD_FAILED, str(error))
    return judge(instance, report, key), report


def _not_run(key: str, kind: OutcomeKind, detail: str) -> tuple[Validation, SuiteReport]:
    report = SuiteReport(end=SuiteEnd.NOT_RUN, exit_code=None, seconds=0.0, output=detail)
    return Validation(key=key, oracle=OracleKind.F2P_P2P, kind=kind, detail=detail), report


def tampering(changes: Overlay) -> str | None:
    """The first file of a candidate that Python would import instead of the test runner or the standard library."""
    for path in sorted(path for path, content in changes.items() if content is not None):
        pure = PurePosixPath(path)
        if pure.suffix not in (".py", ".so", ".pyc", ".pth"):
            continue
        if pure.suffix == ".pth":
            return path
        folder = Path(*pure.parts[:-1])
        for position, part in enumerate((*folder.parts, pure.name.split(".")[0])):
            top_level = position == 0 or (position == 1 and folder.parts[0] in ("src", "lib", "python"))
            if top_level and (
                part in RUNNER_MODULES or (part in sys.stdlib_module_names and part not in ("test", "lib2to3"))
            ):
                return path
    return None
