"""What follows from a gate's report: who serves, and whether whole runs undo that."""

from pathlib import Path
from typing import Protocol

from flows.judging import NO_ADAPTER, compared, have_served, require_base, whole_runs
from models.errors import GuardrailError
from models.evaluation import GateReport, Verdict
from models.training import Target
from tasks.learning import Shop
from training import guardrails
from training.bases import Base
from training.export.serving import make_ready
from training.registry import AdapterVersion


class Order(Protocol):
    """What was ordered, as far as a promotion asks."""

    @property
    def target(self) -> Target: ...
    @property
    def end_to_end(self) -> tuple[Path, ...]: ...
    @property
    def end_to_end_limit(self) -> int | None: ...


def settle(shop: Shop, order: Order, base: Base, adapter: AdapterVersion, report: GateReport) -> list[str]:
    """Act on a verdict; notes on what was done. Repeated after a kill, it goes on: a promotion whose whole runs were
    not finished has them then.

    Raises GuardrailError if the packages for whole runs are not of reserved repositories, before anything is promoted.
    """
    registry = shop.registry
    if report.verdict is Verdict.REJECT:
        registry.reject(adapter, report)
        return []
    if report.verdict is Verdict.INCONCLUSIVE:
        registry.inconclusive(adapter, report)
        return []
    shop.require_reserved_packages(order.end_to_end)
    if (undone := _undone(shop, order.target, adapter, report)) is not None:
        return [f"promoted and rolled back: {undone}"]
    make_ready(shop.curated, shop.settings, adapter, base)
    if order.end_to_end:  # what whole runs need is there before anybody is served by it
        _have_both_served(shop, order.target, base, adapter, report)
    registry.promote(adapter, report)
    if not order.end_to_end:
        return ["no whole runs after the promotion: give packages of reserved repositories with --end-to-end"]
    worse = _worse(shop, order, base, adapter, report)
    if worse:
        if not registry.take_back(adapter, worse):
            return [f"promoted, and replaced by a person while whole runs judged it: {worse}"]
        return [f"promoted and rolled back: {worse}"]
    return ["whole runs are no worse than before"]


def _undone(shop: Shop, target: Target, adapter: AdapterVersion, report: GateReport) -> str | None:
    """Why an adapter was rolled back after it was promoted by this very report; None if it was not."""
    promoted = False
    for entry in shop.registry.log(target):
        if entry.adapter == adapter.id and entry.action == Verdict.PROMOTE:
            promoted = bool(entry.report) and _contest(GateReport.model_validate(entry.report)) == _contest(report)
        elif entry.adapter == adapter.id and entry.action == "rollback" and promoted:
            return entry.reason
    return None


def _contest(report: GateReport) -> tuple[str, str | None, str | None]:
    """What a report is about. Its p-values hang on how many targets were gated with it, so they do not count."""
    return report.set_id, report.champion.adapter, report.challenger.adapter


def _have_both_served(shop: Shop, target: Target, base: Base, adapter: AdapterVersion, report: GateReport) -> str:
    """Have champion and challenger able to answer; the champion's served name. Raises EvaluationError if not."""
    require_base(shop, target, base)
    champion = shop.registry.show(report.champion.adapter) if report.champion.adapter else None
    for each in filter(None, (champion, adapter)):
        have_served(shop, target, base, each)
    return champion.served if champion else NO_ADAPTER


def _worse(shop: Shop, order: Order, base: Base, adapter: AdapterVersion, report: GateReport) -> str:
    """How the pipeline got worse with an adapter in its champion's place; empty if it did not.

    Both are named, whoever is active meanwhile, so that it can be done at any time and comes out the same.
    """
    limits, stages = shop.settings.guardrails, order.target.stages
    before_it = _have_both_served(shop, order.target, base, adapter, report)
    first = whole_runs(shop, order.end_to_end, order.end_to_end_limit, dict.fromkeys(stages, before_it))
    then = whole_runs(shop, order.end_to_end, order.end_to_end_limit, dict.fromkeys(stages, adapter.served))
    before, after = compared(first, then)
    if before.pass_at_1 - after.pass_at_1 > limits.end_to_end_margin:
        return f"whole runs pass {after.pass_at_1:.3f} of the time, and did {before.pass_at_1:.3f} before"
    try:
        guardrails.check_diversity(before, after, limits)
    except GuardrailError as error:
        return str(error)
    return ""
