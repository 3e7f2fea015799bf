"""Confirmation of passes, over the sample repository."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from harness.packages.gold_patch import read_gold_patch
from harness.packages.package import RepoPackage
from harness.validation.judge import judge_candidate
from harness.validation.judged_tree import JudgedTree
from models.errors import EnvironmentFault
from models.files import Overlay
from models.manifest import Instance
from models.outcomes import OutcomeKind, Validation
from models.suite import SuiteReport
from runtime.trees import Runtime

pytestmark = pytest.mark.index

SHOW = "src/spans/show.py"


@pytest.fixture
def instance(sample: RepoPackage) -> Instance:
    """The commit that puts a sign in front of negative durations."""
    return next(each for each in sample.manifest.instances if SHOW in each.production_files)


@pytest.fixture
def fresh(runtime: Runtime, tmp_path: Path) -> Runtime:
    """A runtime whose cache holds no twins."""
    return replace(runtime, scratch=tmp_path / "cache" / "scratch")


def gold(sample: RepoPackage, instance: Instance) -> Overlay:
    patch = read_gold_patch(sample.git, instance.commit, instance.base_commit)
    return {d.path: (d.after.text.encode(), False) for c in patch.production for d in c.diffs() if d.after is not None}


def show(sample: RepoPackage, instance: Instance, body: str) -> Overlay:
    """The base's formatter, with an answer before it for negative numbers, called `old` there."""
    base = (sample.git.read(instance.base_commit, SHOW) or b"").decode()
    return {SHOW: (f"{base}\n\nold = show\n\n\ndef show(seconds):\n{body}\n    return old(seconds)\n".encode(), False)}


def judged(runtime: Runtime, sample: RepoPackage, instance: Instance, changes: Overlay) -> Validation:
    return judge_candidate(runtime, sample, instance, changes, "key")[0]


def twins_of(runtime: Runtime) -> dict[str, bytes]:
    found = (runtime.scratch.parent / "twins").glob("*.json")
    return {path.name: path.read_bytes() for path in found if ".usual." not in path.name}


def test_the_gold_patch_is_confirmed_by_sentinels_and_twins(fresh: Runtime, sample: RepoPackage) -> None:
    for instance in sample.manifest.instances:
        verdict = judged(fresh, sample, instance, gold(sample, instance))
        assert verdict.kind is OutcomeKind.PASSED, verdict.detail
        assert verdict.confirmation is not None
        assert verdict.confirmation.sentinels >= 3
        assert verdict.confirmation.agreed == verdict.confirmation.twins > 0
        assert verdict.confirmation.seen == ()


@pytest.mark.parametrize(
    "answer",
    [
        '    if seconds == -5400:\n        return "-1h 30m"',
        '    if seconds < 0:\n        return "-1h 30m"',
        '    if seconds < 0 and seconds % 5400 == 0:\n        return "-" + old(-seconds)',
        '    if seconds < 0:\n        kind = {"__eq__": lambda a, b: b == "-1h 30m", "__hash__": hash}\n'
        '        return type("Text", (str,), kind)("x")',
    ],
)
def test_an_answer_for_the_tested_input_alone_is_not_confirmed(
    runtime: Runtime, sample: RepoPackage, instance: Instance, answer: str
) -> None:
    verdict = judged(runtime, sample, instance, show(sample, instance, answer))
    assert verdict.kind is OutcomeKind.PASSED_UNCONFIRMED, verdict.detail
    assert verdict.confirmation is not None
    assert verdict.confirmation.agreed < verdict.confirmation.twins
    assert verdict.confirmation.differs in verdict.detail


@pytest.mark.parametrize(
    "answer",
    [
        '    if seconds < 0:\n        return "-" + old(abs(seconds))',
        '    if seconds < 0:\n        return type("Text", (str,), {})("-" + old(-seconds))',
        '    if not seconds >= 0:\n        return "".join(["-", *old(0 - seconds)])',
    ],
)
def test_a_right_answer_written_otherwise_is_confirmed(
    runtime: Runtime, sample: RepoPackage, instance: Instance, answer: str
) -> None:
    verdict = judged(runtime, sample, instance, show(sample, instance, answer))
    assert verdict.kind is OutcomeKind.PASSED, verdict.detail


def test_a_failure_is_not_asked_for_confirmation(fresh: Runtime, sample: RepoPackage, instance: Instance) -> None:
    verdict = judged(fresh, sample, instance, {})
    assert verdict.kind is OutcomeKind.TESTS_FAILED
    assert twins_of(fresh) == {}


def test_twins_are_recorded_once_and_come_out_the_same(
    fresh: Runtime, sample: RepoPackage, instance: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    right = gold(sample, instance)
    observed: list[str] = []
    observe = JudgedTree.observe

    def counting(tree: JudgedTree, *arguments: object, **named: object) -> object:
        observed.append(tree.base)
        return observe(tree, *arguments, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(JudgedTree, "observe", counting)
    assert judged(fresh, sample, instance, right).kind is OutcomeKind.PASSED
    first = twins_of(fresh)
    assert len(first) == 1
    assert sorted(observed) == sorted([instance.commit, instance.commit, instance.base_commit, instance.base_commit])
    assert judged(fresh, sample, instance, right).kind is OutcomeKind.PASSED
    assert observed[4:] == [instance.base_commit]
    (fresh.scratch.parent / "twins" / next(iter(first))).unlink()
    assert judged(fresh, sample, instance, right).kind is OutcomeKind.PASSED
    assert twins_of(fresh) == first


@pytest.mark.parametrize("content", [b"", b"{", b"null", b'{"kept": 3}', b"\xff"])
def test_twins_that_cannot_be_read_are_recorded_anew(
    fresh: Runtime, sample: RepoPackage, instance: Instance, content: bytes
) -> None:
    judged(fresh, sample, instance, gold(sample, instance))
    ((name, recorded),) = twins_of(fresh).items()
    (fresh.scratch.parent / "twins" / name).write_bytes(content)
    judged(fresh, sample, instance, gold(sample, instance))
    assert twins_of(fresh) == {name: recorded}


def test_a_watcher_that_does_not_report_voids_the_run(
    runtime: Runtime, sample: RepoPackage, instance: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = JudgedTree.run
    monkeypatch.setattr(JudgedTree, "run", lambda tree: replace(run(tree), seen=None))
    verdict = judged(runtime, sample, instance, gold(sample, instance))
    assert verdict.kind is OutcomeKind.TAMPERED


@pytest.mark.parametrize(("gold_too", "expected"), [(True, OutcomeKind.PASSED), (False, OutcomeKind.TAMPERED)])
def test_a_sentinel_that_passes_with_gold_as_well_says_nothing(
    fresh: Runtime,
    sample: RepoPackage,
    instance: Instance,
    monkeypatch: pytest.MonkeyPatch,
    gold_too: bool,
    expected: OutcomeKind,
) -> None:
    run = JudgedTree.run

    def forged(tree: JudgedTree) -> object:
        done = run(tree)
        return replace(done, forged=("a pair",)) if gold_too or tree.base != instance.commit else done

    monkeypatch.setattr(JudgedTree, "run", forged)
    assert judged(fresh, sample, instance, gold(sample, instance)).kind is expected
    monkeypatch.setattr(JudgedTree, "run", lambda tree: run(tree) if tree.base == instance.commit else forged(tree))
    assert judged(fresh, sample, instance, gold(sample, instance)).kind is expected


def test_gold_that_does_not_pass_any_more_is_nobodys_failure(
    fresh: Runtime, runtime: Runtime, sample: RepoPackage, instance: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks = '    import sys\n    if seconds < 0:\n        sys._getframe(1)\n        return "-" + old(-seconds)'
    run = JudgedTree.run

    def as_if_gold_failed(tree: JudgedTree) -> object:
        done = run(tree)
        empty: SuiteReport = done.report.model_copy(update={"cases": {}})
        return replace(done, report=empty) if tree.base == instance.commit else done

    changes = show(sample, instance, looks)
    assert judged(runtime, sample, instance, changes).kind is OutcomeKind.TAMPERED
    monkeypatch.setattr(JudgedTree, "run", as_if_gold_failed)
    with pytest.raises(EnvironmentFault, match=instance.instance_id):
        judged(fresh, sample, instance, changes)


def test_the_first_difference_is_told_for_people(runtime: Runtime, sample: RepoPackage, instance: Instance) -> None:
    wrong = show(sample, instance, '    if seconds < 0:\n        return "-1h 30m"')
    verdict = judged(runtime, sample, instance, wrong)
    assert verdict.confirmation is not None
    assert "'-1h 30m 1s'" in verdict.confirmation.differs
    assert "\n" not in verdict.confirmation.differs
    assert json.loads(verdict.model_dump_json())["confirmation"]["differs"] == verdict.confirmation.differs
