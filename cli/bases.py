"""`cra bases`: the frozen models that adapters are trained on."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from training.bases import Base

app = typer.Typer(help="The frozen models that adapters are trained on.", no_args_is_help=True)


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
    role: Annotated[str | None, typer.Option("--role", help="reasoning or coding; any if left out.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Copy a base from local files, by the hash of its content. Nothing is downloaded, and no code of it is run."""
    from contextlib import nullcontext

    from cli.output import console, errors, print_json
    from models.database import open_database
    from models.errors import UsageError
    from models.settings import load_settings
    from training.bases import add_base

    if role not in (None, "reasoning", "coding"):
        raise UsageError(f"role {role!r}: reasoning or coding")
    settings = load_settings()
    wait = errors.status(f"adding {path}") if errors.is_terminal else nullcontext()
    with wait:
        engine = open_database(settings.curated_url, "curated")
        base = add_base(engine, settings.data_dir, path, name, role=role, gguf=gguf)  # type: ignore[arg-type]
    if as_json:
        print_json(_shown(base))
        return
    console.print(
        f"{base.name} {base.id[:12]}: {base.facts['architecture']}, {base.facts['parameters'] / 1e6:.1f} M parameters, "
        f"{base.facts['dtype']}, ends a turn with {base.facts['eos']}\n{base.path}",
        markup=False,
        soft_wrap=True,
    )


@app.command("list")
def list_(
    verify: Annotated[bool, typer.Option("--verify", help="Read every file and compare its hash.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Show the bases. With --verify exits with 1 at the first that is damaged."""
    from cli.output import print_json, table
    from models.database import open_database
    from models.settings import load_settings
    from training.bases import list_bases, verify_base

    bases = list_bases(open_database(load_settings().curated_url, "curated"))
    if verify:
        for base in bases:
            verify_base(base, full=True)
    if as_json:
        print_json([_shown(base) for base in bases])
        return
    rows = [
        (
            base.name,
            base.id[:12],
            base.role or "any",
            base.facts["architecture"],
            f"{base.facts['parameters'] / 1e6:.1f} M",
            base.facts["dtype"],
            base.facts["window"],
            base.facts["eos"],
        )
        for base in bases
    ]
    columns = ["name", "id", "role", "architecture", "parameters", "dtype", "window", "ends a turn"]
    table("Bases", columns, rows, right=["parameters", "window"])


def _shown(base: "Base") -> dict[str, Any]:
    return base._asdict()
