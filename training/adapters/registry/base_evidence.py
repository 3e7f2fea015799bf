"""Evidence for the promotion of a tuned base: a gate's report on it against the base that it replaces."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING

from models.base_evaluation import BaseReport, ForgettingBounds
from models.errors import GuardrailError
from models.evaluation import GateVerdict
from models.training import Role, TrainingTarget
from store.learning.base_decisions import LoggedBaseDecision
from store.learning.evaluation_sets import newest_set
from training.bases.bases import Base

if TYPE_CHECKING:
    from store.database import Engine

BASE_GATE = "base-gate"
"""The rule that no tuned base is promoted without a gate's report."""


def last_report(log: Sequence[LoggedBaseDecision], base: str) -> BaseReport | None:
    """The last report on a base. Those from before it was rolled back no longer count, nor does one that says the same
    as one of them: it is made of the same measures."""
    rows = [row for row in log if row.base == base and row.action in ("evaluate", "rollback")]
    if not rows or rows[-1].action == "rollback":
        return None
    ended = max((place for place, row in enumerate(rows) if row.action == "rollback"), default=-1)
    if any(row.report == rows[-1].report for row in rows[: max(ended, 0)]):
        return None
    return BaseReport.model_validate(rows[-1].report)


def check_base_report(
    base: Base,
    before: Base,
    report: BaseReport | None,
    bounds: ForgettingBounds | None = None,
    newest: Mapping[TrainingTarget, str] = MappingProxyType({}),
) -> None:
    """Raise GuardrailError unless a report says that this base replaces the one before, by bounds of forgetting no
    looser than these (None: any), and on the newest frozen sets (ids by target) of the stages that it measured."""
    over = 'or override this on record with --override "reason"'
    if report is None:
        raise GuardrailError(
            BASE_GATE,
            f"no report on {base.name} is on record; run `cra bases evaluate {base.name} --against {before.name}`, "
            f"{over}",
        )
    if report.champion.base != before.id:
        raise GuardrailError(
            BASE_GATE,
            f"{base.name} was compared with {report.champion.name}, and {base.role} uses {before.name}; run "
            f"`cra bases evaluate {base.name} --against {before.name}`, {over}",
        )
    if report.verdict is not GateVerdict.PROMOTE:
        raise GuardrailError(
            BASE_GATE, f"{base.name} did not pass ({report.verdict.value}: {report.reason}); tune another, {over}"
        )
    again = f"run `cra bases evaluate {base.name} --against {before.name}` again, {over}"
    if bounds is not None and (report.bounds.rise > bounds.rise or report.bounds.agreement < bounds.agreement):
        raise GuardrailError(
            BASE_GATE,
            f"{base.name} passed with bounds of forgetting {report.bounds.rise:.2f} and {report.bounds.agreement:.2f}, "
            f"and the settings now say {bounds.rise:.2f} and {bounds.agreement:.2f}; {again}",
        )
    for stage in report.stages:
        if stage.set_id != newest.get(stage.target, stage.set_id):
            raise GuardrailError(
                BASE_GATE,
                f"{base.name} passed on set {stage.set_id[:12]} of {stage.target.value}, and a newer one is frozen; "
                f"{again}",
            )


def newest_sets(curated: "Engine", role: Role) -> dict[TrainingTarget, str]:
    """The ids of the newest frozen sets of a role's targets."""
    found = {target: newest_set(curated, target) for target in targets_of(role)}
    return {target: each.id for target, each in found.items() if each is not None}


def targets_of(role: Role) -> list[TrainingTarget]:
    """The targets whose adapters serve on a role's base."""
    return [each for each in TrainingTarget if each.serves and each.role == role]
