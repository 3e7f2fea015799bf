"""The evaluate flow: two subjects answer the newest frozen set of a target, and a gate says what it makes of that."""

from typing import NamedTuple

from prefect import flow, tags
from prefect.artifacts import create_markdown_artifact

from evals.gate_report import gate_markdown
from evals.gates import decide
from evals.metrics import ClassCount
from evals.scoring import counts_of, find_result
from evals.sets import in_common, latest_set
from evals.thresholds import Rules
from flows.judging import evaluate as evaluate_one
from flows.train import open_training_context
from models.errors import RegistryError, UsageError
from models.evaluation import Evaluation, EvaluationSet, GateReport
from models.plans import Frozen
from models.training import TrainingTarget
from tasks.learning import TrainingContext
from training.adapters.registry import AdapterVersion
from training.bases.bases import Base, find_base

BASE = "base"
"""As an adapter's name: the base alone."""


class Compared(Frozen):
    """Champion and challenger, what a gate would say, and how often each gave each class (where there are classes)."""

    report: GateReport
    champion: Evaluation
    challenger: Evaluation
    classes: dict[str, dict[str, ClassCount]]


class _Contestant(NamedTuple):
    base: Base
    adapter: AdapterVersion | None


@flow(name="evaluate", flow_run_name="evaluate {target.value} {adapter}", persist_result=False)
def evaluate(
    target: TrainingTarget, adapter: str, against: str | None = None, base: str | None = None, item_level: bool = False
) -> Compared:
    """Evaluate an adapter (by name, or `base`) against another; without one, against who serves now.

    Nothing is promoted. What was answered before is not asked again. Raises UsageError, RegistryError, EvaluationError.
    """
    context = open_training_context()
    evaluation_set, challenger, champion = contest(context, target, adapter, against, base)
    with tags("evaluate", target.value):
        first = evaluate_one(context, evaluation_set, champion.base, champion.adapter)
        second = evaluate_one(context, evaluation_set, challenger.base, challenger.adapter)
    report = decide(*in_common(first, second), rules=Rules(item_level=item_level))
    create_markdown_artifact(gate_markdown([report]), key=f"evaluation-{target.value.replace('_', '-')}")
    classes = {each.subject.name: _classes(context, evaluation_set, each) for each in (first, second)}
    return Compared(report=report, champion=first, challenger=second, classes=classes)


def contest(
    context: TrainingContext, target: TrainingTarget, adapter: str, against: str | None, base: str | None
) -> tuple[EvaluationSet, _Contestant, _Contestant]:
    """The frozen set, challenger and champion by name. Raises UsageError, RegistryError, EvaluationError."""
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
        other = "it serves now; name somebody with --against" if against is None else "name another with --against"
        raise UsageError(f"{challenger.name} would be compared with itself: {other}")
    wanted = base or (versions[0].base if versions else None)
    if wanted is None:
        raise UsageError("both sides are the base; name it with --base, or an adapter with --adapter")
    found = find_base(context.curated, wanted)
    for version in versions:
        if version.base != found.id:
            raise RegistryError(f"{version.name} stands on base {version.base_name}, not on {found.name}")
    return evaluation_set, _Contestant(found, challenger), _Contestant(found, champion)


def _classes(context: TrainingContext, evaluation_set: EvaluationSet, evaluation: Evaluation) -> dict[str, ClassCount]:
    """How often each class was given over the whole set; nothing where there are no classes."""
    found = find_result(context.raw_engine, evaluation_set.id, evaluation.subject, evaluation.settings)
    return {} if found is None else dict(counts_of(found, evaluation_set))
