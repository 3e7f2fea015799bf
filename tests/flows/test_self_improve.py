"""A round of self-improvement: a scripted student's campaign, a dataset, a training, a gate. Killed anywhere, it goes
on and does nothing twice."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select

from evals.sets import build_set, freeze
from harness.packages.package import RepoPackage
from models.errors import GuardrailError, RegistryError, UsageError
from models.evaluation import GateReport, GateVerdict
from models.training import TrainingTarget
from store.database import reading
from store.tables import EvaluationRow, ImprovementStep, Promotion, TaskRun, TrainingDataset, TrainingRun, table_of
from tests.support.bad_server import ScriptedServer
from tests.support.pairs_material import Repository, World, varied_gold_runs
from tests.support.tiny import make_tiny_base
from training.bases.bases import add_base

pytestmark = pytest.mark.index

Configure = Callable[..., None]


@pytest.fixture
def world(configured: Configure, short_answers: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    """Gold runs to learn from, a frozen set of a reserved repository, a base; few and short steps of training."""
    for name, value in {
        "MAX_STEPS": 2,
        "BATCH_SIZE": 2,
        "VALIDATION_ROWS": 1,
        "CHECKPOINT_STEPS": 1,
        "RANK": 4,
    }.items():
        monkeypatch.setenv(f"CRA_TRAINING__{name}", str(value))
    made = World(tmp_path / "data")
    varied_gold_runs(made, *(Repository(name) for name in ("alpha", "beta", "gamma", "hidden")))
    add_base(made.curated, made.folder, make_tiny_base(tmp_path / "tiny"), "tiny")
    freeze(made.curated, made.raw.engine, build_set(made.raw.engine, TrainingTarget.SCOPE, ["hidden"], limit=1))
    return made


class Killed(BaseException):
    """As good as a kill: nothing catches it."""


def order(package: RepoPackage, **changes: Any) -> Any:
    from training.cycle.improvement import ImproveOrder

    given = {"packages": [package.directory], "min_organisations": 1, "samples": 1, "limit": 1}
    return ImproveOrder.model_validate({**given, **changes})


def count(world: World, table: type) -> int:
    engine = world.curated if table is Promotion else world.raw.engine
    with reading(engine) as connection:
        return connection.scalar(select(func.count()).select_from(table_of(table))) or 0


def done(world: World) -> tuple[int, ...]:
    """Trajectories, datasets, trainings, evaluations and decisions so far."""
    return tuple(count(world, each) for each in (TaskRun, TrainingDataset, TrainingRun, EvaluationRow, Promotion))


def test_a_round_ends_with_a_verdict_and_stops_when_nothing_was_promoted(
    sample: RepoPackage, world: World, configured: Configure
) -> None:
    from flows.self_improve import self_improve

    with ScriptedServer(lambda request: "I cannot say.") as server:
        configured(server.url)
        report = self_improve(order(sample), rounds=2)
    [line] = report.lines
    assert (line.round, line.target, line.adapter) == (1, TrainingTarget.SCOPE, "scope-v1")
    assert line.verdict in ("inconclusive", "reject")
    assert report.stopped == "round 1 promoted nothing"
    assert done(world) == (17, 1, 1, 2, 1)


@pytest.mark.parametrize("step", ["campaign", "curate", "prepare", "gate", "settle", "continue_or_begin"])
def test_a_round_that_died_after_a_step_goes_on_there(
    sample: RepoPackage, world: World, configured: Configure, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    import flows.training_steps
    import training.cycle.improvement
    from flows.self_improve import self_improve

    module = flows.training_steps if step in ("campaign", "curate") else training.cycle.improvement
    real = getattr(module, step)
    calls: list[str] = []

    def dies(*args: object, **kwargs: object) -> object:
        real(*args, **kwargs)
        raise Killed

    def counted(*args: object, **kwargs: object) -> object:
        calls.append(step)
        return real(*args, **kwargs)

    with ScriptedServer(lambda request: "I cannot say.") as server:
        configured(server.url)
        monkeypatch.setattr(module, step, dies)
        with pytest.raises(Killed):
            self_improve(order(sample))
        asked, before = len(server.requests), done(world)
        monkeypatch.setattr(module, step, counted)
        report = self_improve(order(sample))
        assert len(report.lines) == 1 and report.lines[0].round == 1
        if step != "continue_or_begin":
            assert len(server.requests) == asked
    assert done(world) == (17, 1, 1, 2, 1)
    assert all(old <= new for old, new in zip(before, done(world), strict=True))
    assert calls == [step] or step == "prepare"  # which finds everything, and is asked again by each later step


def test_a_round_ends_though_somebody_else_serves_by_now(
    sample: RepoPackage, world: World, configured: Configure, monkeypatch: pytest.MonkeyPatch
) -> None:
    import training.cycle.improvement as improvement
    from flows.self_improve import self_improve

    def passes_against_another(*args: Any) -> list[GateReport]:
        [report] = real(*args)
        champion = report.champion.model_copy(update={"name": "scope-v0", "adapter": "f" * 64})
        return [report.model_copy(update={"verdict": GateVerdict.PROMOTE, "champion": champion})]

    real = improvement.gate
    monkeypatch.setattr(improvement, "gate", passes_against_another)
    with ScriptedServer(lambda request: "I cannot say.") as server:
        configured(server.url)
        report = self_improve(order(sample))
    [line] = report.lines
    assert line.verdict == "skipped"
    assert "scope-v1 passed against scope-v0" in line.reason
    assert report.stopped == "round 1 promoted nothing"


def test_a_round_ends_though_a_rule_refuses_a_target_by_now(
    sample: RepoPackage, world: World, configured: Configure, monkeypatch: pytest.MonkeyPatch
) -> None:
    import training.cycle.improvement as improvement
    from flows.self_improve import self_improve

    def refuses_the_second_time(*args: Any) -> Any:
        calls.append("prepare")
        if len(calls) > 1:
            raise GuardrailError("tier-order", "its turn has passed")
        return real(*args)

    real, calls = improvement.prepare, list[str]()
    monkeypatch.setattr(improvement, "prepare", refuses_the_second_time)
    with ScriptedServer(lambda request: "I cannot say.") as server:
        configured(server.url)
        report = self_improve(order(sample))
    [line] = report.lines
    assert (line.verdict, line.reason) == ("skipped", "tier-order: its turn has passed")
    assert report.stopped == "round 1 promoted nothing"


def test_an_unknown_base_opens_no_round(sample: RepoPackage, world: World, configured: Configure) -> None:
    from flows.self_improve import self_improve

    configured("http://127.0.0.1:9/v1")
    with pytest.raises(RegistryError, match=r"no base 'missing' \(known: tiny\)"):
        self_improve(order(sample, base="missing"))
    assert count(world, ImprovementStep) == 0


def test_a_third_round_without_a_new_repository_is_refused(
    sample: RepoPackage, world: World, configured: Configure
) -> None:
    from flows.self_improve import self_improve

    with ScriptedServer(lambda request: "I cannot say.") as server:
        configured(server.url)
        self_improve(order(sample))
        again = self_improve(order(sample))
        assert again.lines[0].verdict == "skipped" and "no new examples" in again.lines[0].reason
        with pytest.raises(GuardrailError, match=r"^fresh-repositories: "):
            self_improve(order(sample))


def test_an_open_round_is_not_gone_on_with_as_another_one(
    sample: RepoPackage, world: World, configured: Configure, monkeypatch: pytest.MonkeyPatch
) -> None:
    import flows.training_steps
    from flows.self_improve import self_improve

    with ScriptedServer(lambda request: "I cannot say.") as server:
        configured(server.url)
        monkeypatch.setattr(flows.training_steps, "curate", lambda request: (_ for _ in ()).throw(Killed))
        with pytest.raises(Killed):
            self_improve(order(sample))
        with pytest.raises(UsageError, match="round 1 is not finished and was begun with other settings"):
            self_improve(order(sample, samples=2))


def test_a_reserved_repository_is_not_improved_on(world: World, sample: RepoPackage) -> None:
    from evals.sets import reserve
    from flows.self_improve import self_improve

    reserve(world.curated, world.raw.engine, [sample.manifest.name], "to be measured on")
    with pytest.raises(GuardrailError, match=r"^held-out: "):
        self_improve(order(sample))
