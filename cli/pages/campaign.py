"""The page of a campaign."""

from collections.abc import Sequence

from cli.output import counted, printable
from cli.pages.campaign_costs import cost, latency, repeats, reuse
from cli.pages.campaign_results import at_fault, faults, funnel, outcomes, rates
from cli.pages.render import render
from cli.pages.section import Section, make_rows
from evals.quality import PlannerQuality
from store.runs import CampaignReport, Usage


def campaign_page(report: CampaignReport, usage: Usage, qualities: Sequence[PlannerQuality]) -> str:
    """The page of a campaign as HTML."""
    sections = [
        overview(report, usage),
        rates(qualities),
        funnel(usage.funnel),
        outcomes(report),
        at_fault(qualities),
        *([faults(report)] if report.faults else []),
        cost(usage.stages),
        latency(usage.latencies),
        reuse(usage.stages),
        repeats(usage.stages),
    ]
    notes = [f"Campaign {report.campaign_id[:12]}; cra report shows the same figures in a terminal, and as JSON."]
    return render(f"Campaign {printable(report.name)}", notes, sections)


def overview(report: CampaignReport, usage: Usage) -> Section:
    """The figures of a campaign in a table, one row for each planner."""
    rows: list[tuple[object, ...]] = []
    for planner, each in sorted(report.planners.items()):
        stages = [use for use in usage.stages if use.planner == planner]
        rows.append(
            (
                planner,
                sum(each.outcomes.values()) + each.open,
                each.passed,
                each.unconfirmed,
                each.failed,
                each.infrastructure,
                each.open,
                sum(use.calls for use in stages),
                sum(use.questions - use.calls for use in stages),
                f"{sum(use.cost for use in stages):.4f}",
            )
        )
    columns = (
        "planner", "trajectories", "passed", "unconfirmed", "failed", "without a verdict", "open", "calls", "replayed",
        "cost",
    )  # fmt: skip
    note = f"{counted(report.instances, 'instance')}, {counted(len(report.planners), 'planner')}."
    return Section("overview", "Overview", (note,), columns, make_rows(rows), columns[1:])
