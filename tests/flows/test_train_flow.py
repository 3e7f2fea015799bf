"""A tiny random Qwen3 goes all the way: gold runs, frozen set, dataset, baseline, training, registry, gate."""

from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import func, select

from evals.sets import build_set, freeze
from models.errors import EvaluationError, GuardrailError, RegistryError, TrainingError
from models.evaluation import GateVerdict
from models.training import TrainingTarget
from store.database import reading
from store.rows import add_in_sequence, writing
from store.tables import EvaluationRow, TrainingDataset, TrainingRun, table_of
from store.texts import Texts
from tests.support.pairs_material import Repository, World, varied_gold_runs
from tests.support.tiny import make_tiny_base
from training.adapters.registry import Registry
from training.adapters.registry.base_registry import BaseRegistry
from training.adapters.registry.statement import read_statement
from training.bases.bases import add_base
from training.data.curation import Card, Curated, curate
from training.data.curation.writing import dataset_id, hashed, write_dataset

HELD_OUT = "hidden"


@pytest.fixture
def world(prefect_engine: None, short_answers: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    """Gold runs of four repositories, one of them held out; a base; few and short steps of training."""
    monkeypatch.chdir(tmp_path)
    data = tmp_path / "data"
    for name, value in {
        "CRA_DATA_DIR": str(data),
        "CRA_CACHE_DIR": str(tmp_path / "cache"),
        "CRA_TRAINING__MAX_STEPS": "4",
        "CRA_TRAINING__BATCH_SIZE": "2",
        "CRA_TRAINING__VALIDATION_ROWS": "2",
        "CRA_TRAINING__CHECKPOINT_STEPS": "2",
        "CRA_TRAINING__RANK": "4",
    }.items():
        monkeypatch.setenv(name, value)
    made = World(data)
    varied_gold_runs(made, *(Repository(name) for name in ("alpha", "beta", "gamma", HELD_OUT)))
    add_base(made.curated, data, make_tiny_base(tmp_path / "tiny"), "tiny")
    return made


def freeze_scope(world: World) -> None:
    items = build_set(world.raw.engine, TrainingTarget.SCOPE, [HELD_OUT], limit=2)
    freeze(world.curated, world.raw.engine, items)


def freeze_other(world: World) -> None:
    """A frozen set of a repository that no dataset here was made of."""
    varied_gold_runs(world, Repository("other"))
    freeze(world.curated, world.raw.engine, build_set(world.raw.engine, TrainingTarget.SCOPE, ["other"], limit=1))


def curated(world: World, target: TrainingTarget) -> Curated:
    """A dataset where the flow looks for it."""
    request = world.request(target).model_copy(update={"data_dir": str(world.folder)})
    return curate(world.raw, world.curated, request)


def order(**changes: object) -> "object":
    from training.cycle.orders import TrainOrder

    return TrainOrder.model_validate({"target": TrainingTarget.SCOPE, "base": "tiny", **changes})


def rows(world: World, table: type) -> int:
    with reading(world.raw.engine) as connection:
        return connection.scalar(select(func.count()).select_from(table_of(table))) or 0


def with_preferences(world: World) -> Path:
    """A dataset of scope whose pairs are preferences as well: the right answer before a wrong one."""
    import json

    made = curated(world, TrainingTarget.SCOPE)
    assert made.dataset_dir is not None
    sft = (made.dataset_dir / "sft.jsonl").read_text()
    pairs = [json.loads(line) for line in sft.splitlines()]
    wrong = [{"role": "assistant", "content": '{"files": {}}'}]
    dpo = "".join(
        json.dumps(
            {
                **{name: pair[name] for name in ("id", "stage", "source", "split", "weight", "prompt")},
                "kind": "attributed",
                "chosen": pair["completion"],
                "rejected": wrong,
                "chosen_by": pair["provenance"],
                "rejected_by": pair["provenance"],
            }
        )
        + "\n"
        for pair in pairs
    )
    files = hashed(sft, dpo)
    card: Card = made.card.model_copy(
        update={
            "id": dataset_id(files, made.card.config),
            "files": files,
            "examples": {**made.card.examples, "dpo": len(pairs)},
        }
    )
    texts = Texts()
    row = TrainingDataset(
        id=card.id,
        stage="scope",
        source="synthetic",
        examples=2 * len(pairs),
        config=card.config,
        content_hash=texts.add(card.to_json()),
    )
    with writing(world.raw.engine, texts) as connection:
        add_in_sequence(connection, row)
    return write_dataset(world.folder, card, sft, dpo)


def test_pairs_and_preferences_go_through_training_gate_and_registry_once(world: World) -> None:
    from flows.train import train

    freeze_scope(world)
    dataset = with_preferences(world)
    report = train(order(dataset=dataset, technique="sft+dpo"))
    assert report.adapter == "scope-v1"
    assert report.verdict in (GateVerdict.INCONCLUSIVE, GateVerdict.REJECT)  # random weights cannot write JSON
    assert report.serving == "tiny"
    assert any("measured without the JSON schemas" in note for note in report.notes)
    assert {test.metric for test in report.gate.tests} >= {"accuracy", "relevant_recall"}
    registry = Registry(world.curated, world.folder)
    assert [entry.action for entry in registry.log(TrainingTarget.SCOPE)] == [report.verdict.value]
    lineage = read_statement(registry.verify("scope-v1").path).predicate
    with reading(world.raw.engine) as connection:
        asked = set(connection.scalars(select(table_of(EvaluationRow).c.id)))
    assert set(lineage.evaluations) == asked
    assert (rows(world, TrainingRun), rows(world, EvaluationRow)) == (2, 2)

    assert train(order(dataset=dataset, technique="sft+dpo")) == report
    assert (rows(world, TrainingRun), rows(world, EvaluationRow)) == (2, 2)
    assert len(registry.log()) == 1


def test_what_a_dataset_lacks_is_said_before_anything_is_measured(world: World) -> None:
    from flows.training_context import open_training_context
    from training.cycle.lifecycle import find_inputs

    freeze_scope(world)
    made = curated(world, TrainingTarget.SCOPE)
    with pytest.raises(TrainingError, match="has no preferences, which dpo needs"):
        find_inputs(open_training_context(), order(dataset=made.dataset_dir, technique="dpo"))  # type: ignore[arg-type]


def test_a_superseded_base_is_not_trained_on(world: World, tmp_path: Path) -> None:
    from flows.training_context import open_training_context
    from training.cycle.lifecycle import find_inputs

    freeze_scope(world)
    made = curated(world, TrainingTarget.SCOPE)
    bases = BaseRegistry(world.curated, world.folder)
    for name in ("tiny", "other"):
        if name == "other":
            add_base(world.curated, world.folder, make_tiny_base(tmp_path / "other", seed=1), "other")
        bases.adopt(name, "served now", "reasoning")
    with pytest.raises(RegistryError, match="base tiny is superseded by other; train on that"):
        find_inputs(open_training_context(), order(dataset=made.dataset_dir))  # type: ignore[arg-type]


def test_nothing_is_trained_without_a_frozen_set(world: World) -> None:
    from flows.train import train

    curated(world, TrainingTarget.SCOPE)
    with pytest.raises(EvaluationError, match="no evaluation set of scope is frozen"):
        train(order())


def test_nothing_is_trained_on_what_was_reserved_afterwards(world: World) -> None:
    from flows.train import train

    made = curated(world, TrainingTarget.SCOPE)
    freeze_scope(world)
    with pytest.raises(GuardrailError, match=r"^held-out: hidden is reserved"):
        train(order(dataset=made.dataset_dir))


def test_a_target_waits_for_its_turn_unless_a_person_says_why(world: World) -> None:
    from flows.train import train

    items = build_set(world.raw.engine, TrainingTarget.TASK_ANALYSIS, [HELD_OUT], limit=1)
    freeze(world.curated, world.raw.engine, items)
    curated(world, TrainingTarget.TASK_ANALYSIS)
    with pytest.raises(GuardrailError, match=r"^tier-order: task_analysis is of tier 2"):
        train(order(target=TrainingTarget.TASK_ANALYSIS))
    report = train(order(target=TrainingTarget.TASK_ANALYSIS, override="no tuned base can be made here"))
    assert any("no tuned base can be made here" in note for note in report.notes)
    log = Registry(world.curated, world.folder).log(TrainingTarget.TASK_ANALYSIS)
    assert [entry.override for entry in log if entry.override] == ["no tuned base can be made here"]


def test_a_dataset_that_was_changed_is_refused(world: World) -> None:
    from flows.train import train

    freeze_scope(world)
    made = curated(world, TrainingTarget.SCOPE)
    assert made.dataset_dir is not None
    file = made.dataset_dir / "sft.jsonl"
    file.chmod(0o644)
    file.write_text(file.read_text().replace("irrelevant", "relevant", 1))
    with pytest.raises(TrainingError, match=r"sft\.jsonl is missing or was changed"):
        train(order())


class Killed(BaseException):
    """As good as a kill: nothing catches it."""


def crash_after(monkeypatch: pytest.MonkeyPatch, name: str) -> Callable[[], None]:
    """Make the train flow die right after a step, once; what is returned takes that back."""
    import flows.training_steps
    import training.cycle.lifecycle

    module = flows.training_steps if name == "train_adapter" else training.cycle.lifecycle
    real = getattr(module, name)

    def dies(*args: object, **kwargs: object) -> object:
        real(*args, **kwargs)
        raise Killed

    monkeypatch.setattr(module, name, dies)
    return lambda: monkeypatch.setattr(module, name, real)


@pytest.mark.parametrize("step", ["evaluate", "train_adapter", "_registered", "gate", "conclude"])
def test_a_flow_that_died_repeats_no_finished_step(world: World, monkeypatch: pytest.MonkeyPatch, step: str) -> None:
    from flows.train import train

    freeze_scope(world)
    curated(world, TrainingTarget.SCOPE)
    restore = crash_after(monkeypatch, step)
    with pytest.raises(Killed):
        train(order())
    before = (rows(world, TrainingRun), rows(world, EvaluationRow))
    restore()
    report = train(order())
    assert (rows(world, TrainingRun), rows(world, EvaluationRow)) == (1, 2)
    assert before <= (1, 2)
    assert len(Registry(world.curated, world.folder).log(TrainingTarget.SCOPE)) == 1
    assert report.adapter == "scope-v1"


def test_a_full_fine_tune_makes_a_candidate_and_old_adapters_can_be_promoted_until_it_is_in_use(world: World) -> None:
    from flows.train import train
    from flows.tune import tune
    from training.cycle.tuning import make_order

    dataset = curated(world, TrainingTarget.SCOPE).dataset_dir
    assert dataset is not None
    freeze_other(world)
    report = train(order(dataset=dataset))
    wanted = make_order("reasoning", "tiny", dataset, None)
    first = tune(wanted)
    assert (first.name, first.role, first.version) == ("reasoning-base-v1", "reasoning", 1)
    assert tune(wanted) == first
    assert rows(world, TrainingRun) == 2
    registry, bases = Registry(world.curated, world.folder), BaseRegistry(world.curated, world.folder)
    registry.promote(report.adapter, override="the old base serves")
    [stopped] = bases.promote(first.name, "no gate was asked").stopped
    assert stopped.name == report.adapter
    with pytest.raises(GuardrailError, match="scope uses base reasoning-base-v1"):
        registry.promote(report.adapter, override="whatever")
