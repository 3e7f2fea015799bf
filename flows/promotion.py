"""What follows from a gate's report: who serves, and whether whole runs undo that."""

from pathlib import Path
from typing import NamedTuple, Protocol

from evals.whole_runs import Changes, compare
from flows.judging import NO_ADAPTER, answering, have_served, require_base, whole_runs
from models.errors import GuardrailError
from models.evaluation import GateReport, Verdict
from models.guardrail_settings import GuardrailSettings
from models.training import Target
from tasks.learning import Shop
from training.adapters.export.serving import make_ready
from training.adapters.registry import AdapterVersion
from training.bases.bases import Base
from training.cycle import guardrails


class Order(Protocol):
    """What was ordered, as far as a promotion asks."""

    @property
    def target(self) -> Target: ...
    @property
    def end_to_end(self) -> tuple[Path, ...]: ...
    @property
    def end_to_end_limit(self) -> int | None: ...


class Settled(NamedTuple):
    """What became of an adapter: its gate's verdict, or for one that passed and does not serve, why."""

    outcome: str
    notes: tuple[str, ...] = ()


WITHHELD, UNDONE, REPLACED = "withheld", "rolled back", "replaced"


def settle(shop: Shop, order: Order, base: Base, adapter: AdapterVersion, report: GateReport) -> Settled:
    """Act on a verdict. Repeated after a kill, it goes on: a promotion whose whole runs were not finished has them
    then.

    Raises GuardrailError if the packages for whole runs are not of reserved repositories, before anything is promoted,
    or if somebody else serves by now than the gate compared with.
    """
    registry, verdict = shop.registry, report.verdict
    if verdict is not Verdict.PROMOTE:
        (registry.reject if verdict is Verdict.REJECT else registry.inconclusive)(adapter, report)
        return Settled(verdict.value)
    if in_the_way := registry.displaces(adapter, report):
        return Settled(WITHHELD, (f"passed its gate and was not promoted: {in_the_way}",))
    shop.require_reserved_packages(order.end_to_end)
    if (undone := _undone(shop, order.target, adapter, report)) is not None:
        return Settled(UNDONE, (f"promoted and rolled back: {undone}",))
    make_ready(shop.curated, shop.settings, adapter, base)
    if order.end_to_end:  # what whole runs need is there before anybody is served by it
        _have_both_served(shop, order.target, base, adapter, report)
    registry.promote(adapter, report)
    if not order.end_to_end:
        return Settled(
            verdict.value,
            ("no whole runs after the promotion: give packages of reserved repositories with --end-to-end",),
        )
    changes = _changes(shop, order, base, adapter, report)
    if worse := _worse(changes, shop.settings.guardrails):
        if not registry.take_back(adapter, worse):
            return Settled(REPLACED, (f"promoted, and replaced by a person while whole runs judged it: {worse}",))
        return Settled(UNDONE, (f"promoted and rolled back: {worse}",))
    return Settled(verdict.value, (_kept(changes),))


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

    Who answers is named for every stage, so that nobody's promotion meanwhile counts as this one's doing.
    """
    others, stages = answering(shop), order.target.stages
    before_it = _have_both_served(shop, order.target, base, adapter, report)
    packages, limit = order.end_to_end, order.end_to_end_limit
    first = whole_runs(shop, packages, limit, others | dict.fromkeys(stages, before_it))
    then = whole_runs(shop, packages, limit, others | dict.fromkeys(stages, adapter.served))
    return compare(first, then)


def _worse(changes: Changes, limits: GuardrailSettings) -> str:
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


def _kept(changes: Changes) -> str:
    """What to say of whole runs that undo nothing."""
    at_1 = changes.at_1
    if at_1.fall <= 0:
        return f"whole runs are no worse than before: {at_1.before:.3f} to {at_1.after:.3f}"
    return (
        f"whole runs went from {at_1.before:.3f} to {at_1.after:.3f}, which may be chance (p = {at_1.p:.3f}, "
        f"{at_1.instances} instances)"
    )
