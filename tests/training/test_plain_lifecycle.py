"""An adapter's whole lifecycle, and a round of self-improvement, as plain calls: no engine is started."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")

from benchmarks.attacks._package import honest_package
from evals.sets import build_set, freeze
from models.evaluation import Evaluation, EvaluationSet, GateVerdict
from models.training import TrainingTarget
from tests.support.bad_server import ScriptedServer
from tests.support.pairs_material import Repository, World, varied_gold_runs
from tests.support.plain_steps import plain_steps, student_settings
from tests.support.tiny import make_tiny_base
from training.bases.bases import Base, add_base
from training.cycle.context import TrainingContext, open_context
from training.cycle.evaluation import answer_set
from training.cycle.improvement import ImproveOrder, improve
from training.cycle.lifecycle import train
from training.cycle.orders import TrainOrder
from training.cycle.steps import StudentCampaign, TrainingSteps
from training.data.curation import curate

pytestmark = pytest.mark.slow

FEW = {"max_steps": 2, "batch_size": 2, "validation_rows": 1, "checkpoint_steps": 1, "rank": 4}


@pytest.fixture
def world(short_answers: None, tmp_path: Path) -> World:
    made = World(tmp_path / "data")
    varied_gold_runs(made, *(Repository(name) for name in ("alpha", "beta", "gamma", "hidden")))
    add_base(made.curated, made.folder, make_tiny_base(tmp_path / "tiny"), "tiny")
    freeze(made.curated, made.raw.engine, build_set(made.raw.engine, TrainingTarget.SCOPE, ["hidden"], limit=1))
    return made


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    with ScriptedServer(lambda request: "I cannot say.", flavour="openai") as running:
        yield running


@pytest.fixture
def context(world: World, server: ScriptedServer) -> TrainingContext:
    """Evaluations ask the server, which writes faster than a model in this process."""
    return open_context(student_settings(world.folder, server.url, training=FEW | {"endpoint": "here"}))


def steps_at(server: ScriptedServer, run_campaign: Callable[[StudentCampaign], str]) -> TrainingSteps:
    """Plain steps with a server that has each adapter by the time that it is asked for."""

    def answer(label: str, context: TrainingContext, items: EvaluationSet, base: Base, adapter: Any) -> Evaluation:
        server.models = ("scripted", adapter.served) if adapter else ("scripted",)
        return answer_set(label, context, items, base, adapter)

    return replace(plain_steps(run_campaign), answer=answer)


def no_campaign(asked: StudentCampaign) -> str:
    raise AssertionError(f"no campaign is due: {asked}")


def test_an_adapter_is_trained_measured_and_gated_once(
    world: World, context: TrainingContext, server: ScriptedServer
) -> None:
    request = world.request(TrainingTarget.SCOPE).model_copy(update={"data_dir": str(world.folder)})
    curate(world.raw, world.curated, request)
    steps, order = steps_at(server, no_campaign), TrainOrder(target=TrainingTarget.SCOPE, base="tiny")
    report = train(context, steps, order)
    assert (report.adapter, report.serving) == ("scope-v1", "tiny")
    assert report.verdict in (GateVerdict.INCONCLUSIVE, GateVerdict.REJECT)  # random weights cannot write JSON
    assert [entry.action for entry in context.registry.log()] == [report.verdict.value]
    told = list[str]()
    again = open_context(context.settings, lambda what, done, total: told.append(what))
    assert train(again, steps, order) == report
    assert [what.rpartition(": ")[2] for what in told] == ["done before"] * 3


def test_a_round_is_gone_through_once_and_ends_as_nothing_was_promoted(
    context: TrainingContext, server: ScriptedServer, tmp_path: Path
) -> None:
    asked, shown = list[StudentCampaign](), list[int]()

    def run_campaign(campaign: StudentCampaign) -> str:
        asked.append(campaign)
        return "the campaign's id"

    order = ImproveOrder(packages=(honest_package(tmp_path),), min_organisations=1, samples=1, limit=1)
    report = improve(context, steps_at(server, run_campaign), order, 2, show=lambda lines: shown.append(len(lines)))
    [line] = report.lines
    assert (line.round, line.adapter, report.stopped) == (1, "scope-v1", "round 1 promoted nothing")
    assert (len(asked), asked[0].name, shown) == (1, "self-improve round 1", [1])
