"""`cra bases`: the frozen models that adapters are trained on."""

from pathlib import Path
from typing import Annotated, Any

import typer

from cli.bases_plan import plan
from cli.flow_context import flow_context
from cli.options import JsonOption
from cli.output import console, counted, errors, print_json, table, waiting
from host.settings import load_settings
from models.targets import Role
from store.database import open_database
from training.adapters.registry import Registry
from training.bases.bases import Base, add_base, list_bases, verify_base

app = typer.Typer(help="The frozen models that adapters are trained on.", no_args_is_help=True)
app.command()(plan)


@app.callback()
def _group() -> None:
    """The frozen models that adapters are trained on."""


@app.command()
def add(
    path: Annotated[
        Path, typer.Argument(metavar="PATH", help="A directory in Hugging Face layout; with --gguf a file.")
    ],
    name: Annotated[str, typer.Option("--name", help="What to call it.")],
    gguf: Annotated[
        bool, typer.Option("--gguf", help="PATH is a GGUF file, or `embedded` for the embedded model's; convert it.")
    ] = False,
    role: Annotated[Role | None, typer.Option("--role", help="reasoning or coding; any if left out.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Copy a base from local files, by the hash of its content. Nothing is downloaded, and no code of it is run."""
    settings = load_settings()
    with waiting(f"adding {path}: copied and hashed{', converted first' if gguf else ''}"):
        engine = open_database(settings.curated_url, "curated")
        base = add_base(engine, settings.data_dir, path, name, role=role, gguf=gguf)
    if as_json:
        print_json(_shown(base))
        return
    console.print(
        f"{base.name} {base.id[:12]}: {base.facts['architecture']}, {base.facts['parameters'] / 1e6:.1f} M parameters, "
        f"{base.facts['dtype']}, ends a turn with {base.facts['eos']}\n{base.path}",
        markup=False,
        soft_wrap=True,
    )


@app.command()
def tune(
    role: Annotated[Role, typer.Argument(metavar="ROLE", help="reasoning or coding: whose base it becomes.")],
    base: Annotated[str, typer.Option("--base", metavar="NAME", help="The base to start from.")],
    dataset: Annotated[Path, typer.Option("--dataset", metavar="DIR", help="A curated dataset.")],
    as_json: JsonOption = False,
) -> None:
    """Fine-tune all parameters of a base, and record what comes of it as ROLE-base-vN.

    Adapters of older bases of the role cannot be promoted from then on; `cra bases adopt` takes them out of service.
    """
    with flow_context():
        from flows.tune import tune as tune_flow

        tuned = tune_flow(role, base, dataset.resolve())
    if as_json:
        print_json(_shown(tuned))
    else:
        console.print(f"{tuned.name} {tuned.id[:12]}\n{tuned.path}", markup=False, soft_wrap=True)


@app.command()
def adopt(
    name: Annotated[str, typer.Argument(metavar="NAME", help="The base that is served from now on.")],
    reason: Annotated[str, typer.Option("--reason", help="Kept in the log.")],
    role: Annotated[
        Role | None,
        typer.Option("--role", help="reasoning or coding; the base's own if left out, both if it has none."),
    ] = None,
) -> None:
    """Take a base into use: adapters of other bases of its role stop serving. Nothing is deleted."""
    settings = load_settings()
    registry = Registry(open_database(settings.curated_url, "curated"), settings.data_dir)
    stopped = registry.adopt_base(name, reason, role)
    names = ", ".join(version.name for version in stopped) or "no adapter"
    console.print(f"{names} stopped serving", markup=False)


@app.command("list")
def list_(
    verify: Annotated[bool, typer.Option("--verify", help="Read every file and compare its hash.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Show the bases. With --verify exits with 1 at the first that is damaged."""
    bases = list_bases(open_database(load_settings().curated_url, "curated"))
    if verify:
        for base in bases:
            verify_base(base, full=True)
        errors.print(f"{counted(len(bases), 'base')} read in full and intact")
    if as_json:
        print_json([_shown(base) for base in bases])
        return
    rows = [
        (
            base.name,
            base.id[:12],
            base.role or "any",
            "tuned here" if base.version else "",
            base.facts["architecture"],
            f"{base.facts['parameters'] / 1e6:.1f} M",
            base.facts["dtype"],
            base.facts["window"],
            base.facts["eos"],
        )
        for base in bases
    ]
    columns = ["name", "id", "role", "made", "architecture", "parameters", "dtype", "window", "ends a turn"]
    table("Bases", columns, rows, right=["parameters", "window"])


def _shown(base: Base) -> dict[str, Any]:
    return base._asdict()
