"""The recipe `positions` of `cra synthesize`: questions about code whose answer may lie anywhere in a context."""

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path

from pydantic import ValidationError

from cli.collection_output import print_made
from cli.output import print_json, printable, table
from cli.progress import progress
from cli.stopping import stopped_by_interrupt
from exchange.position_sources import opened_positions
from host.settings import load_settings
from models.content import RepositoryContent
from models.errors import UsageError
from models.training import PairSource
from training.data.sources.collections import CollectionCard, Offered, write_collection
from training.data.sources.positions.recipe import KINDS, PositionSettings, PositionSource

NAME = "positions"


def position_settings(
    *, seed: int, examples: int | None, shares: str | None, context: str | None, stage: str | None
) -> PositionSettings:
    """The settings of the options. Raises UsageError for what cannot be read or asked."""
    given: dict[str, object] = {"seed": seed}
    if examples is not None:
        given["examples"] = examples
    if stage is not None:
        given["stage"] = stage
    for part in (shares or "").split(",") if shares else ():
        name, _, share = part.partition("=")
        if name.strip() not in KINDS:
            raise UsageError(f"--shares {shares!r}: give single=, several= and short=, each with a number")
        given[name.strip()] = share
    if context is not None:
        given["shortest"], _, longest = context.partition("-")
        given["longest"] = longest or given["shortest"]
    try:
        return PositionSettings.model_validate(given)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(each) for each in first["loc"])
        options = {"shortest": "--context-tokens", "longest": "--context-tokens", "stage": "--stages"}
        raise UsageError(f"{options.get(place, '--shares')}: {place + ': ' if place else ''}{first['msg']}") from error


def make_positions(places: Sequence[Path], asked: PositionSettings, *, as_json: bool) -> None:
    """Make the examples of the repositories at these paths, write the collection, and print what became of them."""
    settings = load_settings()
    contents: dict[str, RepositoryContent] = {}
    states: list[dict[str, str]] = []
    kinds: Counter[str] = Counter()
    # complete after the last row
    made_from: dict[str, object] = {"recipe": NAME, **asked.model_dump(mode="json"), "sources": states}
    with stopped_by_interrupt(), ExitStack() as stack:
        bars = stack.enter_context(progress())
        bar = bars.add_task("repositories", total=len(places), note="")

        def offers() -> Iterator[Sequence[Offered]]:
            for place in places:
                with opened_positions(place, settings.cache_dir, asked.segment_tokens) as (source, content):
                    _add(source, content, contents, states)
                    yield from source.offers(asked, kinds)
                made_from["kinds"] = {kind: kinds[kind] for kind in KINDS}
                bars.update(bar, advance=1, note=source.origin.name)

        place, card = write_collection(settings.data_dir, PairSource.POSITION, made_from, offers(), contents=contents)
    _print(place, card, as_json)


def _add(
    source: PositionSource,
    content: RepositoryContent,
    contents: dict[str, RepositoryContent],
    states: list[dict[str, str]],
) -> None:
    name = source.origin.name
    if name in contents:
        raise UsageError(f"two sources are named {name}; give each repository once")
    contents[name] = content
    states.append({"name": name, "state": source.origin.state})


def _print(place: Path, card: CollectionCard, as_json: bool) -> None:
    if as_json:
        print_json(
            {
                "collection": place,
                "recipe": NAME,
                "offered": card.offered,
                "examples": card.pairs,
                "kinds": card.made_from["kinds"],
                "dropped": card.dropped,
                "examples_of_dropped": card.examples_of_dropped,
                "licenses": card.licenses,
                "repositories": card.repositories,
            }
        )
        return
    rows = [
        (reason, count, printable(card.examples_of_dropped.get(reason, ""))[:100])
        for reason, count in sorted(card.dropped.items(), key=lambda each: -each[1])
    ]
    made = [(f"examples, {kind}", count) for kind, count in card.made_from["kinds"].items()]
    counts = [("examples", card.pairs), *made, ("repositories", card.repositories)]
    table("positions", ["what", "count"], counts, right=["count"])
    if rows:
        table("Dropped", ["reason", "count", "first"], rows, right=["count"])
    print_made(place, card, "row", str(card.made_from["stage"]))
