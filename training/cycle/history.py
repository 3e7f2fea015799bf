"""What the learning loop has done: adapters, the decisions about them, the gates behind those, and loss curves."""

import json
from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from pydantic import ValidationError

from models.errors import DatabaseError
from models.evaluation import GateReport
from models.plans import Frozen
from store.learning.adapters import AdapterVersion
from store.learning.loss_curves import LossCurve, read_loss_curves
from store.learning.promotions import LoggedDecision
from training.adapters.registry import Registry

if TYPE_CHECKING:
    from store.database import Engine

Points = tuple[tuple[int, float], ...]
"""Steps with the loss at each."""
NEWEST_TRAININGS = 12
MOST_POINTS = 40
BASE = "the base"


class Decision(Frozen):
    """A logged decision, with names for the hashes of its subject and of who served afterwards, and its gate's report
    if a gate made it."""

    number: int
    at: datetime
    target: str
    action: str
    adapter: str
    serving: str
    reason: str
    override: str
    report: GateReport | None


class TrainingCurve(Frozen):
    """A finished training with at most 40 points of its training loss, each the mean of the steps up to it, and all of
    its validation losses. `name` is its adapter's, or that of the target with the job's hash."""

    name: str
    job: str
    target: str
    backend: str
    steps: int
    tokens: int
    seconds: float
    finished_at: datetime
    training: Points
    validation: Points


class LearningHistory(Frozen):
    """Adapters, decisions about them (oldest first), and the newest trainings."""

    adapters: tuple[AdapterVersion, ...]
    decisions: tuple[Decision, ...]
    trainings: tuple[TrainingCurve, ...]


def read_history(raw: "Engine", registry: Registry) -> LearningHistory:
    """The history from both databases. Raises DatabaseError for a gate's report or a loss curve that is damaged."""
    adapters = registry.list()
    names = {version.id: version.name for version in adapters}
    return LearningHistory(
        adapters=tuple(adapters),
        decisions=tuple(_decision(row, names) for row in registry.log()),
        trainings=tuple(_curve(each, names) for each in read_loss_curves(raw, NEWEST_TRAININGS)),
    )


def _decision(row: LoggedDecision, names: dict[str, str]) -> Decision:
    try:
        report = GateReport.model_validate(row.report) if row.report else None
    except ValidationError as error:
        raise DatabaseError(f"the gate's report of decision {row.seq} is damaged; restore the database") from error
    return Decision(
        number=row.seq,
        at=row.created_at,
        target=row.target,
        action=row.action,
        adapter=_name(row.adapter, names, "-"),
        serving=_name(row.serving, names, BASE),
        reason=row.reason,
        override=row.override or "",
        report=report,
    )


def _name(adapter: str | None, names: dict[str, str], none: str) -> str:
    return none if adapter is None else names.get(adapter, adapter[:12])


def _curve(found: LossCurve, names: dict[str, str]) -> TrainingCurve:
    try:
        rows = [json.loads(line) for line in found.losses.splitlines()]
        training = [(int(row["step"]), float(row["loss"])) for row in rows if "loss" in row]
        validation = [(int(row["step"]), float(row["eval_loss"])) for row in rows if "eval_loss" in row]
    except (ValueError, KeyError, TypeError) as error:
        raise DatabaseError(f"the loss curve of training {found.job[:12]} is damaged; restore the database") from error
    return TrainingCurve(
        name=names.get(found.result, f"{found.target.value} {found.job[:12]}"),
        job=found.job,
        target=found.target.value,
        backend=found.backend,
        steps=found.steps,
        tokens=found.tokens,
        seconds=found.seconds,
        finished_at=found.finished_at,
        training=thinned(training),
        validation=tuple(validation),
    )


def thinned(points: Sequence[tuple[int, float]], most: int = MOST_POINTS) -> Points:
    """At most so many points: the last step of each of as many runs of points, and their mean."""
    size = max(1, -(-len(points) // most))
    runs = [points[start : start + size] for start in range(0, len(points), size)]
    return tuple((run[-1][0], sum(loss for _, loss in run) / len(run)) for run in runs)
