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
from training.bases.thinking import base_thinks
from training.cycle.context import TrainingContext
from training.cycle.evaluation import BY_WHOLE_RUNS, evaluate
from training.cycle.steps import TrainingSteps

BASE, GENERALIST = "base", "generalist"
"""The names that select the base alone, and the base that the generalist's endpoint serves."""


class Compared(Frozen):
    """Champion and challenger, the gate's report, and their counts by class (for stages with classes)."""

    report: GateReport
    champion: Evaluation
    challenger: Evaluation
    classes: dict[str, dict[str, ClassCount]]


class Contest(NamedTuple):
    """The frozen set, and what is compared on it: each side's base, with an adapter or alone (None)."""

    evaluation_set: EvaluationSet
    base: Base
    challenger: AdapterVersion | None
    champion: AdapterVersion | None
    champion_base: Base


def compare_subjects(context: TrainingContext, steps: TrainingSteps, contest: Contest, item_level: bool) -> Compared:
    """Evaluate champion and challenger and compare them. Stored answers are reused.

    Two bases answer in this process, with the same thinking: that which the settings say of either, the champion first.
    An endpoint serves one of them only.
    """
    evaluation_set = contest.evaluation_set
    if contest.base.id != contest.champion_base.id:
        bases = (contest.champion_base, contest.base)
        told = [base_thinks(context.settings, base, evaluation_set.target) for base in bases]
        context = context.alike(next((thinks for thinks in told if thinks is not None), None))
    champion = evaluate(context, steps, evaluation_set, contest.champion_base, contest.champion)
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
    """Set, challenger and champion by name; `generalist` is the base of the generalist's endpoint.

    Raises UsageError, RegistryError, EvaluationError.
    """
    require_stages(target)
    evaluation_set = latest_set(context.curated, target)
    whole = generalist_base(context, target) if GENERALIST in (adapter, against) else None
    challenger = None if adapter in (BASE, GENERALIST) else context.registry.verify(adapter)
    if against is None:
        champion = context.registry.active(target)
    else:
        champion = None if against in (BASE, GENERALIST) else context.registry.verify(against)
    versions = [version for version in (challenger, champion) if version is not None]
    for version in versions:
        if version.target is not target:
            raise UsageError(f"{version.name} was trained for {version.target.value}, not for {target.value}")
    if challenger is not None and champion is not None and challenger.id == champion.id:
        other = "already active; pass --against ADAPTER" if against is None else "pass another --against"
        raise UsageError(f"{challenger.name} would be compared with itself: {other}")
    wanted = base or (versions[0].base if versions else None)
    if wanted is None:
        raise UsageError("both sides are a base; name it with --base, or an adapter with --adapter")
    found = find_base(context.curated, wanted)
    if whole is not None and not versions and whole.id == found.id:
        raise UsageError(f"{found.name} is the generalist itself; name a specialist's base with --base")
    for version in versions:
        if version.base != found.id:
            raise RegistryError(f"{version.name} is of base {version.base_name}, not on {found.name}")
    sides = {name: whole if name == GENERALIST and whole is not None else found for name in (adapter, against)}
    return Contest(evaluation_set, sides[adapter], challenger, champion, sides[against])


def generalist_base(context: TrainingContext, target: TrainingTarget) -> Base:
    """The base that the generalist's endpoint serves. Raises UsageError if it is not known, or where only whole runs
    judge the target, in which the student answers."""
    name = context.settings.models.roles.generalist
    if target in BY_WHOLE_RUNS:
        raise UsageError(
            f"{target.value} is judged by whole runs: run one campaign with the generalist's endpoint as that of the "
            "role and one with the specialist's, and compare them: `cra report NAME`, `cra bases evaluate --planning`"
        )
    if name is None or not (served := context.settings.models.endpoint(name).base):
        raise UsageError(
            "there is no generalist to compare with: name its endpoint as [models.roles] generalist, and the "
            "registered base that it serves as `base` of that endpoint"
        )
    return find_base(context.curated, served)


def _classes(context: TrainingContext, evaluation_set: EvaluationSet, evaluation: Evaluation) -> dict[str, ClassCount]:
    """Counts by class over the whole set; empty for stages without classes."""
    found = find_result(context.raw_engine, evaluation_set.id, evaluation.subject, evaluation.settings)
    return {} if found is None else dict(counts_of(found, evaluation_set))
