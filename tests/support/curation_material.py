"""What tests of curation share: reading what was made, evaluation items, examples made by hand."""

import json
from typing import Any

from models.chat import Message
from models.evaluation import EvaluationItem, EvaluationSet
from models.protocols import Stage
from models.training import Pair, Provenance, TrainingTarget
from store.rows import add, add_in_sequence, writing
from store.tables import EvaluationSetRow, Reservation, TrainingPlan
from tests.support.pairs_material import World
from training.data.curation import Curated
from training.data.curation.examples import Example


def lines(made: Curated, name: str = "sft.jsonl") -> list[dict[str, Any]]:
    assert made.dataset_dir is not None
    return [json.loads(line) for line in (made.dataset_dir / name).read_text().splitlines()]


def dropped(made: Curated) -> dict[str, int]:
    return {name: count for name, _, count in made.card.funnel if count}


def trained_on(world: World, made: Curated) -> None:
    """Record that a training was set up with a dataset."""
    row = TrainingPlan(
        id=f"plan of {made.card.id}", stage=made.card.target.value, source="s", base="b",
        dataset_id=made.card.id, config={},
    )  # fmt: skip
    with writing(world.raw.engine) as connection:
        add_in_sequence(connection, row)


def freeze(world: World, *items: EvaluationItem) -> None:
    made = EvaluationSet(target=TrainingTarget.SCOPE, repositories=("held",), items=items)
    row = EvaluationSetRow(
        id=made.id, target="scope", items=len(items), repositories=["held"], content=made.model_dump_json()
    )
    with writing(world.curated) as connection:
        add_in_sequence(connection, row)


def item(messages: tuple[Message, ...] = (), **changes: Any) -> EvaluationItem:
    known = {"id": "i", "stage": Stage.SCOPE, "repository": "held", "instance": "held-0", "commit": "e" * 40}
    return EvaluationItem(**(known | changes), messages=messages, expected="{}", answer_tokens=1)


def any_provenance() -> Provenance:
    return Provenance(
        campaign="c", trajectory="t", attempt=1, seq=0, instance="i", repository="r", organisation="o", domain="d",
        license="l", commit="c", base_commit="b", planner="gold", model="m", adapter=None, outcome="passed",
        oracle=None, attribution=None, alignment=None,
    )  # fmt: skip


def pair_of(text: str, answer: str, weight: float = 1.0) -> Example:
    messages = (Message(role="system", content="s"), Message(role="user", content=text))
    pair = Pair(
        stage=Stage.CODE, source="synthetic", messages=messages, answer=answer, weight=weight,
        provenance=any_provenance(),
    )  # fmt: skip
    return Example(pair, pair.id, 1, 1)


def reserve_row(world: World, name: str) -> None:
    with writing(world.curated) as connection:
        add(connection, Reservation(repository=name, reason="r"))
