"""`cra report --planning`: the figures of plans by type, and how many of them a person has read."""

from collections.abc import Sequence

from cli.output import console, print_json, table
from cli.review import print_counts
from evals.planning import PlanFigure, planning_figures
from store.database import reading
from store.runs import RawStore
from store.runs.plan_reviews import campaign_reviews, count_reviews
from store.runs.plan_runs import plan_runs

_WHAT = {"meta": "meta plan", "step": "step plan", "test": "test plan"}


def read_figures(store: RawStore, campaign: str) -> list[PlanFigure]:
    """The planning figures of a campaign. Raises UsageError for a label never used."""
    with reading(store.engine) as connection:
        return planning_figures(plan_runs(connection, campaign))


def show_planning(store: RawStore, campaign: str, as_json: bool) -> None:
    """Print the planning figures of a campaign. Raises UsageError for a label never used."""
    figures = read_figures(store, campaign)
    reviews = campaign_reviews(store.engine, store.report(campaign).campaign_id)
    if as_json:
        print_json({"planning": figures, "reviews": count_reviews(reviews)})
        return
    _print(figures)
    if figures:
        print_counts(campaign, reviews)


def _print(figures: Sequence[PlanFigure]) -> None:
    """One row per planner, type of plans and figure."""
    rows, last = [], ("", "")
    for each in figures:
        place = each.planner, _WHAT[each.type.value]
        first = [name if place[: n + 1] != last[: n + 1] else "" for n, name in enumerate(place)]
        rate = each.rate
        interval = f"{rate.low:.3f} - {rate.high:.3f}"
        rows.append((*first, each.title, f"{rate.value:.3f}", interval, rate.instances, rate.repositories))
        last = place
    if not rows:
        console.print("no trajectory of this campaign planned")
        return
    columns = ["planner", "plan", "figure", "mean", "95% interval", "instances", "repositories"]
    table("Plans, by type (instances counting alike)", columns, rows, right=["mean", "instances", "repositories"])
    if any(each.rate.weak for each in figures):
        console.print("[yellow]few repositories: these intervals are weak, and say little about other repositories[/]")
