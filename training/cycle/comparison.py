"""Comparison of two subjects on the newest frozen set of a target by a gate, without promotion."""

from typing import NamedTuple

from evals.gates import decide
from evals.metrics import ClassCount
from evals.scoring import counts_of, find_result
from evals.sets import in_common, latest_set
from evals.thresholds import Rules
from models.errors import RegistryError, UsageError
from models.evaluation import Evaluation, EvaluationSet, GateReport
from models.plans import Frozen
from models.targets import require_stages
from models.training import TrainingTarget
from training.adapters.registry import AdapterVersion
from training.bases.bases import Base, find_base
from training.cycle.context import TrainingContext
from training.cycle.evaluation import evaluate
from training.cycle.steps import TrainingSteps

BASE = "base"
"""The name that selects the base alone."""


class Compared(Frozen):
    """Champion and challenger, the gate's report, and their counts by class (for stages with classes)."""

    report: GateReport
    champion: Evaluation
    challenger: Evaluation
    classes: dict[str, dict[str, ClassCount]]


class Contest(NamedTuple):
    """The frozen set, the base, and the adapters on it that are compared; None: the base alone."""

    evaluation_set: EvaluationSet
    base: Base
    challenger: AdapterVersion | None
    champion: AdapterVersion | None


def compare_subjects(context: TrainingContext, steps: TrainingSteps, contest: Contest, item_level: bool) -> Compared:
    """Evaluate champion and challenger and compare them. Stored answers are reused."""
    evaluation_set = contest.evaluation_set
    champion = evaluate(context, steps, evaluation_set, contest.base, contest.champion)
    challenger = evaluate(context, steps, evaluation_set, contest.base, contest.challenger)
    return Compared(
        report=decide(*in_common(champion, challenger), rules=Rules(item_level=item_level)),
        champion=champion,
        challenger=challenger,
        classes={each.subject.name: _classes(context, evaluation_set, each) for each in (champion, challenger)},
    )


def find_contest(
    context: TrainingContext, target: TrainingTarget, adapter: str, against: str | None, base: str | None
) -> Contest:
    """Set, challenger and champion by name. Raises UsageError, RegistryError, EvaluationError."""
    require_stages(target)
    evaluation_set = latest_set(context.curated, target)
    challenger = None if adapter == BASE else context.registry.verify(adapter)
    if against is None:
        champion = context.registry.active(target)
    else:
        champion = None if against == BASE else context.registry.verify(against)
    versions = [version for version in (challenger, champion) if version is not None]
    for version in versions:
        if version.target is not target:
            raise UsageError(f"{version.name} was trained for {version.target.value}, not for {target.value}")
    if challenger is not None and champion is not None and challenger.id == champion.id:
        other = "already active; pass --against ADAPTER" if against is None else "pass another --against"
        raise UsageError(f"{challenger.name} would be compared with itself: {other}")
    wanted = base or (versions[0].base if versions else None)
    if wanted is None:
        raise UsageError("both sides are the base; name it with --base, or an adapter with --adapter")
    found = find_base(context.curated, wanted)
    for version in versions:
        if version.base != found.id:
            raise RegistryError(f"{version.name} is of base {version.base_name}, not on {found.name}")
    return Contest(evaluation_set, found, challenger, champion)


def _classes(context: TrainingContext, evaluation_set: EvaluationSet, evaluation: Evaluation) -> dict[str, ClassCount]:
    """Counts by class over the whole set; empty for stages without classes."""
    found = find_result(context.raw_engine, evaluation_set.id, evaluation.subject, evaluation.settings)
    return {} if found is None else dict(counts_of(found, evaluation_set))
