"""The sections of a campaign's page about its results: rates, how far instances came, outcomes, and faults."""

from collections.abc import Mapping, Sequence

from cli.pages.charts import Interval, Panel, bars, intervals
from cli.pages.section import Section, drawn, make_rows
from evals.quality import PlannerQuality
from evals.statistics import Rate
from models.outcomes import OutcomeKind
from store.runs import CampaignFunnel, CampaignReport

ALL = "all repositories"
_LEAST_REPOSITORIES, _MOST_MARKERS = 10, 80
"""The picture of pass rates shows as many repositories as have 80 markers together, and no fewer than 10."""


def rates(qualities: Sequence[PlannerQuality]) -> Section:
    """pass@1 by planner and repository, with intervals."""
    over_all = [(each.planner, ALL, each.pass_at_1) for each in qualities if each.pass_at_1 is not None]
    told = over_all + [(each.planner, name, rate) for each in qualities for name, rate in each.by_repository.items()]
    names = sorted({name for _, name, _ in told[len(over_all) :]}, key=lambda name: (-_instances(told, name), name))
    most = max(_LEAST_REPOSITORIES, _MOST_MARKERS // max(1, len(qualities)))
    shown = [ALL, *names[:most]] if len(names) > 1 else names
    values = {(name, planner): Interval(rate.value, rate.low, rate.high) for planner, name, rate in told}
    notes = [
        "Share of instances that a planner solves at the first try; instances count alike, the samples of one are "
        "averaged. Whiskers are 95% intervals."
    ]
    if any(rate.weak for _, _, rate in over_all):
        notes.append("There are few repositories: these intervals say little about other repositories.")
    if len(names) > most:
        notes.append(f"The picture shows the {most} repositories with most instances; the table has them all.")
    planners = [each.planner for each in qualities]
    section = Section(
        "rates",
        "Pass rates",
        tuple(notes),
        ("planner", "repository", "pass@1", "95% interval", "instances", "method"),
        make_rows([(planner, name, *_rate(rate)) for planner, name, rate in told]),
        ("pass@1", "95% interval", "instances"),
    )
    return drawn(
        section,
        bool(told),
        lambda title, words: intervals(
            "rates", title, words, shown, planners, values, "pass@1, with 95% interval", least=0.0, most=1.0
        ),
    )


def _rate(rate: Rate) -> tuple[str, str, str, str]:
    return f"{rate.value:.1%}", f"{rate.low:.1%} to {rate.high:.1%}", str(rate.instances), rate.method


def _instances(told: Sequence[tuple[str, str, Rate]], name: str) -> int:
    return max(rate.instances for _, each, rate in told if each == name)


def funnel(found: CampaignFunnel) -> Section:
    """From the packages' instances to confirmed passes."""
    steps = {
        "chosen for the campaign": "chosen",
        "attempted": "attempted",
        "an edit applied": "edited",
        "hidden tests passed": "tests_passed",
        "pass confirmed": "confirmed",
    }
    heads = {"in the repo packages": found.instances, "valid": found.valid}
    planners = [each.planner for each in found.planners]
    values = {
        (name, planner): float(count) for name, count in heads.items() if count is not None for planner in planners
    }
    rows: list[tuple[object, ...]] = [
        (name, "", "not known" if count is None else count, "") for name, count in heads.items()
    ]
    for name, field in steps.items():
        for each in found.planners:
            reached = getattr(each, field)
            values[name, each.planner] = float(reached.instances)
            rows.append((name, each.planner, reached.instances, reached.trajectories))
    section = Section(
        "funnel",
        "From instances to passes",
        (
            "Instances that came so far with at least one trajectory of the planner; the table also counts "
            "trajectories. A pass is confirmed when the hidden tests' varied inputs agree with it.",
        ),
        ("point", "planner", "instances", "trajectories"),
        make_rows(rows),
        ("instances", "trajectories"),
    )
    panel = Panel("instances", values, lambda value: f"{value:.0f}")
    return drawn(
        section, bool(planners), lambda title, words: bars("funnel", title, words, [*heads, *steps], planners, [panel])
    )


def outcomes(report: CampaignReport) -> Section:
    """How trajectories ended."""
    counts = {(kind, planner): n for planner, each in report.planners.items() for kind, n in each.outcomes.items()}
    counts |= {("no attempt has ended", planner): each.open for planner, each in report.planners.items() if each.open}
    order = {kind.value: place for place, kind in enumerate(OutcomeKind)}
    kinds = sorted({kind for kind, _ in counts}, key=lambda kind: order.get(kind, len(order)))
    blame = {kind.value: kind.blame.value for kind in OutcomeKind}
    planners = sorted(report.planners)
    return _counted(
        Section(
            "outcomes",
            "Outcomes",
            (
                "How trajectories ended, those without a verdict by their last attempt. Faults of infrastructure and "
                "environment are no verdict on a planner, and are tried again.",
            ),
            ("outcome", "at fault", *planners),
            make_rows([(kind, blame.get(kind, ""), *(counts.get((kind, p), 0) for p in planners)) for kind in kinds]),
            tuple(report.planners),
        ),
        counts,
        kinds,
        "trajectories",
    )


def at_fault(qualities: Sequence[PlannerQuality]) -> Section:
    """The stage at fault for failures, by experiment."""
    counts = {(label, each.planner): n for each in qualities for label, n in each.attribution.items()}
    order = ("retrieval", "plan", "code", "undetermined")
    labels = sorted({label for label, _ in counts}, key=lambda label: order.index(label) if label in order else 9)
    planners = [each.planner for each in qualities if each.attribution]
    return _counted(
        Section(
            "fault",
            "Stage at fault",
            (
                "Failures by the stage that they are put down to, by experiment: retrieval where the context lacked "
                "what the commit changes, plan or code where the gold answer of that stage makes the difference.",
            ),
            ("stage at fault", *planners),
            make_rows([(label, *(counts.get((label, planner), 0) for planner in planners)) for label in labels]),
            tuple(planners),
        ),
        counts,
        labels,
        "failures",
    )


def faults(report: CampaignReport) -> Section:
    """Why trajectories have no verdict."""
    rows = [(each.kind.value, each.trajectories, ", ".join(each.planners), each.reason) for each in report.faults]
    return Section(
        "faults",
        "Without a verdict",
        ("Why open trajectories ended without a verdict at their last attempt. Messages that differ in numbers only "
         "are counted as one.",),
        ("fault", "trajectories", "planners", "reason"),
        make_rows(rows),
        ("trajectories",),
    )  # fmt: skip


def _counted(section: Section, counts: Mapping[tuple[str, str], int], rows: Sequence[str], what: str) -> Section:
    series = sorted({planner for _, planner in counts})
    every = {(row, name): float(counts.get((row, name), 0)) for row in rows for name in series}
    panel = Panel(what, every, lambda value: f"{value:.0f}")
    return drawn(section, bool(rows), lambda title, words: bars(section.key, title, words, rows, series, [panel]))
