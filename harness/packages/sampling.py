"""The part of a suite that is run where the whole costs too much: by test files, so that every run is one of pytest
over the same files.

Files that the commit touches are in it, those that reach its changed files, and of all others a share chosen by a hash
of the commit and the path: the same commit and share give the same files, on every machine.
"""

import hashlib
import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path, PurePosixPath

from models.manifest import Commit, SampledSuite
from models.suite import SuiteReport
from repos.git import Git
from repos.index.paths import is_test_path
from repos.sources import GitSource
from runtime.testing import NODE_RUNNER, PYTEST, file_of

_SCRIPT = re.compile(r"\.(?:test|spec)\.\w+$|^test\b")
SHARES = tuple(Fraction(1, 2**power) for power in range(1, 8))
"""Shares of the files that the commit does not affect; the largest that fits the budget is taken, or none of them."""


@dataclass(frozen=True)
class SuiteFiles:
    """The test files of a commit: those it touches, those that reach its changed files, and all others."""

    touched: tuple[str, ...]
    affected: tuple[str, ...]
    others: tuple[str, ...]

    def sample(self, commit: str, share: Fraction) -> SampledSuite:
        """The files of a share."""
        some = tuple(path for path in self.others if _place(commit, path) < share)
        files = tuple(sorted({*self.touched, *self.affected, *some}))
        of = len(self.touched) + len(self.affected) + len(self.others)
        return SampledSuite(files=files, affected=len(self.affected), share=str(share), of=of)


def suite_files(git: Git, commit: Commit, touched: Collection[str], seen: Iterable[str], cache: Path) -> SuiteFiles:
    """The test files at a commit: those named like test modules, and those that `seen` tests are in. `cache` is the
    folder of the index's cache."""
    from repos.index import IndexCache, build_index  # heavy

    index = build_index(GitSource(git, commit.sha), IndexCache(cache))
    paths = index.paths()
    named = {path for path in paths if _is_test_module(path)}
    every = (named | {path for path in seen if path in paths and is_test_path(path)}) - set(touched)
    changed = [change.path for change in commit.changes if change.kind == "production" and change.path in paths]
    affected = {test for path in changed for test in index.tests_of(path)} & every
    return SuiteFiles(tuple(sorted(touched)), tuple(sorted(affected)), tuple(sorted(every - affected)))


def largest_share(
    files: SuiteFiles, commit: str, first: SuiteReport, seconds: float, least: float = 0.0
) -> SampledSuite | None:
    """The largest sample of which a run takes at most so many seconds, by a first run of the suite, whole or cut short;
    None if even the affected files alone take longer. A suite that takes more than `least` seconds is taken to need
    twice as many."""
    cost = _costs(first)
    every = len(files.touched) + len(files.affected) + len(files.others)
    cost = replace(cost, unknown=max(cost.unknown, 2 * least / max(every, 1)))
    for share in (*SHARES, Fraction(0)):
        sample = files.sample(commit, share)
        if cost.of(sample.files) <= seconds:
            return sample
    return None


@dataclass(frozen=True)
class _Costs:
    """Seconds of a run: what it takes beside its tests, those of the tests by file, and those of an unknown file."""

    overhead: float
    by_file: dict[str, float]
    unknown: float

    def of(self, files: Iterable[str]) -> float:
        return self.overhead + sum(self.by_file.get(path, self.unknown) for path in files)


def _costs(report: SuiteReport) -> _Costs:
    by_file: dict[str, float] = {}
    for case in report.cases.values():
        by_file[file_of(case.id)] = by_file.get(file_of(case.id), 0.0) + case.seconds
    spent = sum(by_file.values())
    beside = max(0.0, report.seconds - spent)
    if report.exit_code is None:  # cut short in the middle of a test, which took most of what is not accounted for
        beside = min(beside, report.seconds / 10)
    return _Costs(beside, by_file, _mean(by_file))


def _mean(by_file: dict[str, float]) -> float:
    return sum(by_file.values()) / len(by_file) if by_file else 0.0


def _place(commit: str, path: str) -> Fraction:
    """A number from 0 to 1, by a hash."""
    hashed = hashlib.sha256(f"{commit}\0{path}".encode("utf-8", "surrogateescape")).digest()
    return Fraction(int.from_bytes(hashed[:8], "big"), 2**64)


def _is_test_module(path: str) -> bool:
    name = PurePosixPath(path).name
    if path.endswith(NODE_RUNNER.test_suffixes):
        return is_test_path(path) and bool(_SCRIPT.search(name))
    named = name.startswith("test") or name.removesuffix(".py").endswith("_test")
    return is_test_path(path) and path.endswith(PYTEST.test_suffixes) and named
