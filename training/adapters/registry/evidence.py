"""Evidence for a promotion: a gate's report on this adapter against the active champion that says promote."""

from collections.abc import Sequence

from models.errors import GuardrailError, RegistryError
from models.evaluation import GateReport, GateVerdict
from store.learning.adapters import AdapterVersion
from store.learning.promotions import LoggedDecision
from training.bases.bases import Base

GATE = "gate"
"""The rule that no adapter is promoted without a gate's report."""


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


def check_same_base(version: AdapterVersion, serving: AdapterVersion | None, adopted: Base | None) -> None:
    """Raise GuardrailError if another base is in use: one was adopted, or has the active adapter. No gate compared the
    two bases, and promotion would deactivate the adapter of the base that is served."""
    if adopted is not None and adopted.id != version.base:
        in_use, why = adopted.name, f"{version.target.value} uses base {adopted.name}"
    elif serving is not None and serving.base != version.base:
        in_use, why = serving.base_name, f"{serving.name} is active on base {serving.base_name}"
    else:
        return
    raise GuardrailError(
        "same-base",
        f"{why}, and {version.name} is of base {version.base_name}; if that base replaces {in_use}, adopt it "
        f'first: cra bases adopt {version.base_name} --role {version.target.role} --reason "..."',
    )
