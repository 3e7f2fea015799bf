"""Recipes of `cra synthesize --recipe`: programs or commits turned into examples of the code stage."""

import os
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

import typer
from rich.progress import Progress

from cli.collection_output import print_made
from cli.output import counted, errors, print_json, printable, table
from cli.progress import progress
from cli.stopping import stopped_by_interrupt
from exchange.programs import Commits, Programs, opened_commits, opened_programs
from host.settings import load_settings
from models.content import RepositoryContent
from models.errors import UsageError
from models.training import Pair, PairSource
from training.data.sources.collections import CollectionCard, Dropped, write_collection
from training.data.sources.infilling import infillings_of
from training.data.sources.lintseq.recipe import examples_of
from training.data.sources.recipes import BUG, Made, RecipeSettings, run_recipe

NONE_NAMED = "none named"
"""The licence that `--accept-licence` accepts, on record."""
RECIPES = (PairSource.LINTSEQ, PairSource.RANDOM_DELETION, PairSource.SEARCH_REPLACE)


@dataclass
class Totals:
    """What became of the rows (programs, commits) so far; `seconds` of work, reading included."""

    offered: int = 0
    kept: int = 0
    states: int = 0
    examples: int = 0
    dropped: Counter[str] = field(default_factory=Counter)

    def add(self, made: Made) -> None:
        """Count what came of a row."""
        self.offered += 1
        self.kept += made.kept
        self.states += made.checked
        for each in made.examples:
            self.examples += isinstance(each, Pair)
            if isinstance(each, Dropped):
                self.dropped[each.reason] += 1


def recipe_named(name: str) -> PairSource:
    """The recipe of a name. Raises UsageError."""
    found = next((each for each in RECIPES if each.value == name), None)
    if found is None:
        raise UsageError(f"--recipe {name}: there is no such recipe; known: {', '.join(RECIPES)}")
    return found


def make_collection(
    places: Sequence[Path],
    asked: RecipeSettings,
    *,
    limit: int | None,
    accepted: bool,
    jobs: int,
    as_json: bool,
) -> None:
    """Make the examples of what is at these paths, write the collection, and print what became of them.

    `accepted`: a person accepts rows without a licence. Exits with 1 if a defect of the recipe lost a row.
    """
    settings = load_settings()
    totals = Totals()
    started, cpu = time.monotonic(), cpu_seconds()
    with stopped_by_interrupt(), ExitStack() as stack:
        examples: Callable[..., Made] = examples_of
        sources: list[Programs] | list[Commits]
        if asked.recipe is PairSource.SEARCH_REPLACE:
            examples = infillings_of
            sources = [
                stack.enter_context(opened_commits(place, settings.cache_dir, settings.mining)) for place in places
            ]
        else:
            sources = [stack.enter_context(opened_programs(place, settings.cache_dir, accepted)) for place in places]
        told = _told(stack.enter_context(progress()), totals)
        made_from = {
            **asked.model_dump(mode="json"),
            "limit": limit,
            "accepted_license": NONE_NAMED if accepted else None,
            "sources": [{"name": each.name, "state": each.state} for each in sources],
        }
        contents = _contents(sources)
        offers = run_recipe(examples, _offers(sources, limit), asked, told, jobs)
        place, card = write_collection(settings.data_dir, asked.recipe, made_from, offers, contents=contents)
    spent = cpu_seconds() - cpu
    _print(place, card, totals, time.monotonic() - started, spent, as_json)
    if bugs := totals.dropped[BUG]:
        first = printable(card.examples_of_dropped[BUG])[:500]
        errors.print(f"{counted(bugs, 'row')} lost to a bug; the first: {first}", markup=False, soft_wrap=True)
        raise typer.Exit(1)


def _contents(sources: Sequence[Programs | Commits]) -> dict[str, RepositoryContent]:
    """The contents of sources by name. Raises UsageError for two of one name, of which one would hide the other."""
    found: dict[str, RepositoryContent] = {}
    for each in sources:
        if each.content is not None and found.setdefault(each.name, each.content) != each.content:
            raise UsageError(f"two sources with different code are named {each.name}; make a collection of each")
    return found


def cpu_seconds() -> float:
    """CPU time of this process and of its finished children."""
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def _offers(sources: Sequence[Programs | Commits], limit: int | None) -> Iterator[Any]:
    for source in sources:
        yield from islice(source.offers, limit)


def _told(bars: Progress, totals: Totals) -> Callable[[Made], None]:
    bar = bars.add_task("rows", total=None, note="")

    def told(made: Made) -> None:
        totals.add(made)
        bars.update(bar, advance=1, note=f"{totals.examples} examples, {totals.states} states checked")

    return told


def _print(place: Path, card: CollectionCard, totals: Totals, seconds: float, cpu: float, as_json: bool) -> None:
    rate = round(60 * totals.offered / cpu, 1) if cpu else None
    if as_json:
        print_json(
            {
                "collection": place,
                "recipe": card.source.value,
                "rows": {"offered": totals.offered, "kept": totals.kept},
                "states_checked": totals.states,
                "examples": totals.examples,
                "dropped": dict(totals.dropped.most_common()),
                "examples_of_dropped": card.examples_of_dropped,
                "licenses": card.licenses,
                "seconds": round(seconds, 1),
                "cpu_seconds": round(cpu, 1),
                "rows_per_minute_per_core": rate,
            }
        )
        return
    rows = [
        ("rows offered", totals.offered),
        ("rows kept", totals.kept),
        ("states checked", totals.states),
        ("examples", totals.examples),
        ("seconds", f"{seconds:.1f}"),
        ("rows per minute and core", rate),
    ]
    table(card.source.value, ["what", "count"], rows, right=["count"])
    if totals.dropped:
        dropped = [
            (reason, count, printable(card.examples_of_dropped.get(reason, ""))[:100])
            for reason, count in totals.dropped.most_common()
        ]
        table("Dropped", ["reason", "count", "first"], dropped, right=["count"])
    print_made(place, card, "row")
