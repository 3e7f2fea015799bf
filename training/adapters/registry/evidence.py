"""What speaks for a promotion: a gate's report that says so, about this adapter, against whoever serves now."""

from collections.abc import Sequence

from models.errors import GuardrailError, RegistryError
from models.evaluation import GateReport, GateVerdict
from store.learning.adapters import AdapterVersion
from store.learning.promotions import LoggedDecision
from training.bases.bases import Base

GATE = "gate"
"""The rule that nobody is promoted without a gate's word."""


def on_record(log: Sequence[LoggedDecision], adapter: str, champion: str | None) -> GateReport | None:
    """The last report about an adapter against whoever serves now; without one, the last that said promote.

    What was said before the adapter was rolled back speaks for nothing any more.
    """
    about = [row for row in log if row.adapter == adapter]
    since = max((place for place, row in enumerate(about, 1) if row.action == "rollback"), default=0)
    reports = [GateReport.model_validate(row.report) for row in about[since:] if row.report]
    against = [report for report in reports if report.champion.adapter == champion]
    against = against or [report for report in reports if report.verdict is GateVerdict.PROMOTE]
    return against[-1] if against else None


def check_subject(version: AdapterVersion, report: GateReport) -> None:
    if report.target is not version.target or report.challenger.adapter != version.id:
        raise RegistryError(f"the gate's report is about {report.challenger.name}, not about {version.name}")


def check_report(
    version: AdapterVersion, report: GateReport | None, champion: str | None, log: Sequence[LoggedDecision]
) -> None:
    if report is None:
        undone = [row.reason for row in log if row.adapter == version.id and row.action == "rollback"]
        if undone:
            raise GuardrailError(
                GATE,
                f"{version.name} was rolled back ({undone[-1]}), and what a gate said of it before does not count any "
                'more; train another, or go past this on record with --override "reason"',
            )
        raise GuardrailError(
            GATE,
            f"no passing report on {version.name} is on record; `cra train` gates it, or give a reason to go past this",
        )
    check_subject(version, report)
    if report.verdict is not GateVerdict.PROMOTE:
        why = report.reason.partition("; ")[0]
        raise GuardrailError(
            GATE,
            f"{version.name} did not pass ({report.verdict.value}: {why}); train on more data, evaluate on more items, "
            'or go past this on record with --override "reason"',
        )
    if report.champion.adapter != champion:
        against = report.champion.name
        raise GuardrailError(
            GATE,
            f"{version.name} passed against {against}, which does not serve now; `cra train` gates it again",
        )


def check_same_base(version: AdapterVersion, serving: AdapterVersion | None, adopted: Base | None) -> None:
    """Raise GuardrailError if another base is in use: one was adopted, or an adapter of one serves. No gate compared
    the two, and the one would go out of service though its base is what is asked."""
    if adopted is not None and adopted.id != version.base:
        in_use, why = adopted.name, f"{version.target.value} is served by base {adopted.name}"
    elif serving is not None and serving.base != version.base:
        in_use, why = serving.base_name, f"{serving.name} serves on base {serving.base_name}"
    else:
        return
    raise GuardrailError(
        "same-base",
        f"{why}, and {version.name} is of base {version.base_name}; if that is served now instead of {in_use}, say so "
        f'first: cra bases adopt {version.base_name} --role {version.target.role} --reason "..."',
    )
