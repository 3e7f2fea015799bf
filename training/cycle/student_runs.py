"""Whole runs of the student over packages, with a fixed adapter for each stage."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from evals.sets import InstanceScores, scores_from_campaign
from evals.whole_runs import Passes
from harness.packages.package import read_package
from harness.runs.campaigns import campaign_config, with_adapters
from harness.runs.model_pool import ModelPool
from llm import open_router
from models.campaign_settings import Grid, StepTestMode
from models.errors import EvaluationError
from models.evaluation import EvaluationItem, EvaluationSet
from models.llm_settings import RELEVANCE
from models.protocols import Stage
from models.training import TrainingTarget
from runtime.sandbox import open_sandbox
from store.active_adapters import PINNED, Aliases
from store.runs import campaign_key
from training.adapters.registry import AdapterVersion
from training.bases.bases import Base
from training.cycle.context import TrainingContext
from training.cycle.served import load_adapter
from training.cycle.steps import StudentCampaign, TrainingSteps

TEMPERATURE, SAMPLES = 0.6, 2
"""Sampling of whole runs, with several seeds because it matters there."""
STUDENT: Final = "student"
NO_ADAPTER = ""
"""A stage's adapter that means the base alone, even if an adapter is active."""


def active_adapters(context: TrainingContext) -> dict[Stage, str]:
    """The served names of the student's active adapters by stage, or of the relevance classifier where it answers.
    Passed to whole runs, they stay fixed there despite promotions."""
    routes = open_router(context.settings.models, STUDENT, aliases=Aliases(context.settings.curated_url, PINNED)).routes
    return {stage: RELEVANCE if route.classified else route.adapter or NO_ADAPTER for stage, route in routes.items()}


def student_identity(context: TrainingContext, adapters: Mapping[Stage, str]) -> str:
    """The student's identity with these adapters, one per stage: models, templates and adapters."""
    pool = ModelPool(with_adapters(context.settings, adapters).models, curated=context.settings.curated_url)
    return pool.planner(STUDENT, None, TEMPERATURE, 0).identity


def student_campaign_key(context: TrainingContext, packages: Sequence[Path]) -> str:
    """The key of a campaign of whole runs: packages, limits, the agent's loop, the sandbox."""
    grid = Grid(planners=(STUDENT,), temperatures=(TEMPERATURE,), samples=SAMPLES)
    sandbox = open_sandbox(context.settings.sandbox).kind
    opened = [read_package(path) for path in packages]
    return campaign_key(campaign_config(opened, grid, None, StepTestMode.AUTO, context.settings, sandbox))


def require_base(context: TrainingContext, target: TrainingTarget, base: Base) -> None:
    """Raise EvaluationError unless the student's endpoint serves this base."""
    name = _endpoint(context, target)
    if context.settings.models.endpoint(name).base not in (base.name, base.id):
        raise EvaluationError(
            f"{target.value} needs whole runs, but endpoint {name!r} is not configured to serve base {base.name}; "
            f'set base = "{base.name}" under [models.endpoints.{name}]'
        )


def load_on_student(context: TrainingContext, target: TrainingTarget, base: Base, adapter: AdapterVersion) -> None:
    """Load an adapter, promoted or not, at the student's endpoint. Raises as `load_adapter` does."""
    load_adapter(context.settings, _endpoint(context, target), context.curated, base, adapter)


def whole_runs(
    context: TrainingContext,
    steps: TrainingSteps,
    packages: Sequence[Path],
    limit: int | None,
    adapters: Mapping[Stage, str],
) -> Passes:
    """Run the student on packages of reserved repositories, with the given adapter for each stage.

    Raises GuardrailError if a repository is not reserved: training data is no evidence.
    """
    items = _items(context, packages, limit)
    scores = run_student(context, steps, "whole runs", packages, items, adapters, limit).scores
    return {(score.item, score.seed): bool(score.scores["pass@1"]) for score in scores}


def run_student(
    context: TrainingContext,
    steps: TrainingSteps,
    name: str,
    packages: Sequence[Path],
    items: EvaluationSet,
    adapters: Mapping[Stage, str],
    limit: int | None = None,
) -> InstanceScores:
    """Have the student solve instances with these adapters; returns passes by item and seed."""
    steps.run_campaign(StudentCampaign(name, tuple(packages), (TEMPERATURE,), SAMPLES, limit, adapters))
    return scores_from_campaign(context.raw_engine, name, items, STUDENT, student_identity(context, adapters))


def _endpoint(context: TrainingContext, target: TrainingTarget) -> str:
    """The student's endpoint for a target."""
    return str(getattr(context.settings.models.roles, target.role))


def _items(context: TrainingContext, packages: Sequence[Path], limit: int | None) -> EvaluationSet:
    """The valid instances of packages, as items that the harness judges."""
    opened = [read_package(path).manifest for path in packages]
    context.require_reserved([manifest.name for manifest in opened])
    items = tuple(
        EvaluationItem(
            id=f"{manifest.name}@{instance.commit}",
            stage=Stage.CODE,
            repository=manifest.name,
            instance=instance.instance_id,
            commit=instance.commit,
            messages=(),
            expected="",
            answer_tokens=1,
        )
        for manifest in opened
        for instance in [each for each in manifest.instances if each.valid][:limit]
    )
    if not items:
        raise EvaluationError(f"no package of {', '.join(map(str, packages))} has a valid instance")
    return EvaluationSet(target=TrainingTarget.CODE, repositories=tuple(m.name for m in opened), items=items)
