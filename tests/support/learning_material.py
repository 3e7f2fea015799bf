"""A learning loop with promotions, a rejection, a rollback and trainings; reasons are hostile to a page that does not
escape them."""

import json
from pathlib import Path

from sqlalchemy import Engine

from models.evaluation import GateVerdict
from models.training import TrainingTarget
from store.database import open_database
from store.learning.trainings import FinishedTraining, store_training, store_training_job
from store.rows import add, writing
from store.tables import Blob, TrainingDataset
from tests.support.registry_material import fresh, make_base, report
from training.adapters.registry import Registry

HOSTILE = "</svg><script>alert(1)</script>"
STEPS = 100


def make_history(data_dir: Path, raw_target: str | Path) -> Registry:
    """Fill both databases of a data directory; returns the registry."""
    curated = open_database(data_dir / "curated.sqlite", "curated")
    make_base(curated, data_dir)
    registry = Registry(curated, data_dir)
    first, second, third = (fresh(registry, data_dir, mark) for mark in (1.0, 2.0, 3.0))
    coder = fresh(registry, data_dir, 4.0, TrainingTarget.CODE)
    registry.promote(first, report(first, None))
    registry.reject(second, report(second, first, GateVerdict.REJECT).model_copy(update={"reason": HOSTILE}))
    registry.promote(coder, override=f"first of all {HOSTILE}")
    registry.promote(third, report(third, first))
    registry.inconclusive(second, report(second, third, GateVerdict.INCONCLUSIVE))
    registry.rollback(TrainingTarget.SCOPE, "worse in whole runs")
    registry.rollback(TrainingTarget.CODE, "by hand")
    raw = open_database(raw_target, "raw")
    for number, version in enumerate((first, third, coder)):
        train(raw, str(number) * 64, version.target, version.id)
    return registry


def train(
    raw: Engine, job: str, target: TrainingTarget = TrainingTarget.SCOPE, result: str = "", losses: str | None = None
) -> None:
    """Store a finished training; its losses fall unless others are given."""
    with writing(raw) as connection:
        add(connection, Blob(sha256="0" * 64, codec="raw", size=0, data=b""))
        dataset = TrainingDataset(
            id="d" * 64, stage="scope", source="synthetic", examples=1, config={}, content_hash="0" * 64
        )
        add(connection, dataset)
    store_training_job(raw, job, target, "synthetic", "b" * 64, "d" * 64, {})
    rows = [{"step": step, "loss": 2.0 / step + 0.5} for step in range(1, STEPS + 1)]
    rows += [{"step": step, "eval_loss": 2.0 / step + 0.6} for step in range(20, STEPS + 1, 20)]
    kept = FinishedTraining(job, result, Path("adapter"), "cpu", STEPS, 12345, 60.0, {})
    store_training(raw, kept, "".join(json.dumps(row) + "\n" for row in rows) if losses is None else losses)
