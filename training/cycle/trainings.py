"""Datasets and trainings; finished ones are reused."""

from typing import TYPE_CHECKING, Any

from evals.sets import reserved_repositories
from models.class_bias import CLASS_BIAS
from models.curation_settings import CurationRequest
from store.learning.trainings import FinishedTraining, find_training, store_training, store_training_job
from training.cycle import guardrails
from training.cycle.context import TrainingContext
from training.data.curation import Curated, curate
from training.fit.job import TrainingJob

if TYPE_CHECKING:
    from training.fit.fitting import Fit


def make_dataset(label: str, context: TrainingContext, request: CurationRequest) -> Curated:
    """Make a dataset. Idempotent for the same runs and settings."""
    return curate(
        context.raw, context.curated, request, lambda step: context.notify(f"curate {label}: {step}", 0, None)
    )


def run_training(label: str, context: TrainingContext, job: TrainingJob) -> FinishedTraining:
    """Run a training unless it is finished; an interrupted one resumes from its last checkpoint.

    Raises GuardrailError if the data is of reserved repositories, TrainingError.
    """
    out = context.settings.data_dir / "trainings" / job.id
    if (found := find_training(context.raw_engine, job.id)) is not None and job.is_result(found.path):
        context.notify(f"train {label}: done before", 1, 1)
        return found
    store_training_job(context.raw_engine, job.id, job.target, job.source, job.base.id, job.dataset_id, job.config)
    # Checked again: from here on, the data of this training can no longer be reserved.
    guardrails.check_held_out(
        list(job.card.repositories), list(reserved_repositories(context.curated, context.raw_engine))
    )
    with context.device():
        context.notify(f"train {label}", 0, None)
        fit = job.fit(out, lambda progress: context.notify(f"train {label}", progress.step, progress.steps))
    kept = store_training(
        context.raw_engine,
        finished_training(job.id, job.result_hash(fit.adapter_dir), fit),
        (out / "losses.jsonl").read_text(),
    )
    return kept._replace(path=fit.adapter_dir)


def finished_training(job: str, result: str, fit: "Fit") -> FinishedTraining:
    """The record of a finished training, by the ids of the job and of its result."""
    return FinishedTraining(
        job=job,
        result=result,
        path=fit.adapter_dir,
        backend=fit.backend,
        steps=fit.steps,
        tokens=fit.tokens,
        seconds=fit.seconds,
        metrics={
            "loss": fit.losses[-1] if fit.losses else None,
            "validation": fit.eval_losses[-1][1] if fit.eval_losses else None,
            "best_step": fit.best_step,
            "rows": fit.rows,
            "too_long": fit.too_long,
            "micro_batch": fit.micro_batch,
            **({"margins": fit.margins} if fit.margins else {}),
            **({"changed": fit.changed} if fit.changed is not None else {}),
            **({"objectives": _objectives(fit)} if fit.objectives else {}),
            **({CLASS_BIAS: fit.class_bias.model_dump(mode="json")} if fit.class_bias else {}),
        },
    )


def _objectives(fit: "Fit") -> dict[str, Any]:
    return {objective.value: each.model_dump(mode="json") for objective, each in fit.objectives.items()}
