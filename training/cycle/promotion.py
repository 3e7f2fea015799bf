"""Consequences of a gate's report: which adapter is active, and whether whole runs undo the promotion."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from evals.whole_runs import Passes, RateChanges, compare
from models.errors import GuardrailError
from models.evaluation import GateReport, GateVerdict
from models.guardrail_settings import GuardrailSettings
from models.protocols import Stage
from models.training import TrainingTarget
from training.adapters.export.serving import make_ready
from training.adapters.registry import AdapterVersion
from training.bases.bases import Base
from training.cycle import guardrails
from training.cycle.context import TrainingContext
from training.cycle.orders import TrainOrder
from training.cycle.student_runs import NO_ADAPTER, active_adapters, load_on_student, require_base

RunWhole = Callable[[Sequence[Path], int | None, Mapping[Stage, str]], Passes]
"""Runs the whole pipeline on packages, with a limit of instances per package and an adapter per stage."""


class PromotionOutcome(NamedTuple):
    """The outcome for an adapter: its gate's verdict, or why one that passed is not active."""

    outcome: str
    notes: tuple[str, ...] = ()


WITHHELD, UNDONE, REPLACED = "withheld", "rolled back", "replaced"


def settle(
    context: TrainingContext,
    order: TrainOrder,
    base: Base,
    adapter: AdapterVersion,
    report: GateReport,
    run_whole: RunWhole,
) -> PromotionOutcome:
    """Act on a verdict: update log and alias, and after a promotion do whole runs, which may undo it.

    Resumable: a promotion whose whole runs were interrupted gets them then. Raises GuardrailError if the packages for
    whole runs are not of reserved repositories, before anything is promoted, or if the champion of the gate is no
    longer active.
    """
    registry, verdict = context.registry, report.verdict
    if verdict is not GateVerdict.PROMOTE:
        (registry.reject if verdict is GateVerdict.REJECT else registry.inconclusive)(adapter, report)
        return PromotionOutcome(verdict.value)
    if in_the_way := registry.withheld_for_base(adapter, report):
        return PromotionOutcome(WITHHELD, (f"passed its gate and was not promoted: {in_the_way}",))
    context.require_reserved_packages(order.end_to_end)
    if (undone := _undone(context, order.target, adapter, report)) is not None:
        return PromotionOutcome(UNDONE, (f"promoted and rolled back: {undone}",))
    make_ready(context.curated, context.settings, adapter, base)
    if order.end_to_end:  # whole runs must be possible before the adapter is activated
        _load_both(context, order.target, base, adapter, report)
    registry.promote(adapter, report)
    if not order.end_to_end:
        return PromotionOutcome(
            verdict.value,
            ("no whole runs after the promotion: give packages of reserved repositories with --end-to-end",),
        )
    changes = _changes(context, order, base, adapter, report, run_whole)
    if worse := _worse(changes, context.settings.guardrails):
        if not registry.take_back(adapter, worse):
            return PromotionOutcome(
                REPLACED, (f"promoted, and replaced by a person while whole runs judged it: {worse}",)
            )
        return PromotionOutcome(UNDONE, (f"promoted and rolled back: {worse}",))
    return PromotionOutcome(verdict.value, (_kept(changes),))


def _undone(
    context: TrainingContext, target: TrainingTarget, adapter: AdapterVersion, report: GateReport
) -> str | None:
    """Why an adapter was rolled back after its promotion by this report; None if it was not."""
    promoted = False
    for entry in context.registry.log(target):
        if entry.adapter == adapter.id and entry.action == GateVerdict.PROMOTE:
            promoted = bool(entry.report) and _contest(GateReport.model_validate(entry.report)) == _contest(report)
        elif entry.adapter == adapter.id and entry.action == "rollback" and promoted:
            return entry.reason
    return None


def _contest(report: GateReport) -> tuple[str, str | None, str | None]:
    """The subject of a report, without p-values, which depend on the number of targets gated together."""
    return report.set_id, report.champion.adapter, report.challenger.adapter


def _load_both(
    context: TrainingContext, target: TrainingTarget, base: Base, adapter: AdapterVersion, report: GateReport
) -> str:
    """Load champion and challenger; returns the champion's served name. Raises EvaluationError if one cannot load."""
    require_base(context, target, base)
    champion = context.registry.show(report.champion.adapter) if report.champion.adapter else None
    for each in filter(None, (champion, adapter)):
        load_on_student(context, target, base, each)
    return champion.served if champion else NO_ADAPTER


def _changes(
    context: TrainingContext,
    order: TrainOrder,
    base: Base,
    adapter: AdapterVersion,
    report: GateReport,
    run_whole: RunWhole,
) -> RateChanges:
    """The change of the pipeline's pass rates when an adapter replaces its champion.

    The adapters of all stages are fixed, so that a concurrent promotion does not affect the comparison.
    """
    others, stages = active_adapters(context), order.target.stages
    before_it = _load_both(context, order.target, base, adapter, report)
    packages, limit = order.end_to_end, order.end_to_end_limit
    first = run_whole(packages, limit, others | dict.fromkeys(stages, before_it))
    then = run_whole(packages, limit, others | dict.fromkeys(stages, adapter.served))
    return compare(first, then)


def _worse(changes: RateChanges, limits: GuardrailSettings) -> str:
    """The regression of the pipeline in words; empty if there is none."""
    at_1 = changes.at_1
    if at_1.is_loss(limits.end_to_end_margin, limits.end_to_end_alpha):
        few = (
            f"; {at_1.fallible} passed before, too few to tell it from chance"
            if at_1.p > limits.end_to_end_alpha
            else ""
        )
        return f"whole runs pass {at_1.after:.3f} of the time, and did {at_1.before:.3f} before (p = {at_1.p:.3f}{few})"
    try:
        guardrails.check_diversity(changes, limits)
    except GuardrailError as error:
        return str(error)
    return ""


def _kept(changes: RateChanges) -> str:
    """The note for whole runs that do not undo the promotion."""
    at_1 = changes.at_1
    if at_1.fall <= 0:
        return f"whole runs are no worse than before: {at_1.before:.3f} to {at_1.after:.3f}"
    return (
        f"whole runs went from {at_1.before:.3f} to {at_1.after:.3f}, which may be chance (p = {at_1.p:.3f}, "
        f"{at_1.instances} instances)"
    )
