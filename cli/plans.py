"""`cra plans`: plans that people followed, found in histories."""

from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from cli.collection_output import print_made
from cli.options import JsonOption
from cli.output import console, errors, print_json, printable, table
from cli.progress import progress
from host.settings import load_settings
from models.content import RepositoryContent
from models.errors import RepositoryError
from models.training import PairSource
from repos.clones import cached_clone
from repos.index import IndexCache
from training.data.sources.collections import UNREADABLE, Dropped, Offered, write_collection
from training.data.sources.plan_artifacts.history import History
from training.data.sources.plan_artifacts.labels import Label, Labelled, label_all
from training.data.sources.plan_artifacts.pairs import RECIPE, Collector
from training.data.sources.repository_origin import origin_of_clone

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
    described: list[dict[str, Any]] = []
    unreadable: list[RepositoryError] = []
    with progress() as bars:
        bar = bars.add_task("reading histories", total=len(places), note="")
        for place in places:
            bars.update(bar, note=str(place))
            bars.advance(bar)
            try:
                with cached_clone(place, cache) as git:
                    labelled, found = label_all(History(git))
            except RepositoryError as error:
                unreadable.append(error)
                _not_read(place, error, described, as_json)
                continue
            shown = [each for each in labelled if not only or each.label in only]
            if as_json:
                described.append(_described(place, shown, found.met))
            else:
                _print(place, shown, found.met)
    if len(unreadable) == len(places):
        raise unreadable[0]
    if as_json:
        print_json(described)


@app.command()
def collect(
    places: PlacesArgument,
    as_json: JsonOption = False,
) -> None:
    """Make a collection of training pairs from plans that people followed, for a mix of `cra curate-data`.

    A good or fine plan gives a pair for the parts and one for the steps of each part that can be placed; a bad plan
    that another replaced gives a preference. The context is that of the commit before the plan. What gives nothing is
    counted with its reason.
    """
    settings = load_settings()
    cache = IndexCache(settings.cache_dir / "index")
    heads: dict[str, str] = {}
    contents: dict[str, RepositoryContent] = {}
    with progress() as bars:
        bar = bars.add_task("collecting plans", total=len(places), note="")

        def offers() -> Iterator[list[Offered]]:
            for place in places:
                bars.update(bar, note=str(place))
                try:
                    with cached_clone(place, settings.cache_dir) as git:
                        history, origin = History(git), origin_of_clone(git, place)
                        heads[origin.name] = history.head
                        contents[origin.name] = origin.content
                        yield from Collector(history, origin, cache).offers(label_all(history)[0])
                except RepositoryError as error:
                    yield [Dropped(UNREADABLE, str(error))]
                bars.advance(bar)

        made_from = {"recipe": RECIPE, "repositories": heads}
        folder, card = write_collection(
            settings.data_dir, PairSource.PLAN_ARTIFACTS, made_from, offers(), contents=contents
        )
    if as_json:
        print_json({"collection": folder, **card.model_dump(mode="json")})
        return
    rows = [(reason, count, printable(card.examples_of_dropped[reason])) for reason, count in card.dropped.items()]
    table("Not kept", ["reason", "count", "first"], rows, right=["count"])
    print_made(folder, card, "plan", "planning")


def _not_read(place: Path, error: RepositoryError, described: list[dict[str, Any]], as_json: bool) -> None:
    if as_json:
        described.append({"path": place, "plans": [], "met": {UNREADABLE: 1}, "error": str(error)})
    else:
        errors.print(f"{UNREADABLE}: {error}", markup=False, soft_wrap=True)


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
