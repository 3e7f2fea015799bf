"""What retention may delete, and what only looks like it, in the folders of a simulated operation."""

import json
from pathlib import Path
from typing import Any

from store.database import reading
from store.rows import add, add_in_sequence, writing
from store.tables import TrainingDataset, TrainingPlan, table_of
from tests.support.operation_material import Simulation
from training.operation.inventory import RetentionKind
from training.operation.lineage import needed_datasets

NO_LIMIT: dict[str, Any] = {"operation": {"least_free_gib": 0.0}}
OLD = -1


def add_row(simulation: Simulation, row: TrainingDataset | TrainingPlan) -> None:
    """Add a row to the raw database, as the newest of its table unless it has a place in the order."""
    with writing(simulation.context(**NO_LIMIT).raw_engine) as connection:
        (add_in_sequence if row.sequence is None else add)(connection, row)


def junk(simulation: Simulation, kind: RetentionKind, number: int) -> Path:
    """Something superfluous of a kind; its folder."""
    context = simulation.context(**NO_LIMIT)
    if kind is RetentionKind.CHECKPOINTS:
        place = context.registry.list()[number].plan_id
        folder = simulation.data / "trainings" / place / "checkpoints"
    elif kind is RetentionKind.UNFINISHED:
        job, first = f"stopped-{number}", context.registry.list()[0]
        folder = simulation.data / "trainings" / job / "checkpoints"
        add_row(
            simulation,
            TrainingPlan(
                id=job,
                stage="scope",
                source="gold",
                base=first.base,
                dataset_id=first.dataset_id,
                config={},
                sequence=OLD,
            ),
        )
    elif kind is RetentionKind.CACHE:
        folder = simulation.data / "cache" / ("engine", "gguf", "index", "gold")[number - 1]
    elif kind is RetentionKind.ENVIRONMENTS:
        folder = simulation.data / "cache" / "environments" / "environments" / (f"{number:x}" * 8)
    else:
        folder = simulation.data / "datasets" / f"scope-{number:012d}"
    folder.mkdir(parents=True, exist_ok=True)
    if kind is RetentionKind.DATASETS:
        (folder / "card.json").write_text(json.dumps({"id": f"{number:064d}"}))
        with reading(context.raw_engine) as connection:
            known = table_of(TrainingDataset)
            trained = connection.execute(known.select().where(known.c.id.in_(needed_datasets(context)))).first()
        assert trained is not None
        values = {**trained._asdict(), "id": f"{number:064d}", "sequence": OLD}
        add_row(simulation, TrainingDataset(**values))
    (folder / "content").write_bytes(b"\0" * 300_000)
    return folder
