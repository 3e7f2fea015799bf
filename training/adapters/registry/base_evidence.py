"""Evidence for the promotion of a tuned base: a gate's report on it against the base that it replaces."""

from collections.abc import Sequence

from models.base_evaluation import BaseReport
from models.errors import GuardrailError
from models.evaluation import GateVerdict
from store.learning.base_decisions import LoggedBaseDecision
from training.bases.bases import Base

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


def check_base_report(base: Base, before: Base, report: BaseReport | None) -> None:
    """Raise GuardrailError unless a report says that this base replaces the one before."""
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
