"""What the corpus lacks before the teacher ends: examples of each stage against the numbers set, and what the teacher
would take to fill the gap, measured on its earlier trajectories.

Counts are of examples that curation would read, without reserved repositories. No model is loaded and no server asked.
"""

import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from llm.router import teacher_endpoint
from models.distillation_settings import DistillationSettings, ExampleNumbers
from models.errors import SettingsError
from models.llm_settings import Endpoint, ModelSettings
from models.plans import Frozen
from models.protocols import Stage
from store.runs import StageUse
from training.cycle.context import TrainingContext
from training.cycle.example_counts import TEACHER, ExampleCount, ExampleKind, count_examples

ENOUGH = 5
"""Trajectories of the teacher from which its cost is measured."""
_HOUR, _MILLION = 3600.0, 1_000_000


class TeacherEffort(Frozen):
    """What so many further trajectories of the teacher take, as far as earlier ones tell; `cost` is in the currency of
    the price table, None where no price is set; `hours` are of its calls, as many at a time as its endpoint takes."""

    trajectories: int
    tokens: int
    cost: float | None
    hours: float


class Lack(Frozen):
    """Examples of a kind, and how many are missing. `sources` counts them by source, `with_reasoning` those with a
    trace, `taught` the teacher's own; where a trace is wanted, only those with one count. `effort` fills `missing`
    (None: the teacher has given no such example yet, or too few trajectories to tell). `fill` are commands."""

    kind: ExampleKind
    sources: dict[str, int]
    with_reasoning: int
    without_reasoning: int
    taught: int
    repositories: int
    organisations: int
    domains: int
    least: int
    target: int
    missing: int
    missing_to_target: int
    effort: TeacherEffort | None
    fill: tuple[str, ...]


class DistillationPlan(Frozen):
    """What is lacking, and what the teacher takes to fill all of it: trajectories give examples of all stages, so that
    the kind that needs most decides. `basis` says on what the figures rest, `notes` what else is to be known."""

    lacks: tuple[Lack, ...]
    teacher: str
    effort: TeacherEffort | None
    basis: str
    notes: tuple[str, ...]


class _Measured(NamedTuple):
    """Means of one trajectory of the teacher."""

    trajectories: int
    tokens: float
    cost: float | None
    seconds: float


def lacking(context: TrainingContext) -> list[Lack]:
    """What the corpus lacks of each kind, in the order of the settings.

    Raises DatabaseError, and TrainingError for a collection that was changed.
    """
    counts = count_examples(context)
    measured = _measure(context)
    return [_lack(context.settings.distillation, kind, counts[kind], measured) for kind in ExampleKind]


def plan_distillation(context: TrainingContext, ended: bool = False) -> DistillationPlan:
    """What is lacking, and the teacher's effort for all of it. `ended`: the teacher cannot be asked any more."""
    lacks, measured = lacking(context), _measure(context)
    efforts = [lack.effort for lack in lacks if lack.effort is not None]
    teacher = _teacher(context.settings.models)
    if measured is None:
        basis = f"nothing is measured: the teacher has fewer than {ENOUGH} closed trajectories"
    else:
        basis = f"means of {measured.trajectories} trajectories of the teacher, at the prices set now"
    return DistillationPlan(
        lacks=tuple(lacks),
        teacher="" if teacher is None else teacher.model,
        effort=max(efforts, key=lambda each: each.trajectories, default=None),
        basis=basis,
        notes=tuple(_notes(lacks, measured, teacher, ended)),
    )


def _lack(settings: DistillationSettings, kind: ExampleKind, count: ExampleCount, measured: _Measured | None) -> Lack:
    numbers: ExampleNumbers = getattr(settings, kind.value)
    total = sum(count.sources.values())
    have, taught = (count.reasoned, count.taught_reasoned) if kind.reasoned else (total, count.taught)
    missing, further = max(0, numbers.least - have), max(0, numbers.target - have)
    effort = _effort(missing, taught, measured)
    return Lack(
        kind=kind,
        sources=dict(sorted(count.sources.items())),
        with_reasoning=count.reasoned,
        without_reasoning=total - count.reasoned,
        taught=count.taught,
        repositories=len(count.repositories),
        organisations=len(count.organisations),
        domains=len(count.domains),
        least=numbers.least,
        target=numbers.target,
        missing=missing,
        missing_to_target=further,
        effort=effort,
        fill=tuple(_fill(kind, effort)) if further else (),
    )


def _effort(missing: int, taught: int, measured: _Measured | None) -> TeacherEffort | None:
    """The effort for so many further examples, if the teacher's trajectories gave `taught` so far."""
    if not missing or not taught or measured is None:
        return None
    count = math.ceil(missing * measured.trajectories / taught)
    return TeacherEffort(
        trajectories=count,
        tokens=round(count * measured.tokens),
        cost=None if measured.cost is None else round(count * measured.cost, 2),
        hours=round(count * measured.seconds / _HOUR, 2),
    )


def _measure(context: TrainingContext) -> _Measured | None:
    """Means of the teacher's closed trajectories; None with too few of them."""
    stages, closed = context.raw.usage_so_far()
    number = closed.get(TEACHER, 0)
    asked = [each for each in stages if each.planner == TEACHER]
    if number < ENOUGH or not asked:
        return None
    models = context.settings.models
    return _Measured(
        trajectories=number,
        tokens=sum(each.prompt_tokens + each.completion_tokens for each in asked) / number,
        cost=_cost(models, asked, number),
        seconds=sum(each.seconds / _concurrency(models, each.stage) for each in asked) / number,
    )


def _cost(models: ModelSettings, asked: Sequence[StageUse], number: int) -> float | None:
    """Cost of a trajectory by the prices set now; None where none is set, or no teacher."""
    total = 0.0
    for each in asked:
        endpoint = _teacher(models, each.stage)
        if endpoint is None or not endpoint.price.output:
            return None
        total += endpoint.price.of(each.prompt_tokens, each.cached_tokens, each.completion_tokens)
    return total / number


def _concurrency(models: ModelSettings, stage: str) -> int:
    endpoint = _teacher(models, stage)
    return 1 if endpoint is None else endpoint.concurrency


def _teacher(models: ModelSettings, stage: str = "") -> Endpoint | None:
    """The teacher's endpoint for a stage (that of its reasoning for none); None if no teacher is set."""
    try:
        return models.endpoint(teacher_endpoint(models, Stage(stage) if stage else Stage.TASK_ANALYSIS))
    except SettingsError:
        return None


_FROM_COMMITS = "cra synthesize PATH_OR_PACKAGE... --stages {stage}"
_FILLS: dict[ExampleKind, tuple[str, ...]] = {
    ExampleKind.CODE: (_FROM_COMMITS.format(stage="code"), "cra datasets import NAME --from FILE"),
    ExampleKind.STYLE: ("cra fail-fast corpus build",),
    ExampleKind.POSITION: ("cra synthesize SOURCE... --recipe positions",),
}
_TAUGHT = "cra campaign PACKAGE... --planner teacher --temperatures 0.3,0.6,0.9 --samples 1 --max-cost {cost}"
_DEPLOYMENT = "deployment teacher-campaign/teacher-campaign"


def _fill(kind: ExampleKind, effort: TeacherEffort | None) -> Iterator[str]:
    """Commands that give examples of a kind, those without a teacher first."""
    if kind in _FILLS:
        yield from _FILLS[kind]
    elif not kind.reasoned and kind not in (ExampleKind.CODE_PREFERENCES, ExampleKind.PLANNING_PREFERENCES):
        yield _FROM_COMMITS.format(stage=kind.value)
    if kind in (ExampleKind.STYLE, ExampleKind.POSITION):
        return
    cap = "COST" if effort is None or effort.cost is None else f"{math.ceil(effort.cost)}"
    yield _TAUGHT.format(cost=cap)
    yield _DEPLOYMENT


def _notes(lacks: Sequence[Lack], measured: _Measured | None, teacher: Endpoint | None, ended: bool) -> Iterator[str]:
    short = [lack for lack in lacks if lack.missing]
    untraced = [lack.kind.value for lack in short if lack.kind.reasoned]
    if ended:
        yield "air-gapped: the teacher has ended, and no campaign of it can be run here"
        if short:
            yield (
                "what is missing can still come from gold (cra synthesize), from recipes over the corpus, and from the "
                "student's own runs"
            )
        if untraced:
            yield (
                f"reasoning traces for {', '.join(untraced)} come from nobody but the student itself from now on "
                "(thinking = true at its endpoint), and then only in plans that pass their tests"
            )
        return
    if teacher is None:
        yield "no teacher is set: name an endpoint as `reasoning` under [models.teachers]"
    elif untraced and teacher.thinking is False:
        yield f"{teacher.model} is configured without thinking, so that its plans bear no traces"
    if measured is None and short:
        yield "a measurement takes a few trajectories: cra campaign PACKAGE --planner teacher --limit 5 --max-cost 1"
    unknown = [lack.kind.value for lack in short if lack.effort is None]
    if measured is not None and unknown:
        yield f"the teacher has given no usable example of {', '.join(unknown)} yet, so that its effort is not known"
