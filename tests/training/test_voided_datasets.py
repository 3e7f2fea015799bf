"""Datasets and evaluations that hold what answers led to which were taken back since."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from models.evaluation import Evaluation, Subject
from models.training import TrainingTarget
from store.learning.adapters import add_adapter
from store.learning.evaluations import add_evaluation, evaluations_on
from store.runs.attempts import AttemptKey
from tests.support.pairs_material import Repository, World, varied_gold_runs
from training.data.curation import Card, curate
from training.data.datasets import dataset_dir
from training.data.voided import affected_datasets


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


@pytest.fixture
def card(world: World) -> Card:
    varied_gold_runs(world, *(Repository(name) for name in ("alpha", "beta", "gamma")))
    return curate(world.raw, world.curated, world.request(TrainingTarget.SCOPE)).card


def sources(world: World, card: Card) -> list[AttemptKey]:
    file = dataset_dir(world.folder / "data", card.target, card.id) / "sft.jsonl"
    found = [json.loads(line)["provenance"] for line in file.read_text().splitlines()]
    return [AttemptKey(each["campaign"], each["trajectory"], each["attempt"]) for each in found]


def test_a_dataset_is_named_with_the_examples_that_rest_on_an_attempt(world: World, card: Card) -> None:
    data, engines = world.folder / "data", (world.raw.engine, world.curated)
    used = sources(world, card)
    [found] = affected_datasets(*engines, data, {used[0]}, None)
    assert (found.id, found.examples, found.adapters) == (card.id, used.count(used[0]), ())
    assert found.name == f"scope-{card.id[:12]}"
    [whole] = affected_datasets(*engines, data, set(used), None)
    assert whole.examples == len(used)
    other = used[0]._replace(attempt=used[0].attempt + 1)
    assert affected_datasets(*engines, data, {other}, None) == []
    assert affected_datasets(*engines, data, (), None) == []


def test_adapters_that_were_trained_on_it_are_named_and_missing_files_are_no_proof(world: World, card: Card) -> None:
    now = datetime.now(UTC)
    add_adapter(
        world.curated, "a" * 64, TrainingTarget.SCOPE, "b" * 64, world.folder, dataset_id=card.id, plan_id="p",
        metrics={}, trained_at=now,
    )  # fmt: skip
    data, engines = world.folder / "elsewhere", (world.raw.engine, world.curated)
    attempts = {AttemptKey("c", "t", 1)}
    [found] = affected_datasets(*engines, data, attempts, now - timedelta(days=1))
    assert (found.examples, found.adapters) == (None, ("scope-v1",))
    assert affected_datasets(*engines, data, attempts, now + timedelta(days=1)) == [], "made before the answers"


@pytest.mark.parametrize(("settings", "rests"), [({"campaign": "c" * 16}, True), ({"seeds": 1}, False)])
def test_evaluations_by_whole_runs_are_found_by_their_campaign(
    world: World, settings: dict[str, str | int | float], rests: bool
) -> None:
    campaign = "c" * 32
    evaluation = Evaluation(
        set_id="s", target=TrainingTarget.CODE, subject=Subject(name="x", base="b", adapter="a"), settings=settings,
        scores=(), seconds=0.0,
    )  # fmt: skip
    result = json.dumps({"evaluation": evaluation.model_dump(mode="json"), "answers": []})
    add_evaluation(world.raw.engine, "e", evaluation, {}, result)
    found = evaluations_on(world.raw.engine, ["d" * 32, campaign])
    assert [(each.id, each.target, each.adapter, each.campaign) for each in found] == (
        [("e", "code", "a", campaign)] if rests else []
    )
    assert evaluations_on(world.raw.engine, []) == evaluations_on(world.raw.engine, ["d" * 32]) == []
