"""`cra review`: plans for a person to read, and the verdicts on them."""

import getpass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli.options import JsonOption
from cli.output import console, counted, errors, print_json, printable, spinner, table
from host.regular import read_regular
from host.settings import load_settings
from models.errors import UsageError
from models.plan_reviews import MOST_NOTE, GivenReviews, PlanReview, ReviewVerdict, parse_plan_name
from store.database import reading
from store.runs import RawStore, open_raw_store
from store.runs.plan_reviews import GivenVerdict, add_reviews, campaign_reviews, count_reviews

if TYPE_CHECKING:
    from evals.plan_samples import PlanSample

app = typer.Typer(help="Plans for a person to read, and the verdicts on them.", no_args_is_help=True)
_MOST_BYTES = 64 * 2**20
"""Of a file of verdicts."""
ReviewerOption = Annotated[
    str | None, typer.Option("--by", metavar="NAME", help="Who read it; unset: the name of the user of this machine.")
]


@app.callback()
def _group() -> None:
    """Plans for a person to read, and the verdicts on them."""


@app.command()
def planning(
    campaign: Annotated[str, typer.Argument(help="A campaign's label.")],
    out: Annotated[Path, typer.Option("--out", metavar="FILE", help="Where the page goes.", dir_okay=False)],
    count: Annotated[int, typer.Option(help="Plans of each type at most: meta, step and test.", min=1, max=500)] = 15,
    seed: Annotated[int, typer.Option(help="Of the sample; the same seed gives the same plans.")] = 0,
    planner: Annotated[str | None, typer.Option("--planner", help="Only plans of this planner.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Write a page with a sample of a campaign's plans: prompt, reasoning, plan, and what came of it.

    The sample takes planners, outcomes and repositories in turn. Verdicts go into the database by `cra review record`,
    or all at once by the file that the page saves and `cra review read` takes.
    """
    from cli.pages.render import write_page
    from cli.pages.review import review_page

    store = open_raw_store(load_settings().raw_url)
    with spinner("drawing"):
        samples = _samples(store, campaign, planner, count, seed)
    if not samples:
        of = f" of planner {planner}" if planner else ""
        raise UsageError(f"campaign {campaign!r} has no plan{of} in a closed trajectory; there is nothing to read yet")
    write_page(out, review_page(campaign, samples, seed))
    if as_json:
        print_json({"page": out, "samples": [each.model_dump(mode="json", exclude={"prompt"}) for each in samples]})
        return
    kinds = [f"{sum(each.type == kind for each in samples)} {kind}" for kind in dict.fromkeys(x.type for x in samples)]
    console.print(f"{out} holds {counted(len(samples), 'plan')}: {', '.join(kinds)}", markup=False, soft_wrap=True)
    console.print("[dim]next: open it, read, save the verdicts, and `cra review read verdicts.json`[/]")


@app.command()
def record(
    sample: Annotated[str, typer.Argument(help="A plan's name, as the page shows it.")],
    verdict: Annotated[ReviewVerdict, typer.Argument(help="good, fine or bad.")],
    note: Annotated[str, typer.Option("--note", help="Why.")] = "",
    by: ReviewerOption = None,
) -> None:
    """Keep a person's verdict on a plan. Of several on one plan the last counts; none is deleted."""
    if len(note) > MOST_NOTE:
        raise UsageError(f"--note has {len(note)} characters; {MOST_NOTE} are kept at most")
    given = GivenVerdict(parse_plan_name(sample), verdict, note)
    kept = add_reviews(open_raw_store(load_settings().raw_url).engine, [given], by or _user())
    console.print(f"{sample}: {verdict.value}{'' if kept else ', as it was'}", markup=False)


@app.command()
def read(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="What a page saved.", exists=True, dir_okay=False)],
    by: ReviewerOption = None,
    as_json: JsonOption = False,
) -> None:
    """Keep the verdicts that a page saved, all or none. What is known already is not kept twice."""
    given = _given(file)
    named = [GivenVerdict(parse_plan_name(each.sample), each.verdict, each.note) for each in given.reviews]
    kept = add_reviews(open_raw_store(load_settings().raw_url).engine, named, by or _user())
    if as_json:
        print_json({"reviews": len(named), "kept": kept})
        return
    console.print(f"{counted(kept, 'verdict')} kept, {len(named) - kept} known before", markup=False)


@app.command("list")
def list_(campaign: Annotated[str, typer.Argument(help="A campaign's label.")], as_json: JsonOption = False) -> None:
    """The verdicts on a campaign's plans: how many of each, and each with its note."""
    store = open_raw_store(load_settings().raw_url)
    found = campaign_reviews(store.engine, store.report(campaign).campaign_id)
    if as_json:
        print_json({"counts": count_reviews(found), "reviews": found})
        return
    print_counts(campaign, found)
    table(
        "Verdicts",
        ["plan", "type", "planner", "model", "verdict", "note", "by"],
        [
            (str(x.name), x.type.value, x.planner, *map(printable, (x.model, x.verdict.value, x.note, x.reviewer)))
            for x in found
        ],
    )


def print_counts(campaign: str, reviews: list[PlanReview]) -> None:
    """How many plans a person has judged, by planner and type."""
    if not reviews:
        name = printable(campaign)
        errors.print(f"no plan of it was read by a person: cra review planning {name} --out plans.html", markup=False)
        return
    verdicts = [each.value for each in ReviewVerdict]
    rows = [
        (planner, kind, sum(counts.values()), *(counts[each] for each in verdicts))
        for planner, kinds in count_reviews(reviews).items()
        for kind, counts in kinds.items()
    ]
    table("Plans read by a person", ["planner", "type", "read", *verdicts], rows, right=["read", *verdicts])


def _samples(store: RawStore, campaign: str, planner: str | None, count: int, seed: int) -> "list[PlanSample]":
    from evals.plan_samples import draw, sample_of
    from store.runs.plan_runs import plan_runs

    with reading(store.engine) as connection:
        drawn = draw(plan_runs(connection, campaign, planner), count, seed)
    known = {str(each.name): each for each in campaign_reviews(store.engine, store.report(campaign).campaign_id)}
    return [sample_of(store, each, known.get(str(each.name))) for each in drawn]


def _given(file: Path) -> GivenReviews:
    """The verdicts in a file. Raises UsageError for a file that is none of a page's."""
    from pydantic import ValidationError

    data = read_regular(file, _MOST_BYTES)
    if data is None:
        raise UsageError(
            f"{file} cannot be read, or has more than {_MOST_BYTES // 2**20} MiB; save it from the page again"
        )
    try:
        return GivenReviews.model_validate_json(data)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "the file"
        raise UsageError(f"{file}: {where}: {first['msg']}; give the file that the page saved") from error


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError) as error:  # no user database, no variable: by Python's version
        raise UsageError("this machine does not say who you are; give --by NAME") from error
