"""What follows from a gate's report: who serves, and whether whole runs undo that."""

from pathlib import Path
from typing import Protocol

from evals.whole_runs import Changes, compare
from flows.judging import NO_ADAPTER, have_served, require_base, whole_runs
from models.errors import GuardrailError
from models.evaluation import GateReport, Verdict
from models.guardrail_settings import GuardrailSettings
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
    if in_the_way := registry.displaces(adapter, report):
        return [f"passed its gate and was not promoted: {in_the_way}"]
    shop.require_reserved_packages(order.end_to_end)
    if (undone := _undone(shop, order.target, adapter, report)) is not None:
        return [f"promoted and rolled back: {undone}"]
    make_ready(shop.curated, shop.settings, adapter, base)
    if order.end_to_end:  # what whole runs need is there before anybody is served by it
        _have_both_served(shop, order.target, base, adapter, report)
    registry.promote(adapter, report)
    if not order.end_to_end:
        return ["no whole runs after the promotion: give packages of reserved repositories with --end-to-end"]
    changes = _changes(shop, order, base, adapter, report)
    if worse := _worse(changes, shop.settings.guardrails):
        if not registry.take_back(adapter, worse):
            return [f"promoted, and replaced by a person while whole runs judged it: {worse}"]
        return [f"promoted and rolled back: {worse}"]
    return [_kept(changes)]


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


def _changes(shop: Shop, order: Order, base: Base, adapter: AdapterVersion, report: GateReport) -> Changes:
    """How the pipeline does with an adapter in its champion's place.

    Both are named, whoever is active meanwhile, so that it can be done at any time and comes out the same.
    """
    stages = order.target.stages
    before_it = _have_both_served(shop, order.target, base, adapter, report)
    first = whole_runs(shop, order.end_to_end, order.end_to_end_limit, dict.fromkeys(stages, before_it))
    then = whole_runs(shop, order.end_to_end, order.end_to_end_limit, dict.fromkeys(stages, adapter.served))
    return compare(first, then)


def _worse(changes: Changes, limits: GuardrailSettings) -> str:
    """How the pipeline got worse; empty if it did not."""
    at_1 = changes.at_1
    if at_1.is_loss(limits.end_to_end_margin, limits.end_to_end_alpha):
        few = (
            f"; {at_1.instances} instances are too few to tell it from chance"
            if at_1.p > limits.end_to_end_alpha
            else ""
        )
        return f"whole runs pass {at_1.after:.3f} of the time, and did {at_1.before:.3f} before (p = {at_1.p:.3f}{few})"
    try:
        guardrails.check_diversity(changes, limits)
    except GuardrailError as error:
        return str(error)
    return ""


def _kept(changes: Changes) -> str:
    """What to say of whole runs that undo nothing."""
    at_1 = changes.at_1
    if at_1.fall <= 0:
        return f"whole runs are no worse than before: {at_1.before:.3f} to {at_1.after:.3f}"
    return (
        f"whole runs went from {at_1.before:.3f} to {at_1.after:.3f}, which may be chance (p = {at_1.p:.3f}, "
        f"{at_1.instances} instances)"
    )
