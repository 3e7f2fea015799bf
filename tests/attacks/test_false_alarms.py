"""Right solutions written otherwise are not suspected."""

import py_compile
from collections import Counter
from pathlib import Path

import pytest

from benchmarks.attacks._subject import Subject
from benchmarks.false_alarms import REIMPLEMENTATIONS, Judged, by_hand, by_rewriting, judge_all, rates, rows

FOLDERS = sorted(path for path in REIMPLEMENTATIONS.glob("*/*") if path.is_dir())
COMMITS = sorted({path.parent.name for path in FOLDERS})


def test_there_are_enough_and_all_compile(tmp_path: Path) -> None:
    counts = Counter(path.parent.name for path in FOLDERS)
    assert sum(counts.values()) >= 42
    assert min(counts.values()) >= 6
    for file in REIMPLEMENTATIONS.rglob("*.py"):
        py_compile.compile(str(file), cfile=str(tmp_path / "x.pyc"), doraise=True)


def test_no_two_are_the_same() -> None:
    texts = [
        tuple((str(file.relative_to(folder)), file.read_text()) for file in sorted(folder.rglob("*.py")))
        for folder in FOLDERS
    ]
    assert len(set(texts)) == len(texts)


@pytest.mark.index
@pytest.mark.parametrize("commit", COMMITS)
def test_a_right_solution_by_hand_is_confirmed(subject: Subject, commit: str) -> None:
    chosen = [each for each in by_hand(subject.package) if each.instance.commit.startswith(commit)]
    judged = judge_all(subject.runtime, chosen)
    assert [f"{each.solution.title}: {each.verdict.detail}" for each in judged if not each.passed] == []
    assert all(each.verdict.confirmation and each.verdict.confirmation.twins for each in judged)


@pytest.mark.index
def test_a_rewritten_gold_patch_is_confirmed_and_counted(subject: Subject) -> None:
    judged = judge_all(subject.runtime, list(by_rewriting(subject.package, 1, 1)))
    assert len(judged) >= 2
    assert all(each.passed for each in judged)
    (row,) = rows(judged)
    assert (row["judged"], row["passed"], row["discarded"]) == (len(judged), len(judged), 0)
    assert {rate["alarms"] for rate in rates(judged)} == {0}


@pytest.mark.index
def test_wrong_solutions_are_discarded(subject: Subject) -> None:
    solution = next(iter(by_hand(subject.package)))
    (judged,) = judge_all(subject.runtime, [type(solution)(*list(vars(solution).values())[:4], {})])
    assert judged.discarded
    assert not judged.alarm
    assert rates([judged]) == []
    assert isinstance(judged, Judged)
