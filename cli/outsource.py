"""`cra outsource`: a training that another machine does."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from cli.options import JsonOption
from cli.output import console, counted, print_json, waiting
from host.settings import load_settings
from models.targets import Role
from training.fit.recipe import TrainingBackend

app = typer.Typer(
    help="Train on another machine: pack a folder, verify it, accept what comes back.", no_args_is_help=True
)
FolderArgument = Annotated[Path, typer.Argument(metavar="DIR", help="A packed or returned folder.")]


@app.callback()
def _group() -> None:
    """Train on another machine: pack a folder, verify it, accept what comes back."""


@app.command()
def pack(
    dataset: Annotated[Path, typer.Argument(metavar="DATASET", help="The directory of a curated dataset.")],
    base: Annotated[str, typer.Option("--base", metavar="NAME", help="A base of `cra bases list`.")],
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="The folder to write; it must not be there.")],
    method: Annotated[
        Literal["sft", "dpo", "full"], typer.Option("--method", help="sft or dpo: an adapter; full: the whole base.")
    ] = "sft",
    backend: Annotated[
        TrainingBackend,
        typer.Option("--backend", help="What trains there; trl-cpu needs no GPU."),
    ] = "trl-gpu",
    role: Annotated[
        Role | None, typer.Option("--role", help="Whose base comes of a full fine-tune; the base's own if left out.")
    ] = None,
    wheels: Annotated[
        bool, typer.Option("--wheels", help="Fetch all wheels into the folder, so that it needs no network there.")
    ] = False,
    without_base: Annotated[
        bool, typer.Option("--without-base", help="Leave out the base's files; it is known there by their hashes.")
    ] = False,
    form: Annotated[
        Literal["cra", "llamafactory"], typer.Option("--format", help="llamafactory: its data and YAML as well.")
    ] = "cra",
    override: Annotated[
        str | None, typer.Option("--override", metavar="REASON", help="Go past the order of tiers, on record.")
    ] = None,
    accept_licence: Annotated[
        bool,
        typer.Option("--accept-licence", help="You have read licences that are unknown or restricting."),
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Write one folder with code, lock, data, questions without answers, base and recipe, and sign its manifest."""
    from exchange.outsource.packing import PackOrder
    from exchange.outsource.packing import pack as pack_folder
    from training.cycle.context import open_context

    order = PackOrder(
        dataset=dataset.resolve(),
        base=base,
        out=out.resolve(),
        method=method,
        backend=backend,
        role=role,
        wheels=wheels,
        with_base=not without_base,
        format=form,
        override=override,
        accept_licence=accept_licence,
    )
    with waiting(f"packing {dataset}{' and fetching wheels' if wheels else ''}"):
        done = pack_folder(open_context(load_settings()), order)
    manifest = done.manifest
    if as_json:
        print_json({"folder": done.folder, "id": manifest.id, "job": manifest.job, "notes": done.notes,
                    "needs": manifest.needs, "files": len(manifest.files)})  # fmt: skip
        return
    for note in done.notes:
        console.print(note, markup=False, soft_wrap=True, style="yellow")
    console.print(
        f"{done.folder}: {counted(len(manifest.files), 'file')}\npack {manifest.id}\n"
        f"there: python3 -I run.py --dry-run --id {manifest.id}",
        markup=False,
        soft_wrap=True,
    )


@app.command()
def verify(folder: FolderArgument, as_json: JsonOption = False) -> None:
    """Check a folder's signature and every file, and that nothing else is in it. Ends at the first fault."""
    from exchange.outsource.verifying import is_returned, unread, verify_pack, verify_returned
    from training.cycle.context import open_context

    context = open_context(load_settings())
    with waiting(f"reading {folder}"):
        if is_returned(folder):
            manifest, kind = verify_returned(context, folder), "returned"
        else:
            manifest, kind = verify_pack(folder, context.registry.keys), "packed"
    left_out = unread(folder) if kind == "packed" else []
    if as_json:
        print_json({"folder": folder, "kind": kind, "pack": manifest.id, "job": manifest.job, "unread": left_out})
    else:
        console.print(f"{folder}: {kind}, intact, pack {manifest.id}", markup=False, soft_wrap=True)
        for name in left_out:
            console.print(f"{name}/ is no part of the pack and was not read", markup=False, soft_wrap=True)


@app.command()
def accept(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="The folder `returned` that came back.")],
    dataset: Annotated[
        Path | None, typer.Option("--dataset", metavar="DIR", help="The packed dataset, if it was moved.")
    ] = None,
    sample: Annotated[
        int, typer.Option("--sample", min=8, help="Rows and questions to compute again, drawn at random.")
    ] = 8,
    as_json: JsonOption = False,
) -> None:
    """Check what came back, compute a sample again, and register it as a candidate. Nothing serves by this."""
    from exchange.outsource.accepting import accept as accept_folder
    from training.cycle.context import open_context

    with waiting(f"checking {folder}, and computing a sample of it again"):
        done = accept_folder(
            open_context(load_settings()), folder, dataset=dataset and dataset.resolve(), sample=sample
        )
    if as_json:
        print_json(done)
        return
    agreed = done.agreement
    asked = f"; {counted(agreed.questions, 'question')}: {agreed.differing} with other scores"
    console.print(
        f"{done.name} {done.id[:12]}, of pack {done.pack[:12]}\n"
        f"{counted(agreed.rows, 'row')} computed again: losses at most {agreed.loss:.4f} nats apart"
        f"{asked if agreed.questions else ''}\n{done.folder}",
        markup=False,
        soft_wrap=True,
    )
