"""Are the reasons true for which commits became no instances?

    uv run python -m benchmarks.audit_reasons PACKAGE... [--most 3] [--json FILE]

Each rejected commit that has an environment is run again by other means: plain pytest, outside the sandbox, in a
virtual environment with the locked dependencies and the wheel that `uv build` makes, on the touched test files; once
for the commit, once for its parent with the commit's test files. Printed: the reason, what passes in either state, and
whether the reason agrees:

    no-fail-to-pass     agrees if tests pass at the commit, and none of them only there
    build-failed        agrees if the real build fails
    any other           agrees if both states ran, and no test passes only at the commit or those named fail there

What does not agree has to be looked at: a suite that fails here may fail for want of this machine's own things. Use
packages that you trust.
"""

import argparse
import json
import re
import shutil
import subprocess
import sys
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path

from benchmarks.real_installs import Failed, real_passes, really_installed
from harness.packages.package import RepoPackage, read_package
from models.manifest import Instance, InvalidReason

SECONDS = 300.0
"""Most seconds of one run."""


@dataclass(frozen=True)
class Audit:
    """A rejected commit by both means; `commit_only` are tests that pass at the commit and not before."""

    repository: str
    commit: str
    reason: str
    detail: str
    at_commit: int
    before: int
    commit_only: int
    fault: str
    agrees: bool


def audit(package: RepoPackage, instance: Instance) -> Audit:
    """Run a rejected commit by plain means."""
    folder = Path(tempfile.mkdtemp(prefix="cra-audit-"))
    passed: dict[bool, set[str]] = {}
    fault = ""
    try:
        for parent in (False, True):
            try:
                passed[parent] = _passing(package, instance, folder / str(parent), parent=parent)
            except (Failed, subprocess.TimeoutExpired) as error:
                passed[parent] = set()
                fault = fault or f"{'before' if parent else 'at the commit'}: {error}"
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    only = passed[False] - passed[True]
    return Audit(
        repository=package.manifest.name,
        commit=instance.commit[:10],
        reason=str(instance.reason),
        detail=instance.detail,
        at_commit=len(passed[False]),
        before=len(passed[True]),
        commit_only=len(only),
        fault=fault,
        agrees=_agrees(instance, passed[False], only, fault),
    )


def _passing(package: RepoPackage, instance: Instance, folder: Path, *, parent: bool) -> set[str]:
    assert instance.environment is not None
    environment = package.manifest.environment(instance.environment)
    real = really_installed(package.git, instance, environment, package.wheels, folder, parent=parent)
    return real_passes(real, SECONDS, instance.test_files)


def _agrees(instance: Instance, passed: set[str], only: set[str], fault: str) -> bool:
    if instance.reason is InvalidReason.BUILD_FAILED:
        return fault.startswith("at the commit: uv build")
    if instance.reason is InvalidReason.NO_FAIL_TO_PASS:
        return bool(passed) and not (only or fault)
    named = {test for test in passed if re.search(rf"{re.escape(test)}(?![\w\[])", instance.detail)}
    return not fault and not (only and named)


def main() -> int:
    """Exit status: 1 if a reason does not agree."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("packages", nargs="+", type=Path)
    parser.add_argument("--most", type=int, default=3, help="commits of a package for one reason")
    parser.add_argument("--json", type=Path, help="also write the audits to this file")
    options = parser.parse_args()
    audits = []
    for directory in options.packages:
        package = read_package(directory)
        seen: dict[str, int] = {}
        for instance in package.manifest.instances:
            if instance.reason is None or instance.environment is None:
                continue
            seen[instance.reason] = seen.get(instance.reason, 0) + 1
            if seen[instance.reason] > options.most:
                continue
            audits.append(audit(package, instance))
            found = audits[-1]
            print(
                f"{found.repository} {found.commit} {found.reason}: {'agrees' if found.agrees else 'LOOK'}; "
                f"passing {found.at_commit}, before {found.before}, only at the commit {found.commit_only}. "
                f"{found.detail[:160]}" + (f" | really {' '.join(found.fault.split())[:200]}" if found.fault else ""),
                flush=True,
            )
            if options.json:
                options.json.write_text(json.dumps([asdict(each) for each in audits], indent=1) + "\n")
    print(f"{sum(each.agrees for each in audits)} of {len(audits)} agree")
    return int(not all(each.agrees for each in audits))


if __name__ == "__main__":
    sys.exit(main())
