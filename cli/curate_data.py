"""`cra curate-data`: a dataset of one stage from the runs on record."""

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

import typer

from cli.options import CountingBaseOption, parse_names
from cli.output import console, errors, print_json, table
from host.settings import load_settings
from models.curation_settings import CurationRequest
from models.errors import UsageError
from models.targets import TrainingTarget
from models.training import PairSource
from store.database import open_database
from store.runs import open_raw_store
from training.data.curation import Curated, curate
from training.data.curation.blending import read_mix
from training.data.curation.card import mixed_cells


def curate_data(
    stage: Annotated[TrainingTarget, typer.Option("--stage", help="What is to be trained; planning: all plan stages.")],
    plan: Annotated[str | None, typer.Option("--plan", metavar="ID", help="A plan of `cra train-plan`.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would be kept, and write nothing.")] = False,
    campaign: Annotated[
        list[str] | None, typer.Option("--campaign", metavar="NAME", help="Only its runs are new; repeat for several.")
    ] = None,
    sources: Annotated[
        str | None, typer.Option("--sources", metavar="NAME,...", help=f"Only pairs of these: {', '.join(PairSource)}.")
    ] = None,
    mix: Annotated[
        Path | None, typer.Option("--mix", metavar="FILE", help="Sources with shares, caps and order, as TOML.")
    ] = None,
    base: CountingBaseOption = None,
    max_prompt_tokens: Annotated[
        int | None, typer.Option(help="Leave out longer prompts; the stage's window if unset.", min=1)
    ] = None,
    limit: Annotated[int | None, typer.Option(help="Examples, and preferences, at most.", min=1)] = None,
    min_organisations: Annotated[
        int | None,
        typer.Option(help="Go past the rule on organisations, and on domains with it; the card says so.", min=1),
    ] = None,
    max_domain_share: Annotated[
        float | None, typer.Option(help="Go past the rule on domains; the card says so.", min=0.0, max=1.0)
    ] = None,
    whole_pool: Annotated[
        bool, typer.Option("--whole-pool", help="Take all earlier examples, not a replay of some.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the card as JSON.")] = False,
) -> None:
    """Make a versioned dataset of what runs have shown: examples, preferences, a card.

    The same runs and settings give the same dataset. What is dropped on the way is counted, with the reason.
    """
    settings = load_settings()
    if mix is not None and sources is not None:
        raise UsageError("--mix and --sources both say which examples are used; give one of them")
    mixed = read_mix(mix) if mix is not None else None
    curation = settings.curation
    if mixed is not None and mixed.replay is not None:
        curation = curation.model_copy(update={"replay": mixed.replay})
    request = CurationRequest(
        target=stage,
        data_dir=str(settings.data_dir),
        settings=curation,
        campaigns=tuple(campaign or ()),
        sources=parse_names(sources, PairSource, "--sources") if sources is not None else (),
        mix=mixed,
        base=base,
        plan=plan,
        windows=settings.models.windows,
        max_prompt_tokens=max_prompt_tokens,
        limit=limit,
        min_organisations=min_organisations,
        max_domain_share=max_domain_share,
        whole_pool=whole_pool,
        dry_run=dry_run,
    )

    with errors.status("curating") as status:
        made = curate(
            open_raw_store(settings.raw_url),
            open_database(settings.curated_url, "curated"),
            request,
            lambda step: status.update(step),
        )
    if as_json:
        print_json({"directory": made.dataset_dir, "refused": made.refused and str(made.refused), "card": made.card})
    else:
        _print(made)


def _print(made: Curated) -> None:
    card = made.card
    for name, funnel in (("examples", card.funnel), ("preferences", card.preference_funnel)):
        _print_funnel(f"{card.target.value}: {name}", funnel)
    if card.mixed:
        columns = ["source", "offered", "kept", "tokens", "licences", "why not"]
        table("Sources of the mix", columns, [mixed_cells(row) for row in card.mixed], right=columns[1:4])
    sources = ", ".join(f"{count} {name}" for name, count in card.sources.items()) or "nothing"
    counts = card.examples
    rows: list[tuple[str, object]] = [
        ("examples", f"{counts['sft']} ({counts['train']} train, {counts['validation']} validation)"),
        ("preferences", counts["dpo"]),
        *([("comparisons for a critic", counts["critic"])] if "critic" in counts else []),
        ("sources", sources),
        ("repositories", ", ".join(f"{name} {count}" for name, count in card.repositories.items())),
        ("tokens", f"{card.tokens['total']} in all, longest {card.tokens['longest']}, by {card.config['counter']}"),
        ("rounds", f"{card.rounds.new} new, {card.rounds.replayed} replayed of {card.rounds.pool} earlier"),
    ]
    if card.classes:
        rows.append(("classes", ", ".join(f"{name} {count}" for name, count in card.classes.items())))
    table("Dataset", ["", ""], rows)
    if made.refused is not None:
        console.print(f"this would be refused: {made.refused}", markup=False, soft_wrap=True)
    if made.dataset_dir is None:
        console.print("dry run: nothing was written")
    else:
        console.print(f"{made.dataset_dir}\nid {card.id}", markup=False, soft_wrap=True)
        base = card.config["base"] or "NAME"
        console.print(f"next: cra train {card.target.value} --base {base}", markup=False)


def _print_funnel(title: str, funnel: Iterable[tuple[str, int, int]]) -> None:
    """The steps at which something was dropped, between the first and the last."""
    rows = list(funnel)
    before = [0, *(kept for _, kept, _ in rows)]
    shown = [row for i, row in enumerate(rows) if row[2] or row[1] > before[i] or i == len(rows) - 1]
    cells = [(name, kept, dropped or "") for name, kept, dropped in shown]
    table(title, ["step", "kept", "dropped"], cells, right=["kept", "dropped"])
