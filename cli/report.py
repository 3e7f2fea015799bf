"""`cra report`: how the planners of a campaign did, what they asked, what it cost, and why they failed."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from cli.options import JsonOption
from cli.output import console, counted, errors, print_json, printable, spinner, table, unbounded
from cli.planning_figures import show_planning
from evals.quality import OwnTestsQuality, PlannerQuality, qualities
from evals.statistics import Rate
from host.settings import load_settings
from store.runs import CampaignReport, open_raw_store

_STAGES = (
    "task_analysis", "scope", "precision", "meta_plan", "part_plan", "code", "test_plan", "adjustment",
)  # fmt: skip
"""In the order of the pipeline."""
_REASONS = 10
"""Reasons for a missing verdict that are listed."""


def report(
    name: Annotated[str, typer.Argument(help="A campaign's label.")],
    as_json: JsonOption = False,
    limit: Annotated[int, typer.Option(help="Trajectories to list.", min=0)] = 20,
    planning: Annotated[
        bool, typer.Option("--planning", help="Show the figures of plans by type instead: meta, step and test plans.")
    ] = False,
    html: Annotated[
        Path | None,
        typer.Option("--html", metavar="FILE", help="Write a page with pictures to FILE instead.", dir_okay=False),
    ] = None,
) -> None:
    """Show what came of a campaign: outcomes, pass rates with intervals, calls, cost and faults by stage.

    The page of --html is one file for any browser: it loads nothing and runs no script. Exits with 2 for a name under
    which no campaign was run.
    """
    if html is not None:
        _write_page(name, html)
        if not as_json:
            return
    store = open_raw_store(load_settings().raw_url)
    if planning:
        show_planning(store, name, as_json)
        return
    result = store.report(name)
    usage = store.usage(name)
    figures = qualities(usage)
    lines = store.trajectories(name, limit)
    if as_json:
        print_json(
            {
                **result.model_dump(mode="json"),
                "funnel": usage.funnel.model_dump(mode="json"),
                "latencies": [each.model_dump(mode="json") for each in usage.latencies],
                "quality": {each.planner: each.model_dump(mode="json") for each in figures},
                "trajectories": [line.model_dump(mode="json") for line in lines],
            }
        )
        return
    print_report(result, figures)
    table(
        f"Trajectories, those that did not pass first ({len(lines)})",
        ["id", "instance", "planner", "outcome", "detail"],
        [(x.id[:12], x.instance, x.planner, x.outcome or "open", _short(x.detail)) for x in lines],
    )


def _write_page(name: str, file: Path) -> None:
    """Write a campaign's page. Raises UsageError for an unknown name, and where nothing can draw or be written."""
    from cli.pages.campaign import campaign_page
    from cli.pages.render import write_page
    from cli.pages.svg import check_drawing

    check_drawing()
    store = open_raw_store(load_settings().raw_url)
    report, usage = store.report(name), store.usage(name)
    with spinner("drawing"):
        write_page(file, campaign_page(report, usage, qualities(usage)))
    errors.print(f"{file} holds the page", markup=False, soft_wrap=True)


def unfinished(result: CampaignReport) -> int:
    """How many trajectories have no verdict yet."""
    return sum(counts.infrastructure + counts.open for counts in result.planners.values())


def print_report(result: CampaignReport, qualities: Sequence[PlannerQuality] = ()) -> None:
    """How the planners' trajectories ended, one row per planner; and, if they are given, the figures behind."""
    rows = []
    for planner, counts in sorted(result.planners.items()):
        judged = counts.passed + counts.unconfirmed + counts.failed
        rate = f"{counts.passed / judged:.0%}" if judged else "-"
        other = ", ".join(f"{kind} {count}" for kind, count in sorted(counts.outcomes.items()) if kind != "passed")
        judged_as = (counts.passed, counts.unconfirmed, counts.failed, counts.infrastructure, counts.open)
        rows.append((planner, *judged_as, rate, other))
    table(
        f"Campaign {result.name}: {result.instances} instances",
        ["planner", "passed", "unconfirmed", "failed", "infra", "open", "rate", "other outcomes"],
        rows,
        right=["passed", "unconfirmed", "failed", "infra", "open", "rate"],
    )
    if qualities:
        print_quality(qualities)
    if result.replayed:
        console.print(f"{counted(result.replayed, 'answer was', 'answers were')} replayed, not asked for again")
    if result.faults:
        table(
            "Why trajectories have no verdict",
            ["fault", "trajectories", "planners", "reason"],
            [(x.kind, x.trajectories, ", ".join(x.planners), _short(x.reason)) for x in result.faults[:_REASONS]],
            right=["trajectories"],
        )
        if (more := len(result.faults) - _REASONS) > 0:
            console.print(f"[dim]{counted(more, 'further reason')}; cra report --json has all[/]")
    if result.stopped:
        console.print(Text(f"stopped early: {result.stopped}", style="bold yellow"))
    if count := unfinished(result):
        console.print(f"[yellow]{count} trajectories have no verdict yet; the same command runs them again[/]")
    hint = f"; next: cra trace {result.example[:12]}" if result.example else ""
    console.print(f"[dim]campaign {result.campaign_id[:12]}{hint}[/]")


def print_quality(qualities: Sequence[PlannerQuality]) -> None:
    """pass@k with intervals, what each stage asked and cost, and which stages failed."""
    rates = [each.pass_at_1 for each in qualities if each.pass_at_1 is not None]
    if rates:
        table(
            "Solved at the first try (pass@1, instances counting alike), with 95% intervals",
            ["planner", "temperature", "pass@1", "95% interval", "instances", "repositories", "pass@k, all samples"],
            [row for each in qualities for row in _rates(each)],
            right=["pass@1", "instances", "repositories"],
        )
    for method in sorted({rate.method for rate in rates}):
        console.print(f"[dim]intervals: {method}[/]")
    if any(rate.weak for rate in rates):
        console.print("[yellow]few repositories: these intervals are weak, and say little about other repositories[/]")
    asked = [row for each in qualities for row in _stages(each)]
    if asked:
        names = [
            "asked",
            "calls",
            "tokens in",
            "cached",
            "tokens out",
            "cost",
            "s/call",
            "malformed",
            "repairs",
            "generalist",
        ]
        table("What was asked", ["planner", "stage", *names], asked, right=names)
    shown = [each for each in qualities if each.attribution or each.rungs or each.context_tokens is not None]
    table(
        "Retrieval, edits, and the stage at fault",
        ["planner", "median context", "edits", "failures by stage at fault", "cost"],
        [
            (
                each.planner,
                "-" if each.context_tokens is None else f"{each.context_tokens:.0f}",
                _counts(each.rungs),
                _counts(each.attribution),
                f"{each.cost:.4f}",
            )
            for each in shown
        ],
        right=["median context", "cost"],
    )
    if own := [_own_tests(each.planner, each.own_tests) for each in qualities if each.own_tests]:
        names = ["trajectories", "tests", "steady", "changed lines run", "reverted hunks noticed"]
        table("Tests that planners wrote", ["planner", *names], own, right=names)


def _rates(quality: PlannerQuality) -> list[tuple[object, ...]]:
    if quality.pass_at_1 is None:
        return []
    at_k = ", ".join(f"{k}: {value:.3f}" for k, value in quality.pass_at_k.items())
    rows: list[tuple[object, ...]] = [(quality.planner, "all", *_rate(quality.pass_at_1), at_k)]
    if len(quality.by_temperature) > 1:
        rows += [("", name, *_rate(rate), "") for name, rate in quality.by_temperature.items()]
    return rows


def _rate(rate: Rate) -> tuple[str, str, int, int]:
    return f"{rate.value:.3f}", f"{rate.low:.3f} - {rate.high:.3f}", rate.instances, rate.repositories


def _stages(quality: PlannerQuality) -> list[tuple[object, ...]]:
    by_name = {stage.stage: stage for stage in quality.stages}
    rows: list[tuple[object, ...]] = []
    for name in [name for name in _STAGES if name in by_name]:
        use = by_name[name]
        cached = f"{use.cached_tokens / use.prompt_tokens:.0%}" if use.prompt_tokens else "-"
        seconds = f"{use.seconds / use.calls:.2f}" if use.calls else "-"
        rows.append(
            (
                quality.planner if not rows else "",
                name,
                use.questions,
                use.calls,
                use.prompt_tokens,
                cached,
                use.completion_tokens,
                f"{use.cost:.4f}",
                seconds,
                use.malformed,
                use.repairs,
                use.fallbacks,
            )
        )
    return rows


def _own_tests(planner: str, own: OwnTestsQuality) -> tuple[object, ...]:
    return planner, own.trajectories, own.tests, own.steady, _share(own.lines_run), _share(own.hunks_noticed)


def _share(value: float | None) -> str:
    return "-" if value is None else f"{value:.0%}"


def _counts(counts: dict[str, int]) -> str:
    return ", ".join(f"{name} {count}" for name, count in counts.items()) or "-"


def _short(detail: str, most: int = 120) -> str:
    """A message without control characters; whole where lines may be as wide as their text."""
    line = printable(" ".join(detail.split()))
    return line if unbounded() or len(line) <= most else line[: most - 1] + "…"
