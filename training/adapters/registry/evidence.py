"""Evidence for a promotion: a gate's report on this adapter against the active champion that says promote."""

from collections.abc import Sequence

from models.errors import GuardrailError, RegistryError
from models.evaluation import GateReport, GateVerdict
from store.learning.adapters import AdapterVersion
from store.learning.promotions import LoggedDecision
from training.bases.bases import Base

GATE = "gate"
"""The rule that no adapter is promoted without a gate's report."""
SAME_BASE = "same-base"
"""The rule that an adapter is promoted on the base that its role uses."""


def on_record(log: Sequence[LoggedDecision], adapter: str, champion: str | None) -> GateReport | None:
    """The last report on an adapter against the active champion; without one, the last that said promote.

    Reports from before a rollback of the adapter no longer count.
    """
    about = [row for row in log if row.adapter == adapter]
    since = max((place for place, row in enumerate(about, 1) if row.action == "rollback"), default=0)
    reports = [GateReport.model_validate(row.report) for row in about[since:] if row.report]
    against = [report for report in reports if report.champion.adapter == champion]
    against = against or [report for report in reports if report.verdict is GateVerdict.PROMOTE]
    return against[-1] if against else None


def check_subject(version: AdapterVersion, report: GateReport) -> None:
    if report.target is not version.target or report.challenger.adapter != version.id:
        raise RegistryError(f"the gate's report is on {report.challenger.name}, not on {version.name}")


def check_report(
    version: AdapterVersion, report: GateReport | None, champion: str | None, log: Sequence[LoggedDecision]
) -> None:
    if report is None:
        undone = [row.reason for row in log if row.adapter == version.id and row.action == "rollback"]
        if undone:
            raise GuardrailError(
                GATE,
                f"{version.name} was rolled back ({undone[-1]}), and earlier gate reports no longer "
                'count; train another, or override this on record with --override "reason"',
            )
        raise GuardrailError(
            GATE,
            f"no passing report on {version.name} is on record; gate it with `cra train` or give --override",
        )
    check_subject(version, report)
    if report.verdict is not GateVerdict.PROMOTE:
        why = report.reason.partition("; ")[0]
        raise GuardrailError(
            GATE,
            f"{version.name} did not pass ({report.verdict.value}: {why}); train on more data, evaluate on more items, "
            'or override this on record with --override "reason"',
        )
    if report.champion.adapter != champion:
        against = report.champion.name
        raise GuardrailError(
            GATE,
            f"{version.name} passed against {against}, which is no longer active; gate it again with `cra train`",
        )


def check_base_in_use(version: AdapterVersion, in_use: Base | None) -> None:
    """Raise GuardrailError if an adapter's role uses another base, on which it would not be asked."""
    if in_use is None or in_use.id == version.base:
        return
    raise GuardrailError(
        SAME_BASE,
        f"{version.target.value} uses base {in_use.name}, and {version.name} is of base {version.base_name}; "
        f"{_change_base(version)}",
    )


def check_same_base(version: AdapterVersion, serving: AdapterVersion | None) -> None:
    """Raise GuardrailError if the active adapter is of another base. No gate compared the two bases, and promotion
    would deactivate the adapter of the base that is served."""
    if serving is None or serving.base == version.base:
        return
    raise GuardrailError(
        SAME_BASE,
        f"{serving.name} is active on base {serving.base_name}, and {version.name} is of base {version.base_name}; if "
        f"that base replaces {serving.base_name}, {_change_base(version)}",
    )


def _change_base(version: AdapterVersion) -> str:
    return (
        f"promote that base first (cra bases promote {version.base_name}), or take it into use without a gate: "
        f'cra bases adopt {version.base_name} --role {version.target.role} --reason "..."'
    )
