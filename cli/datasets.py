"""`cra datasets`: public datasets as collections of training examples."""

from pathlib import Path
from typing import Annotated, Any

import typer

from cli.collection_output import print_made
from cli.options import JsonOption
from cli.output import console, counted, errors, print_json, printable, table
from cli.progress import stages
from exchange.open_datasets import Inspection, import_dataset, inspect_dataset
from host.settings import load_settings
from models.edits import EditFormat
from training.data.sources.collections import CollectionCard
from training.data.sources.open_datasets.catalogue import DATASETS, OpenDataset

app = typer.Typer(
    help="Public datasets: which are known, what a file holds, examples made of them.", no_args_is_help=True
)
FromOption = Annotated[
    Path,
    typer.Option("--from", metavar="DIR_OR_FILE", help="Parquet, JSON lines or JSON arrays; the last two also .gz."),
]
FormatOption = Annotated[EditFormat, typer.Option("--edit-format", help="How changes inside a file are written.")]


@app.command("list")
def list_(as_json: JsonOption = False) -> None:
    """List the known datasets: where they are published, their licences and terms, and what they become."""
    if as_json:
        print_json([_described(dataset) for dataset in DATASETS.values()])
        return
    rows = [
        (name, each.publisher, f"{each.rows:,}", each.license or "none named", each.becomes, "; ".join(each.terms))
        for name, each in DATASETS.items()
    ]
    table("Public datasets", ["name", "published as", "rows", "licence", "becomes", "terms"], rows, right=["rows"])


@app.command()
def inspect(
    source: FromOption,
    name: Annotated[
        str | None, typer.Argument(metavar="[NAME]", help="The dataset; unset: what it looks like.")
    ] = None,
    limit: Annotated[int, typer.Option(help="Rows that are read.", min=1)] = 1000,
    edit_format: FormatOption = EditFormat.SEARCH_REPLACE,
    as_json: JsonOption = False,
) -> None:
    """Tell which dataset a file looks like, which fields are missing or of other types, and what would be kept.

    Exits with 1 where an import would stop or nothing is known that the file looks like.
    """
    found = inspect_dataset(source, name, limit, edit_format)
    if as_json:
        print_json(_inspected(found))
    else:
        _print_inspection(found)
    if found.stopped or found.dataset is None:
        raise typer.Exit(1)


@app.command("import")
def import_(
    name: Annotated[str, typer.Argument(metavar="NAME", help="A dataset of `cra datasets list`.")],
    source: FromOption,
    limit: Annotated[int | None, typer.Option(help="Stop after so many examples.", min=1)] = None,
    accept_licence: Annotated[
        bool, typer.Option("--accept-licence", help="You have read the licence, or that there is none; it is recorded.")
    ] = False,
    edit_format: FormatOption = EditFormat.SEARCH_REPLACE,
    as_json: JsonOption = False,
) -> None:
    """Make a collection of a dataset's rows: examples of the code stage, each proven to give its file.

    Rows that do not fit the schema are counted with the reason, and over 1 % of them stop the import with the first
    three. Rows left out on purpose (another language, a bad score, an unknown licence) are counted beside them. Rows
    are read one by one, so that files may be larger than the memory.
    """
    settings = load_settings()
    with stages(f"importing {name}") as show:
        folder, card = import_dataset(
            settings.data_dir,
            name,
            source,
            limit=limit,
            accepted=accept_licence,
            edit_format=edit_format,
            show=show,
        )
    if as_json:
        print_json({"collection": folder, **card.model_dump(mode="json")})
    else:
        _print_card(folder, card)


def _described(dataset: OpenDataset) -> dict[str, Any]:
    return {
        "name": dataset.source.value,
        "publisher": dataset.publisher,
        "rows": dataset.rows,
        "license": dataset.license,
        "needs_acceptance": dataset.needs_acceptance is not None,
        "becomes": dataset.becomes,
        "terms": dataset.terms,
    }


def _inspected(found: Inspection) -> dict[str, Any]:
    return {
        "dataset": found.dataset and found.dataset.source.value,
        "files": found.files,
        "rows": found.rows,
        "kept": found.kept,
        "dropped": dict(found.dropped),
        "examples_of_dropped": found.examples,
        "stopped": found.stopped or None,
        "alike": [
            {
                "name": each.dataset.source.value,
                "rows": each.rows,
                "fitting": each.fitting,
                "faults": each.faults,
                "unknown_columns": each.unknown,
            }
            for each in found.alike
        ],
    }


def _print_inspection(found: Inspection) -> None:
    best = found.alike[0]
    if found.dataset is None:
        errors.print("looks like no known dataset; the nearest:", markup=False)
    rows = [
        (
            each.dataset.source.value,
            f"{each.fitting}/{each.rows}",
            printable(", ".join(f"{fault} ({count})" for fault, count in each.faults.items())),
            printable(", ".join(each.unknown)),
        )
        for each in (found.alike[:3] if found.dataset is None else [best])
    ]
    table("Compared with schemas", ["dataset", "rows that fit", "faults", "further columns"], rows)
    if found.dataset is None:
        return
    _print_dropped(found.dropped, found.examples)
    console.print(f"{counted(found.kept, 'row')} of {found.rows} would be kept", markup=False)
    if found.dataset.needs_acceptance:
        console.print(f"{found.dataset.publisher} {found.dataset.needs_acceptance}: --accept-licence", markup=False)
    if found.stopped:
        errors.print(f"an import stops: {printable(found.stopped)}", markup=False, soft_wrap=True)


def _print_dropped(dropped: dict[str, int], examples: dict[str, str]) -> None:
    rows = [
        (reason, count, printable(examples.get(reason, "")))
        for reason, count in sorted(dropped.items(), key=lambda each: -each[1])
    ]
    table("Not kept", ["reason", "rows", "first of them"], rows, right=["rows"])


def _print_card(folder: Path, card: CollectionCard) -> None:
    _print_dropped(card.dropped, card.examples_of_dropped)
    licenses = sorted(card.licenses.items(), key=lambda each: -each[1])
    table("Kept, by licence", ["licence", "examples"], licenses, right=["examples"])
    for term in card.terms:
        console.print(f"note: {term}", markup=False, soft_wrap=True)
    print_made(folder, card, "row")
