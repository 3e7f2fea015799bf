"""Gold validation within limits: a part of a long suite, runs that are kept, suites shared among processes."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from harness.mining import mine
from harness.packages.gold_patch import read_gold_patch
from harness.packages.gold_validation import GoldEffort, validate_gold
from harness.packages.package import RepoPackage, read_package
from harness.packages.prepare import acquire, find_environment, not_tried, select, validate_candidate, write_package
from harness.packages.sampling import SuiteFiles, largest_share
from harness.validation.judge import judge_candidate
from models.causes import Layer
from models.errors import InfrastructureError
from models.manifest import InvalidReason
from models.outcomes import OutcomeKind
from models.suite import CaseResult, CaseStatus, SuiteEnd, SuiteReport
from runtime.testing import file_of
from runtime.trees import Provisioned, Runtime, provisioned
from tests.support.mining_history import entry, write_history

PROJECT = (
    '[build-system]\nrequires = ["flit_core"]\nbuild-backend = "flit_core.buildapi"\n[project]\nname = "little"\n'
    'version = "1"\n[project.optional-dependencies]\ntests = ["pytest", "pytest-xdist"]\n'
)
LITTLE = "def one():\n    return 1\n"
TWO = LITTLE + "\n\ndef two():\n    return 2\n"
TEST_TWO = "import little\n\n\ndef test_two():\n    assert little.two() == 2\n"
BEFORE = {
    "pyproject.toml": PROJECT,
    "src/little/__init__.py": LITTLE,
    "tests/test_one.py": "from little import one\n\n\ndef test_one():\n    assert one() == 1\n",
}
AFTER = {"src/little/__init__.py": TWO, "tests/test_two.py": TEST_TWO}
SLOW = {f"tests/test_slow_{n}.py": "import time\n\n\ndef test_waits():\n    time.sleep(2)\n" for n in range(8)}
OTHERS = tuple(f"tests/test_{number}.py" for number in range(200))
TOUCHED, AFFECTED = ("tests/test_a.py",), ("tests/test_b.py",)


@pytest.fixture(scope="module")
def provided(runtime: Runtime, sample: RepoPackage) -> Iterator[Provisioned]:
    environment = sample.manifest.environment(sample.manifest.instances[0].environment or "")
    with provisioned(runtime, environment, sample.wheels, "1.0") as held:
        yield held


def history(path: Path, before: Mapping[str, str], after: Mapping[str, str]) -> Any:
    git = write_history(path / "little.git", [entry("Start a project", before), entry("Add a second number", after)])
    return git, mine(git).commits[0]


def timed(seconds: dict[str, float], **fields: Any) -> SuiteReport:
    cases = {
        f"{path}::test_x": CaseResult(id=f"{path}::test_x", status=CaseStatus.PASSED, seconds=each)
        for path, each in seconds.items()
    }
    whole = {"end": SuiteEnd.COMPLETED, "exit_code": 0, "seconds": sum(seconds.values()) + 1}
    return SuiteReport(cases=cases, **{**whole, **fields})


def test_a_sample_holds_the_touched_and_the_affected_files_and_a_share_of_the_others() -> None:
    files = SuiteFiles(TOUCHED, AFFECTED, OTHERS)
    half, eighth = files.sample("c" * 40, Fraction(1, 2)), files.sample("c" * 40, Fraction(1, 8))
    assert {*TOUCHED, *AFFECTED} <= set(eighth.files) < set(half.files) < {*TOUCHED, *AFFECTED, *OTHERS}
    assert (half.share, half.affected, half.of) == ("1/2", 1, 202)
    assert 60 < len(half.files) < 140
    assert files.sample("c" * 40, Fraction(1, 2)) == half
    assert files.sample("d" * 40, Fraction(1, 2)).files != half.files
    assert set(files.sample("c" * 40, Fraction(0)).files) == {*TOUCHED, *AFFECTED}


def test_the_largest_share_that_fits_is_taken() -> None:
    files = SuiteFiles(TOUCHED, AFFECTED, OTHERS)
    report = timed(dict.fromkeys((*TOUCHED, *AFFECTED, *OTHERS), 1.0))
    roomy, tight = largest_share(files, "c" * 40, report, 150), largest_share(files, "c" * 40, report, 20)
    assert roomy is not None and tight is not None
    assert (roomy.share, len(tight.files) < 20) == ("1/2", True)
    barely = largest_share(files, "c" * 40, report, 3.5)
    assert barely is not None
    assert barely.share == "0"
    assert largest_share(files, "c" * 40, report, 2.5) is None
    cut = timed(dict.fromkeys(OTHERS[:50], 1.0), end=SuiteEnd.TIMEOUT, exit_code=None)
    guessed = largest_share(files, "c" * 40, cut, 150)
    assert guessed is not None
    assert guessed.share == "1/2", "files that were not reached cost what the others do"
    alone = timed(dict.fromkeys(TOUCHED, 1.0), end=SuiteEnd.TIMEOUT)
    slow = largest_share(files, "c" * 40, alone, 150, least=200)
    assert slow is not None
    assert Fraction(slow.share) < Fraction(1, 2), "the whole is known to take more than 200 s"


@pytest.mark.slow
@pytest.mark.index
def test_of_a_suite_that_takes_too_long_a_part_is_run_and_judges(runtime: Runtime, tmp_path: Path) -> None:
    git, _ = history(tmp_path, {**BEFORE, **SLOW}, AFTER)
    source = acquire(str(git.directory), tmp_path / "corpus")
    mined, packages, cache = mine(source.git), source.directory / "packages", tmp_path / "cache"
    (found,) = [find_environment(source.git, commit, {}, packages, cache) for commit in select(mined, 1)]
    said: list[str] = []
    effort = GoldEffort(seconds=30, say=said.append)
    instance, _ = validate_candidate(runtime, source.git, found, packages, cache, effort)
    sampled = instance.sampled
    assert sampled is not None, instance.detail
    assert {"tests/test_one.py", "tests/test_two.py"} <= set(sampled.files)
    assert (sampled.affected, sampled.of, len(sampled.files) < 10) == (1, 10, True)
    assert instance.fail_to_pass == ("tests/test_two.py::test_two",)
    assert "tests/test_one.py::test_one" in instance.pass_to_pass
    assert {file_of(test) for test in instance.pass_to_pass} <= set(sampled.files)
    assert said
    again, _ = validate_candidate(runtime, source.git, found, packages, cache, effort)
    assert again == instance
    write_package(source, mined, [found], [instance], {})
    package = read_package(source.directory)
    patch = read_gold_patch(package.git, instance.commit, instance.base_commit)
    diffs = [diff for change in patch.production for diff in change.diffs() if diff.after is not None]
    gold = {diff.path: (diff.after.text.encode(), False) for diff in diffs if diff.after is not None}
    verdict, report = judge_candidate(runtime, package, package.manifest.instances[0], gold, "key")
    assert (verdict.kind, verdict.p2p_failed) == (OutcomeKind.PASSED, ())
    assert {file_of(test) for test in report.cases} <= set(sampled.files)


@pytest.mark.slow
@pytest.mark.index
def test_touched_files_that_take_too_long_by_themselves_are_the_reason(
    runtime: Runtime, provided: Provisioned, tmp_path: Path
) -> None:
    endless = {**AFTER, "tests/test_two.py": TEST_TWO + "    while True: pass\n"}
    git, commit = history(tmp_path, {**BEFORE, **SLOW}, endless)
    found = validate_gold(runtime, git, commit, provided, GoldEffort(seconds=15, index_cache=tmp_path / "index"))
    assert found.cause is not None
    assert (found.reason, found.cause.layer, found.sampled) == (InvalidReason.TIMEOUT, Layer.BUDGET, None)
    assert "--commit-minutes" in found.cause.remedy


class CountedSandbox:
    """A sandbox that fails as a machine does after some runs."""

    def __init__(self, inner: Any, most: int) -> None:
        self._inner, self._most, self.runs = inner, most, 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def run(self, *arguments: Any, **named: Any) -> Any:
        if self.runs == self._most:
            raise InfrastructureError("the machine stops here")
        self.runs += 1
        return self._inner.run(*arguments, **named)


@pytest.mark.slow
@pytest.mark.index
def test_runs_that_finished_before_an_interruption_are_not_repeated(
    runtime: Runtime, provided: Provisioned, tmp_path: Path
) -> None:
    git, commit = history(tmp_path, BEFORE, AFTER)
    effort = GoldEffort(kept=tmp_path / "runs", key="commit")
    whole = CountedSandbox(runtime.sandbox, 100)
    expected = validate_gold(replace(runtime, sandbox=whole), git, commit, provided)
    stopped = CountedSandbox(runtime.sandbox, whole.runs - 2)
    with pytest.raises(InfrastructureError):
        validate_gold(replace(runtime, sandbox=stopped), git, commit, provided, effort)
    resumed = CountedSandbox(runtime.sandbox, 100)
    found = validate_gold(replace(runtime, sandbox=resumed), git, commit, provided, effort)
    assert (found.fail_to_pass, found.pass_to_pass) == (expected.fail_to_pass, expected.pass_to_pass)
    assert found.seconds.keys() == expected.seconds.keys()
    assert resumed.runs < whole.runs / 2


ORDER = (
    "import little\n\n\ndef test_{n}():\n    little.seen = getattr(little, 'seen', 0) + 1\n"
    "    assert little.seen == {n}\n"
)


@pytest.mark.slow
@pytest.mark.index
@pytest.mark.parametrize("ordered", [False, True], ids=["free", "ordered"])
def test_a_suite_is_shared_among_processes_if_its_order_does_not_matter(
    runtime: Runtime, tmp_path: Path, ordered: bool
) -> None:
    more = {f"tests/test_x{n}.py": ORDER.format(n=n) for n in range(1, 7)} if ordered else {}
    git, _ = history(tmp_path, {**BEFORE, **more}, AFTER)
    source = acquire(str(git.directory), tmp_path / "corpus")
    packages, cache = source.directory / "packages", tmp_path / "cache"
    (found,) = [find_environment(source.git, commit, {}, packages, cache) for commit in select(mine(source.git), 1)]
    said: list[str] = []
    effort = GoldEffort(workers=2, share_from=0, say=said.append)
    instance, seconds = validate_candidate(runtime, source.git, found, packages, cache, effort)
    assert (instance.reason, instance.excluded) == (None, ()), instance.detail
    assert instance.fail_to_pass == ("tests/test_two.py::test_two",)
    assert len(instance.pass_to_pass) == 1 + len(more)
    assert ("order" in " ".join(said)) is ordered
    assert not any(cache.glob("gold-runs/*")), "the runs of a decided commit are not kept"
    assert {"parent", "after-1", "after-2"} <= seconds.keys()


def test_a_commit_whose_turn_does_not_come_says_so(tmp_path: Path) -> None:
    from harness.packages.locking import CommitCandidate

    git, commit = history(tmp_path, BEFORE, AFTER)
    found = not_tried(git, CommitCandidate(commit, "1", None), 5)
    assert found.cause is not None
    assert (found.reason, found.cause.layer) == (InvalidReason.NOT_TRIED, Layer.BUDGET)
    assert "--repository-minutes" in found.cause.remedy
