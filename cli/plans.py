"""`cra plans`: plans that people followed, found in histories."""

from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from cli.options import JsonOption
from cli.output import console, errors, print_json, printable, table
from cli.progress import progress
from host.settings import load_settings
from repos.clones import cached_clone
from training.data.sources.plan_artifacts.history import History
from training.data.sources.plan_artifacts.labels import Label, Labelled, label_all

app = typer.Typer(no_args_is_help=True)

PlacesArgument = Annotated[list[Path], typer.Argument(metavar="PATH...", help="Git repositories.")]


@app.callback()
def _group() -> None:
    """Plans in histories: found, followed to the commits that did them, labelled by what came of them."""


@app.command()
def find(
    places: PlacesArgument,
    only: Annotated[
        list[Label] | None, typer.Option("--label", help="Only plans with this label; may be given again.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """List the plan files of all refs, the commits that did them, and a label with its reason.

    good: done, and what was written lasted. fine: done, then fixed. bad: rewritten, or replaced by another plan.
    abandoned: left with a part undone. unclear: anything else. Nothing is checked out, nothing is run.
    """
    cache = load_settings().cache_dir
    described = []
    with progress() as bars:
        bar = bars.add_task("reading histories", total=len(places), note="")
        for place in places:
            bars.update(bar, note=str(place))
            with cached_clone(place, cache) as git:
                labelled, found = label_all(History(git))
            shown = [each for each in labelled if not only or each.label in only]
            if as_json:
                described.append(_described(place, shown, found.met))
            else:
                _print(place, shown, found.met)
            bars.advance(bar)
    if as_json:
        print_json(described)


def _described(place: Path, labelled: list[Labelled], met: Counter[str]) -> dict[str, Any]:
    return {"path": place, "plans": [_row(each) for each in labelled], "met": dict(sorted(met.items()))}


def _row(each: Labelled) -> dict[str, Any]:
    plan, trajectory = each.plan, each.trajectory
    return {
        "plan": plan.path,
        "title": plan.title,
        "introduced": plan.introduced.commit,
        "date": _date(plan.commit.when),
        "reached_from_head": plan.reached,
        "score": {"total": plan.score.total, "parts": vars(plan.score)},
        "label": each.label.value,
        "reason": each.reason,
        "named": sorted(trajectory.targets),
        "missing": sorted(trajectory.missing),
        "touched": sorted(trajectory.touched),
        "commits": [commit.sha for commit in trajectory.work],
        "fixes": [commit.sha for commit in trajectory.fixes],
        "rework": None if trajectory.rework is None else round(trajectory.rework, 4),
        "replaced_by": None if trajectory.replaced_by is None else trajectory.replaced_by.path,
    }


def _print(place: Path, labelled: list[Labelled], met: Counter[str]) -> None:
    table(
        printable(str(place)),
        ["plan", "introduced", "date", "score", "named", "touched", "commits", "label", "reason"],
        [
            (
                printable(each.plan.path),
                each.plan.introduced.commit[:10],
                _date(each.plan.commit.when),
                each.plan.score.total,
                len(each.trajectory.targets) + len(each.trajectory.missing),
                len(each.trajectory.touched),
                len(each.trajectory.work),
                each.label.value,
                printable(each.reason),
            )
            for each in labelled
        ],
        right=["score", "named", "touched", "commits"],
    )
    labels = Counter(each.label.value for each in labelled)
    console.print(", ".join(f"{name} {count}" for name, count in labels.most_common()) or "no plan", markup=False)
    for reason, count in sorted(met.items()):
        errors.print(f"{count} x {reason}", markup=False, soft_wrap=True)


def _date(when: int) -> str:
    return datetime.fromtimestamp(min(when, 253_402_300_799), UTC).date().isoformat()
