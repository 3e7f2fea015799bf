"""How subjects are evaluated: retrieval stages on frozen prompts in this process, code and plans by whole runs."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from evals.scoring import SCORING, Result, Settings, find_evaluation, keep_evaluation
from evals.sets import InstanceScores, scores_from_campaign
from evals.whole_runs import Passes
from flows.campaign import campaign, with_adapters
from harness.packages.package import read_package
from harness.runs.campaigns import campaign_config
from harness.runs.model_pool import Crew
from llm import open_router
from models.campaign_settings import Grid, StepTestMode
from models.errors import EvaluationError
from models.evaluation import Evaluation, EvaluationItem, EvaluationSet
from models.outcomes import Blame
from models.protocols import Stage
from models.training import Target
from store.active_adapters import PINNED, Aliases
from store.runs import campaign_key
from tasks.learning import Shop, evaluate_subject
from tasks.runtime import open_runtime
from training.adapters.registry import AdapterVersion
from training.bases.bases import Base
from training.cycle.served import take_up

BY_HARNESS = (Target.CODE, Target.PLANNING)
TEMPERATURE, SAMPLES = 0.6, 2
"""Of whole runs. Sampling matters there, so there are several seeds."""
STUDENT = "student"
NO_ADAPTER = ""
"""As a stage's adapter: the base alone, whoever serves the stage otherwise."""


def evaluate(shop: Shop, evaluation_set: EvaluationSet, base: Base, adapter: AdapterVersion | None) -> Evaluation:
    """A subject's scores on a frozen set, found or made now."""
    target, subject = evaluation_set.target, shop.subject(base, adapter)
    if target not in BY_HARNESS:
        return evaluate_subject(f"{target.value} {subject.name}", shop, evaluation_set, base, adapter)
    require_base(shop, target, base)
    packages, others = shop.packages_of(evaluation_set.repositories), answering(shop)
    settings: Settings = {
        "backend": "harness",
        "scoring": SCORING,
        "seeds": SAMPLES,
        "temperature": TEMPERATURE,
        "campaign": _campaign_key(shop, packages)[:16],
        "student": _student(shop, others | dict.fromkeys(target.stages, NO_ADAPTER)),
    }
    if (found := find_evaluation(shop.raw_engine, evaluation_set.id, subject, settings)) is not None:
        shop.tell(f"evaluate {target.value} {subject.name}: done before", 1, 1)
        return found
    if adapter is not None:
        have_served(shop, target, base, adapter)
    adapters = others | dict.fromkeys(target.stages, adapter.served if adapter else NO_ADAPTER)
    name = f"evaluate {target.value} {evaluation_set.id[:8]}"
    judged = _run(shop, name, packages, evaluation_set, adapters, None)
    evaluation = Evaluation(
        set_id=evaluation_set.id, target=target, subject=subject, settings=settings, scores=judged.scores, seconds=0.0
    )
    if any(each.kind.blame is Blame.INFRASTRUCTURE for each in judged.excluded):
        return evaluation  # and is not kept: the same campaign, run again, may have a verdict on those samples
    return keep_evaluation(shop.raw_engine, Result(evaluation=evaluation, answers=()))


def answering(shop: Shop) -> dict[Stage, str]:
    """Who answers each of the student's stages now, by served name. Named so in whole runs, they stay the same there
    whoever is promoted meanwhile."""
    seats = open_router(shop.settings.models, "student", aliases=Aliases(shop.settings.curated_url, PINNED)).seats
    return {stage: seat.adapter or NO_ADAPTER for stage, seat in seats.items()}


def _campaign_key(shop: Shop, packages: Sequence[Path]) -> str:
    """What else decides a whole run: packages, limits, the agent's loop, the sandbox."""
    grid = Grid(planners=(STUDENT,), temperatures=(TEMPERATURE,), samples=SAMPLES)
    sandbox = open_runtime(shop.settings, None).sandbox.kind
    opened = [read_package(path) for path in packages]
    return campaign_key(campaign_config(opened, grid, None, StepTestMode.AUTO, shop.settings, sandbox))


def require_base(shop: Shop, target: Target, base: Base) -> None:
    """Raise EvaluationError unless the student's endpoint serves this very base."""
    name = _role(shop, target)
    if shop.settings.models.endpoint(name).base not in (base.name, base.id):
        raise EvaluationError(
            f"{target.value} is judged by whole runs, and endpoint {name!r} is not said to serve base {base.name}; "
            f'set base = "{base.name}" under [models.endpoints.{name}]'
        )


def have_served(shop: Shop, target: Target, base: Base, adapter: AdapterVersion) -> None:
    """Have the student's endpoint able to answer by an adapter, promoted or not. Raises EvaluationError if it can't."""
    take_up(shop.settings, _role(shop, target), shop.curated, base, adapter)


def whole_runs(shop: Shop, packages: Sequence[Path], limit: int | None, adapters: Mapping[Stage, str]) -> Passes:
    """Run the student on packages of reserved repositories, each stage answered by the adapter named for it.

    Raises GuardrailError if a repository is not reserved: what is trained on shows nothing.
    """
    items = _items(shop, packages, limit)
    scores = _run(shop, "whole runs", packages, items, adapters, limit).scores
    return {(score.item, score.seed): bool(score.scores["pass@1"]) for score in scores}


def _run(
    shop: Shop,
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
    return scores_from_campaign(shop.raw_engine, name, items, STUDENT, _student(shop, adapters))


def _student(shop: Shop, adapters: Mapping[Stage, str]) -> str:
    """The student's identity with these adapters, one for each stage: models, templates, and who answers."""
    crew = Crew(with_adapters(shop.settings, adapters).models, curated=shop.settings.curated_url)
    return crew.planner(STUDENT, None, TEMPERATURE, 0).identity


def _role(shop: Shop, target: Target) -> str:
    """The student's endpoint for a target."""
    return str(getattr(shop.settings.models.roles, target.role))


def _items(shop: Shop, packages: Sequence[Path], limit: int | None) -> EvaluationSet:
    """The valid instances of packages, as items that the harness judges."""
    opened = [read_package(path).manifest for path in packages]
    shop.require_reserved([manifest.name for manifest in opened])
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
    return EvaluationSet(target=Target.CODE, repositories=tuple(m.name for m in opened), items=items)
