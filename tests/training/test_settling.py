"""What follows from a gate's report, without an engine: the log, the alias, and whole runs that may undo it."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from benchmarks.attacks._package import honest_package
from evals.sets import reserve
from evals.whole_runs import Passes
from models.errors import GuardrailError
from models.evaluation import GateReport, GateVerdict
from models.protocols import Stage
from models.training import TrainingTarget
from tests.support.bad_server import ScriptedServer
from tests.support.plain_steps import student_settings
from tests.support.registry_material import fresh, make_base, report, serving
from training.bases.bases import find_base
from training.cycle.context import TrainingContext, open_context
from training.cycle.orders import TrainOrder
from training.cycle.promotion import REPLACED, UNDONE, PromotionOutcome, settle

SCOPE = TrainingTarget.SCOPE


class Killed(BaseException):
    """As good as a kill: nothing catches it."""


@pytest.fixture
def context(tmp_path: Path) -> Iterator[TrainingContext]:
    with ScriptedServer("I cannot say.", flavour="openai") as server:
        made = open_context(student_settings(tmp_path / "data", server.url))
        make_base(made.curated, tmp_path / "data")
        yield made


@pytest.fixture
def package(context: TrainingContext, tmp_path: Path) -> Path:
    place = honest_package(tmp_path)
    reserve(context.curated, context.raw_engine, ["little"], "whole runs")
    return place


class WholeRuns:
    """Whole runs of one instance: passed with the adapters before, and as told with the new one."""

    def __init__(self, then: bool, meanwhile: Callable[[], object] = lambda: None) -> None:
        self.then, self.meanwhile, self.asked = then, meanwhile, list[dict[Stage, str]]()

    def __call__(self, packages: Sequence[Path], limit: int | None, adapters: Mapping[Stage, str]) -> Passes:
        self.asked.append(dict(adapters))
        self.meanwhile()
        return {("little", seed): len(self.asked) == 1 or self.then for seed in (0, 1)}


def no_runs(*arguments: Any) -> Passes:
    raise AssertionError("no whole run is due")


def settled(
    context: TrainingContext, said: GateReport, run_whole: Callable[..., Passes] = no_runs, *packages: Path
) -> PromotionOutcome:
    assert said.challenger.adapter is not None
    order = TrainOrder(target=SCOPE, base="tiny", end_to_end=packages)
    base, adapter = find_base(context.curated, "tiny"), context.registry.show(said.challenger.adapter)
    return settle(context, order, base, adapter, said, run_whole)


def actions(context: TrainingContext) -> list[str]:
    return [entry.action for entry in context.registry.log(SCOPE)]


@pytest.mark.parametrize("verdict", [GateVerdict.REJECT, GateVerdict.INCONCLUSIVE])
def test_a_verdict_against_an_adapter_is_logged_once_and_nothing_serves(
    context: TrainingContext, tmp_path: Path, verdict: GateVerdict
) -> None:
    said = report(fresh(context.registry, tmp_path, 1.0), None, verdict)
    assert [settled(context, said).outcome for _ in range(2)] == [verdict.value] * 2
    assert (serving(context.registry), actions(context)) == (None, [verdict.value])


def test_without_packages_an_adapter_that_passed_serves_at_once(context: TrainingContext, tmp_path: Path) -> None:
    said = report(fresh(context.registry, tmp_path, 1.0), None)
    assert settled(context, said).outcome == "promote"
    assert (serving(context.registry), actions(context)) == ("scope-v1", ["promote"])


@pytest.mark.parametrize("holds", [True, False])
def test_whole_runs_with_both_adapters_keep_or_undo_a_promotion(
    context: TrainingContext, package: Path, tmp_path: Path, holds: bool
) -> None:
    first, second = (fresh(context.registry, tmp_path, mark) for mark in (1.0, 2.0))
    settled(context, report(first, None))
    runs, said = WholeRuns(then=holds), report(second, first)
    assert settled(context, said, runs, package).outcome == ("promote" if holds else UNDONE)
    assert serving(context.registry) == (second.name if holds else first.name)
    assert [asked[Stage.SCOPE] for asked in runs.asked] == [first.served, second.served]
    assert [{**asked, Stage.SCOPE: ""} for asked in runs.asked] == [dict.fromkeys(Stage, "")] * 2
    log = actions(context)
    assert settled(context, said, WholeRuns(then=holds), package).outcome == ("promote" if holds else UNDONE)
    assert actions(context) == log


def test_a_promotion_that_was_killed_in_its_whole_runs_has_them_the_next_time(
    context: TrainingContext, package: Path, tmp_path: Path
) -> None:
    def dies(*arguments: Any) -> Passes:
        raise Killed

    said = report(fresh(context.registry, tmp_path, 1.0), None)
    with pytest.raises(Killed):
        settled(context, said, dies, package)
    assert serving(context.registry) == "scope-v1"
    assert settled(context, said, WholeRuns(then=False), package).outcome == UNDONE
    assert (serving(context.registry), actions(context)) == (None, ["promote", "rollback"])
    assert settled(context, said, no_runs, package).outcome == UNDONE


def test_what_a_person_promoted_meanwhile_is_not_taken_back(
    context: TrainingContext, package: Path, tmp_path: Path
) -> None:
    first, second = (fresh(context.registry, tmp_path, mark) for mark in (1.0, 2.0))

    def replace() -> None:
        context.registry.promote(second, override="a person's choice")

    assert settled(context, report(first, None), WholeRuns(False, replace), package).outcome == REPLACED
    assert serving(context.registry) == second.name


def test_packages_that_are_not_reserved_judge_nothing_and_nothing_is_promoted(
    context: TrainingContext, tmp_path: Path
) -> None:
    said = report(fresh(context.registry, tmp_path, 1.0), None)
    with pytest.raises(GuardrailError, match=r"^held-out: little"):
        settled(context, said, no_runs, honest_package(tmp_path))
    assert (serving(context.registry), actions(context)) == (None, [])
