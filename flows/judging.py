"""How subjects are evaluated: retrieval stages on frozen prompts in this process, code and plans by whole runs."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from evals.scoring import SCORING, EvaluationSettings, ScoredEvaluation, find_evaluation, keep_evaluation
from evals.sets import InstanceScores, scores_from_campaign
from evals.whole_runs import Passes
from flows.campaign import campaign
from harness.packages.package import read_package
from harness.runs.campaigns import campaign_config, with_adapters
from harness.runs.model_pool import ModelPool
from llm import open_router
from models.campaign_settings import Grid, StepTestMode
from models.errors import EvaluationError
from models.evaluation import Evaluation, EvaluationItem, EvaluationSet
from models.outcomes import Blame
from models.protocols import Stage
from models.training import TrainingTarget
from store.active_adapters import PINNED, Aliases
from store.runs import campaign_key
from tasks.learning import TrainingContext, evaluate_subject
from tasks.runtime import open_runtime
from training.adapters.registry import AdapterVersion
from training.bases.bases import Base
from training.cycle.served import load_adapter

BY_HARNESS = (TrainingTarget.CODE, TrainingTarget.PLANNING)
TEMPERATURE, SAMPLES = 0.6, 2
"""Of whole runs. Sampling matters there, so there are several seeds."""
STUDENT = "student"
NO_ADAPTER = ""
"""As a stage's adapter: the base alone, whoever serves the stage otherwise."""


def evaluate(
    context: TrainingContext, evaluation_set: EvaluationSet, base: Base, adapter: AdapterVersion | None
) -> Evaluation:
    """A subject's scores on a frozen set, found or made now."""
    target, subject = evaluation_set.target, context.subject(base, adapter)
    if target not in BY_HARNESS:
        return evaluate_subject(f"{target.value} {subject.name}", context, evaluation_set, base, adapter)
    require_base(context, target, base)
    packages, others = context.packages_of(evaluation_set.repositories), answering(context)
    settings: EvaluationSettings = {
        "backend": "harness",
        "scoring": SCORING,
        "seeds": SAMPLES,
        "temperature": TEMPERATURE,
        "campaign": _campaign_key(context, packages)[:16],
        "student": _student(context, others | dict.fromkeys(target.stages, NO_ADAPTER)),
    }
    if (found := find_evaluation(context.raw_engine, evaluation_set.id, subject, settings)) is not None:
        context.notify(f"evaluate {target.value} {subject.name}: done before", 1, 1)
        return found
    if adapter is not None:
        have_served(context, target, base, adapter)
    adapters = others | dict.fromkeys(target.stages, adapter.served if adapter else NO_ADAPTER)
    name = f"evaluate {target.value} {evaluation_set.id[:8]}"
    judged = _run(context, name, packages, evaluation_set, adapters, None)
    evaluation = Evaluation(
        set_id=evaluation_set.id, target=target, subject=subject, settings=settings, scores=judged.scores, seconds=0.0
    )
    if any(each.kind.blame is Blame.INFRASTRUCTURE for each in judged.excluded):
        return evaluation  # and is not kept: the same campaign, run again, may have a verdict on those samples
    return keep_evaluation(context.raw_engine, ScoredEvaluation(evaluation=evaluation, answers=()))


def answering(context: TrainingContext) -> dict[Stage, str]:
    """Who answers each of the student's stages now, by served name. Named so in whole runs, they stay the same there
    whoever is promoted meanwhile."""
    routes = open_router(
        context.settings.models, "student", aliases=Aliases(context.settings.curated_url, PINNED)
    ).routes
    return {stage: route.adapter or NO_ADAPTER for stage, route in routes.items()}


def _campaign_key(context: TrainingContext, packages: Sequence[Path]) -> str:
    """What else decides a whole run: packages, limits, the agent's loop, the sandbox."""
    grid = Grid(planners=(STUDENT,), temperatures=(TEMPERATURE,), samples=SAMPLES)
    sandbox = open_runtime(context.settings, None).sandbox.kind
    opened = [read_package(path) for path in packages]
    return campaign_key(campaign_config(opened, grid, None, StepTestMode.AUTO, context.settings, sandbox))


def require_base(context: TrainingContext, target: TrainingTarget, base: Base) -> None:
    """Raise EvaluationError unless the student's endpoint serves this very base."""
    name = _role(context, target)
    if context.settings.models.endpoint(name).base not in (base.name, base.id):
        raise EvaluationError(
            f"{target.value} is judged by whole runs, and endpoint {name!r} is not said to serve base {base.name}; "
            f'set base = "{base.name}" under [models.endpoints.{name}]'
        )


def have_served(context: TrainingContext, target: TrainingTarget, base: Base, adapter: AdapterVersion) -> None:
    """Have the student's endpoint able to answer by an adapter, promoted or not. Raises EvaluationError if it can't."""
    load_adapter(context.settings, _role(context, target), context.curated, base, adapter)


def whole_runs(
    context: TrainingContext, packages: Sequence[Path], limit: int | None, adapters: Mapping[Stage, str]
) -> Passes:
    """Run the student on packages of reserved repositories, each stage answered by the adapter named for it.

    Raises GuardrailError if a repository is not reserved: what is trained on shows nothing.
    """
    items = _items(context, packages, limit)
    scores = _run(context, "whole runs", packages, items, adapters, limit).scores
    return {(score.item, score.seed): bool(score.scores["pass@1"]) for score in scores}


def _run(
    context: TrainingContext,
    name: str,
    packages: Sequence[Path],
    items: EvaluationSet,
    adapters: Mapping[Stage, str],
    limit: int | None,
) -> InstanceScores:
    """Have the student solve instances, with these adapters; pass or not, by item and seed."""
    campaign(
        list(packages),
        [STUDENT],
        name,
        temperatures=[TEMPERATURE],
        samples=SAMPLES,
        limit=limit,
        adapters=dict(adapters),
    )
    return scores_from_campaign(context.raw_engine, name, items, STUDENT, _student(context, adapters))


def _student(context: TrainingContext, adapters: Mapping[Stage, str]) -> str:
    """The student's identity with these adapters, one for each stage: models, templates, and who answers."""
    pool = ModelPool(with_adapters(context.settings, adapters).models, curated=context.settings.curated_url)
    return pool.planner(STUDENT, None, TEMPERATURE, 0).identity


def _role(context: TrainingContext, target: TrainingTarget) -> str:
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
