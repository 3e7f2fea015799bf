"""What follows from a gate's report: which adapter serves, and whether whole runs undo that."""

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
"""Runs the whole pipeline on packages, at most so many instances of each, with the adapters named for the stages."""


class PromotionOutcome(NamedTuple):
    """What became of an adapter: its gate's verdict, or for one that passed and does not serve, why."""

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
    """Act on a verdict: the log, the alias, and after a promotion whole runs, which may undo it.

    Repeated after a kill, it goes on: a promotion whose whole runs were not finished has them then. Raises
    GuardrailError if the packages for whole runs are not of reserved repositories, before anything is promoted, or if
    another adapter serves by now than the gate compared with.
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
    if order.end_to_end:  # what whole runs need is there before the adapter serves
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
    """Why an adapter was rolled back after it was promoted by this very report; None if it was not."""
    promoted = False
    for entry in context.registry.log(target):
        if entry.adapter == adapter.id and entry.action == GateVerdict.PROMOTE:
            promoted = bool(entry.report) and _contest(GateReport.model_validate(entry.report)) == _contest(report)
        elif entry.adapter == adapter.id and entry.action == "rollback" and promoted:
            return entry.reason
    return None


def _contest(report: GateReport) -> tuple[str, str | None, str | None]:
    """What a report is about. Its p-values hang on how many targets were gated with it, so they do not count."""
    return report.set_id, report.champion.adapter, report.challenger.adapter


def _load_both(
    context: TrainingContext, target: TrainingTarget, base: Base, adapter: AdapterVersion, report: GateReport
) -> str:
    """Have champion and challenger able to answer; the champion's served name. Raises EvaluationError if not."""
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
    """How the pipeline does with an adapter in its champion's place.

    The adapters of all stages are named, so that no other promotion meanwhile counts as the effect of this one.
    """
    others, stages = active_adapters(context), order.target.stages
    before_it = _load_both(context, order.target, base, adapter, report)
    packages, limit = order.end_to_end, order.end_to_end_limit
    first = run_whole(packages, limit, others | dict.fromkeys(stages, before_it))
    then = run_whole(packages, limit, others | dict.fromkeys(stages, adapter.served))
    return compare(first, then)


def _worse(changes: RateChanges, limits: GuardrailSettings) -> str:
    """How the pipeline got worse; empty if it did not."""
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
    """What to say of whole runs that undo nothing."""
    at_1 = changes.at_1
    if at_1.fall <= 0:
        return f"whole runs are no worse than before: {at_1.before:.3f} to {at_1.after:.3f}"
    return (
        f"whole runs went from {at_1.before:.3f} to {at_1.after:.3f}, which may be chance (p = {at_1.p:.3f}, "
        f"{at_1.instances} instances)"
    )
