"""The learning loop without an engine: plain steps, and settings whose student is one served base."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from models.settings import Settings
from training.cycle.base_measures import measure_bases
from training.cycle.evaluation import answer_set
from training.cycle.steps import StudentCampaign, TrainingSteps
from training.cycle.trainings import make_dataset, run_training


def plain_steps(run_campaign: Callable[[StudentCampaign], str]) -> TrainingSteps:
    """Steps that are simply called; nothing is shown."""
    return TrainingSteps(
        run_campaign=run_campaign,
        curate=make_dataset,
        answer=answer_set,
        measure=measure_bases,
        fit=run_training,
        publish=lambda prepared, report: None,
    )


def student_settings(folder: Path, url: str, base: str = "tiny", **more: Any) -> Settings:
    """Settings for databases under `folder`, and one endpoint for all stages of the student."""
    endpoint = {"url": url, "model": "scripted", "attempts": 1, "max_wait": 0.1, "base": base, "window": 32768}
    models = {"endpoints": {"here": endpoint}, "roles": {"reasoning": "here", "coding": "here"}}
    return Settings(data_dir=folder, cache_dir=folder / "cache", models=models, **more)  # type: ignore[arg-type]
