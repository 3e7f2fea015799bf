"""Unattended operation with a scripted student over real databases, gates and registry."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

pytest.importorskip("torch")

from cli.main import app
from evals.sets import build_set, freeze
from models.errors import UsageError
from models.training import TrainingTarget
from runtime.environments.store import disk_usage
from store.learning.datasets import add_dataset
from store.tables import TrainingPlan
from tests.support.operation_material import HELD, Script, Simulation, run_script
from tests.support.retention_material import NO_LIMIT, add_row, junk
from tests.support.tiny import make_tiny_base
from training.bases.bases import list_bases
from training.cycle.past_rounds import read_rounds
from training.cycle.rounds import BEGIN, Round, RoundRequest, abandon
from training.data.datasets import dataset_dir, read_dataset
from training.operation.history import read_history
from training.operation.inventory import RetentionKind
from training.operation.lineage import check_lineage, needed_datasets
from training.operation.log import EventKind, OperationLog
from training.operation.loop import find_standing, note_continuation
from training.operation.measuring import measured
from training.operation.orders import OperateOrder, OperateReport
from training.operation.retention import GIB, apply_retention, disk_state, plan_retention
from training.operation.standing import State

pytestmark = pytest.mark.slow

TURNS = 9


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_tiny_base(tmp_path_factory.mktemp("base"))


@pytest.fixture(scope="module")
def operated(base: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Simulation, list[OperateReport]]:
    """A student that improves, comes to a plateau, and loses its diversity with its eighth adapter."""
    simulation = Simulation(tmp_path_factory.mktemp("operation"), Script(collapse=8))
    simulation.prepare(base)
    limits = {"operation": {"disk_budget_gib": 0.03, "least_free_gib": 0.0}}
    return simulation, list(run_script(simulation, TURNS, **limits))


def test_it_stops_where_it_should(operated: tuple[Simulation, list[OperateReport]]) -> None:
    _, reports = operated
    turns = [report for report in reports if report.turns]
    assert [report.turns for report in turns] == [(number,) for number in range(1, TURNS + 1)]
    verdicts = [report.lines[0].verdict for report in turns]
    assert verdicts[:2] == ["promote", "promote"]
    led = [(report.standing.state, report.standing.rule) for report in turns]
    assert led[1] == (State.WAITING, "fresh-repositories")
    assert (State.DONE, "plateau") in led
    collapsed = next(report for report in turns if report.lines[0].adapter == "scope-v8")
    assert collapsed.lines[0].verdict == "promote", "its frozen answers are better than ever"
    assert (collapsed.standing.state, collapsed.standing.rule) == (State.STOPPED, "diversity")


def test_retention_keeps_within_the_disk_and_says_what_it_deleted(
    operated: tuple[Simulation, list[OperateReport]],
) -> None:
    simulation, _ = operated
    events = simulation.log.events()
    deleted = [event.result for event in events if event.kind is EventKind.DELETED]
    assert {each["kind"] for each in deleted} >= {"checkpoints"}
    assert not any(Path(each["path"]).exists() for each in deleted if each["kind"] == "checkpoints")
    used = [event.result["disk"]["used"] for event in events if event.kind is EventKind.UPKEEP]
    assert max(used) < 0.03 * GIB + 5_000_000, "the budget, and what a turn adds"
    assert check_lineage(simulation.context()) == []


def test_datasets_of_finished_trainings_are_compressed_and_come_back(
    operated: tuple[Simulation, list[OperateReport]],
) -> None:
    simulation, _ = operated
    versions = simulation.context(**NO_LIMIT).registry.list()
    folders = [dataset_dir(simulation.data, each.target, each.dataset_id) for each in versions]
    packed = [folder for folder in folders if (folder / "sft.jsonl.xz").is_file()]
    assert len(packed) >= TURNS - 3 and all(not (folder / "sft.jsonl").exists() for folder in packed)
    assert check_lineage(simulation.context(**NO_LIMIT)) == []
    assert all((folder / "sft.jsonl.xz").is_file() for folder in packed), "a check leaves them as they are"
    assert read_dataset(packed[0]).id in {each.dataset_id for each in versions}
    assert (packed[0] / "sft.jsonl").is_file() and not (packed[0] / "sft.jsonl.xz").exists()
    (packed[1] / "sft.jsonl.xz").rename(packed[1] / "away")
    assert len(check_lineage(simulation.context(**NO_LIMIT))) >= 1, "a missing one is noticed"
    (packed[1] / "away").rename(packed[1] / "sft.jsonl.xz")
    freed = [event.result["packed"]["freed"] for event in simulation.log.events() if event.kind is EventKind.UPKEEP]
    assert sum(freed) > 0


def test_the_history_and_the_page(
    operated: tuple[Simulation, list[OperateReport]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    simulation, _ = operated
    context = simulation.context(**NO_LIMIT)
    history = read_history(context, simulation.packages, simulation.order(), simulation.log)
    assert len(history.turns) == len(history.rounds) == TURNS
    assert {(rate.turn, rate.group) for rate in history.rates} == {
        (turn, group) for turn in range(1, TURNS + 1) for group in ("reserved", "out of distribution")
    }
    scope = next(each for each in history.serving if each.target is TrainingTarget.SCOPE)
    assert scope.adapter == context.registry.active(TrainingTarget.SCOPE).name  # type: ignore[union-attr]
    assert scope.decision is not None
    assert history.forecast.bytes_per_turn is not None
    monkeypatch.setenv("CRA_DATA_DIR", str(simulation.data))
    monkeypatch.setenv("CRA_CACHE_DIR", str(simulation.data / "cache"))
    page = tmp_path / "page.html"
    shown = CliRunner().invoke(app, ["operate", "--page", str(page), "--json"])
    assert shown.exit_code == 0, shown.output
    text = page.read_text()
    assert text.count("<svg") == 3 and "<script" not in text
    assert "repo-03" in text and "out of distribution" in text
    plan = CliRunner().invoke(app, ["operate", "--plan-retention", "--json"])
    assert plan.exit_code == 0, plan.output
    assert json.loads(plan.stdout)["disk"]["used"] > 0


def test_what_was_stopped_goes_on_after_a_reason(operated: tuple[Simulation, list[OperateReport]]) -> None:
    simulation, reports = operated
    stopped = next(place for place, report in enumerate(reports) if report.standing.state is State.STOPPED)
    assert reports[stopped + 1].turns, "a person's reason was given then"
    noted = [event for event in simulation.log.events() if event.kind is EventKind.CONTINUED]
    assert noted[0].result["why"]


def test_a_reason_to_go_on_counts_once(operated: tuple[Simulation, list[OperateReport]], tmp_path: Path) -> None:
    simulation, _ = operated
    context, log = simulation.context(**NO_LIMIT), OperationLog(tmp_path)
    last = max(each.number for each in read_rounds(context.raw_engine))

    def lose_diversity(number: int) -> None:
        for turn, alike in ((number, False), (number + 1, True)):
            passes = {(f"r{n}@1", seed): bool(n % 2 if alike else seed) for n in range(12) for seed in (0, 1)}
            made = measured(turn, turn, {}, passes).model_dump(mode="json")
            log.add(turn, EventKind.MEASURE, {"measure": made})

    def go_on(why: str) -> list[int]:
        order = OperateOrder(continued=why)
        note_continuation(context, simulation.packages, order, log)
        return [event.result["round"] for event in log.events() if event.kind is EventKind.CONTINUED]

    assert go_on("nothing has stopped it") == []
    lose_diversity(last - 1)
    assert find_standing(context, simulation.packages, OperateOrder(), log.events()).rule == "diversity"
    assert go_on("looked at it") == [last]
    assert go_on("looked at it") == [last], "the same command, started again"
    lose_diversity(last + 1)
    with pytest.raises(UsageError, match="new reason"):
        go_on("looked at it")
    assert go_on("looked again") == [last, last]


@given(
    st.lists(st.tuples(st.sampled_from(RetentionKind), st.integers(1, 4)), max_size=6, unique=True),
    st.integers(-1_500_000, 1_500_000),
)
@settings(max_examples=30, deadline=None)
def test_whatever_must_go_every_adapter_and_its_lineage_stay(
    operated: tuple[Simulation, list[OperateReport]], superfluous: list[tuple[RetentionKind, int]], room: int
) -> None:
    simulation, _ = operated
    folders = [junk(simulation, kind, number) for kind, number in superfluous]
    used = disk_state(simulation.context(**NO_LIMIT).settings).used
    budget = max(1, used - sum(map(disk_usage, folders)) + room)
    context = simulation.context(operation={"least_free_gib": 0.0, "disk_budget_gib": budget / GIB})
    before = {path for name in ("adapters", "keys", "bases") for path in (simulation.data / name).rglob("*")}
    plan = plan_retention(context, idle=True)
    gone = apply_retention(plan, context.settings, lambda item: None)
    assert check_lineage(context) == []
    assert before == {path for name in ("adapters", "keys", "bases") for path in (simulation.data / name).rglob("*")}
    for version in context.registry.list():
        assert version.dataset_id in needed_datasets(context)
        assert dataset_dir(simulation.data, version.target, version.dataset_id).is_dir()
    assert len(list_bases(context.curated)) == 1
    if plan.short:
        assert {item.kind for item in gone} <= {RetentionKind.CHECKPOINTS}, "nothing is deleted in vain"
    else:
        assert disk_state(context.settings).used <= max(budget, used - plan.freed)


def test_what_an_open_round_uses_stays(operated: tuple[Simulation, list[OperateReport]]) -> None:
    simulation, _ = operated
    folder = junk(simulation, RetentionKind.DATASETS, 77)
    context = simulation.context(operation={"least_free_gib": 0.0, "disk_budget_gib": 1 / GIB})
    assert folder in {item.path for item in plan_retention(context, idle=True).staying}
    going = plan_retention(context, idle=False).going
    assert {item.kind for item in going} <= {RetentionKind.CHECKPOINTS}, "of trainings that ended, if there are any"
    number = max(event.result["number"] for event in simulation.log.events() if event.kind is EventKind.ROUND) + 1
    request = RoundRequest(packages=(), repositories=("x",), targets=(), base="tiny", settings={})
    Round(context.raw_engine, number, request).finish(BEGIN, None, request.model_dump(mode="json"))
    assert folder not in {item.path for item in plan_retention(context, idle=True).staying}
    abandon(context.raw_engine)


def test_what_may_be_wanted_still_stays(operated: tuple[Simulation, list[OperateReport]], tmp_path: Path) -> None:
    """A training that can go on, datasets newer than any that was trained on or not on record, what is not ours."""
    simulation, _ = operated
    context = simulation.context(operation={"least_free_gib": 0.0, "disk_budget_gib": 1 / GIB})
    first, outside = context.registry.list()[0], tmp_path / "outside"
    job = "begun-last"
    going_on = simulation.data / "trainings" / job / "checkpoints"
    add_row(
        simulation,
        TrainingPlan(id=job, stage="scope", source="gold", base=first.base, dataset_id=first.dataset_id, config={}),
    )
    new = [simulation.data / "datasets" / f"scope-{number:012d}" for number in (90, 91)]
    others = [simulation.data / "cache" / name for name in ("pip", "clones", "scratch/in-use")]
    left = simulation.data / "cache" / "scratch" / "left"
    left.mkdir(parents=True)
    os.utime(left, (1e9, 1e9))  # long before this machine was started
    for folder in (going_on, *new, *others, outside / "checkpoints"):
        folder.mkdir(parents=True)
        (folder / "content").write_bytes(b"\0" * 1000)
    for number, folder in zip((90, 91), new, strict=True):
        (folder / "card.json").write_text(json.dumps({"id": f"{number:064d}"}))
    add_dataset(
        context.raw_engine, f"{90:064d}", TrainingTarget.SCOPE, source="gold", examples=1, config={"base": "another"},
        repositories=[], content="{}", considered="",
    )  # fmt: skip
    (outside / "fit.json").write_text("{}")
    (simulation.data / "trainings" / "linked").symlink_to(outside)
    plan = plan_retention(context, idle=True)
    listed = {item.path for item in (*plan.going, *plan.staying)}
    linked = simulation.data / "trainings" / "linked" / "checkpoints"
    assert listed.isdisjoint({going_on, *new, *others, linked})
    apply_retention(
        plan.model_copy(update={"going": (*plan.going, *plan.staying)}), context.settings, lambda item: None
    )
    assert all(folder.is_dir() for folder in (going_on, *new, *others, outside / "checkpoints"))


def test_only_targets_whose_turn_has_come_are_trained(base: Path, tmp_path: Path) -> None:
    simulation = Simulation(tmp_path)
    simulation.prepare(base)
    context = simulation.context(**NO_LIMIT)
    freeze(context.curated, context.raw_engine, build_set(context.raw_engine, TrainingTarget.PRECISION, list(HELD)))
    [_] = run_script(simulation, 1, **NO_LIMIT)
    [first] = read_rounds(context.raw_engine)
    assert first.targets == (TrainingTarget.SCOPE,), "precision waits for code, scope and a tuned base"


def test_without_room_it_stops_and_deletes_nothing_that_is_needed(base: Path, tmp_path: Path) -> None:
    simulation = Simulation(tmp_path)
    simulation.prepare(base)
    limits = {"operation": {"disk_budget_gib": 0.0001, "least_free_gib": 0.0}}
    [report] = run_script(simulation, 1, **limits)
    assert (report.standing.state, report.standing.rule, report.lines) == (State.STOPPED, "disk", ())
    assert not any(event.kind is EventKind.ROUND for event in simulation.log.events())


def test_killed_at_any_moment_it_comes_to_the_same_end(base: Path, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.support.operation_kills", str(tmp_path), str(base), "3", "20", "1"],
        env={**os.environ, "OMP_NUM_THREADS": "1"}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["kills"] == 20 and found["calm"]["lineage"] == []
    assert len(found["calm"]["rounds"]) == 3
    for each in found["disturbed"]:
        assert each == found["calm"]
