"""`cra bundle`: everything that an installation without a network needs, in one folder or in parts for media."""

import re
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli.options import JsonOption
from cli.output import console, counted, print_json, table, waiting
from cli.progress import byte_bars
from cli.server.connection import database_variables, read_connection
from host.settings import load_settings
from models.errors import UsageError
from models.settings import Settings

if TYPE_CHECKING:
    from training.cycle.distillation import Lack

app = typer.Typer(
    help="Everything for a machine without a network: plan a bundle, make it, verify it, restore its databases.",
    no_args_is_help=True,
)
PartsOption = Annotated[
    str | None, typer.Option("--parts", metavar="SIZE", help="The most bytes of a part, as 4GiB or 700MB.")
]
SinceOption = Annotated[
    Path | None, typer.Option("--since", metavar="BUNDLE", help="Leave out what this earlier bundle holds.")
]
ExtraOption = Annotated[
    list[str] | None,
    typer.Option("--extra", metavar="NAME", help="Extras whose wheels travel; all but cuda if left out; `none`: none."),
]
WithPythonOption = Annotated[
    bool, typer.Option("--with-python", help="Pack the Pythons of this project and of the corpus's environments.")
]
AllowDirtyOption = Annotated[bool, typer.Option("--allow-dirty", help="Pack the code with changes not committed.")]
WithoutTasksOption = Annotated[
    bool, typer.Option("--without-tasks", help="Leave the tasks of `cra solve` out of the raw database.")
]
_UNITS = {"": 1, "B": 1, **{f"{u}{s}": b**n for n, u in enumerate("KMGT", 1) for s, b in (("B", 1000), ("iB", 1024))}}
_SIZE = re.compile(r"([0-9]+(?:\.[0-9]+)?) ?([KMGT]?i?B|)")


@app.callback()
def _group() -> None:
    """Everything for a machine without a network: plan a bundle, make it, verify it."""


@app.command()
def plan(
    parts: PartsOption = None,
    since: SinceOption = None,
    extra: ExtraOption = None,
    with_python: WithPythonOption = False,
    as_json: JsonOption = False,
) -> None:
    """Show what would travel and why, what stays, and what is missing. Nothing is written or fetched."""
    from exchange.bundle.make import BundleOrder
    from exchange.bundle.plan import plan_bundle
    from exchange.bundle.wheels import EXTRAS

    order = BundleOrder(Path(), parse_size(parts), since, _extras(extra, EXTRAS), with_python)
    with waiting("reading what would travel"):
        planned = plan_bundle(_settings(), order)
    if as_json:
        print_json({
            "lines": [line._asdict() for line in planned.lines],
            "left_out": [each._asdict() for each in planned.left_out],
            "missing": planned.missing, "bytes": planned.bytes, "held": planned.held, "parts": planned.parts,
            "examples": _examples(planned.examples), "tasks": planned.tasks,
        })  # fmt: skip
        return
    rows = [(line.category, line.files, shown_size(line.bytes), line.why) for line in planned.lines]
    table("Travels", ["category", "files", "size", "why"], rows, right=("files", "size"))
    table("Stays here", ["what", "why"], planned.left_out)
    if planned.examples:
        short = [(each.kind.value, each.least - each.missing, each.least, each.missing) for each in planned.examples]
        columns = ["examples of", "there are", "at least", "missing"]
        table("The corpus lacks; no teacher is asked after the migration", columns, short, right=columns[1:])
    if planned.tasks:
        tasks = counted(planned.tasks, "task")
        line = f"{tasks} of `cra solve` would travel, with people's own texts and files; see `make --without-tasks`"
        console.print(line, markup=False, soft_wrap=True, style="yellow")
    for each in planned.missing:
        console.print(f"missing: {each}", markup=False, soft_wrap=True, style="yellow")
    held = f", of which the earlier bundle holds {shown_size(planned.held)}" if since else ""
    limit = f", in about {counted(planned.parts, 'part')}" if parts else ""
    console.print(f"about {shown_size(planned.bytes)}{held}{limit}", markup=False, soft_wrap=True)


@app.command()
def make(
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="The folder to write; it must not be there.")],
    parts: PartsOption = None,
    since: SinceOption = None,
    extra: ExtraOption = None,
    with_python: WithPythonOption = False,
    allow_dirty: AllowDirtyOption = False,
    without_tasks: WithoutTasksOption = False,
    as_json: JsonOption = False,
) -> None:
    """Write a bundle, whole or not at all; stopped or killed, the same command goes on."""
    from exchange.bundle.layout import INSTALL
    from exchange.bundle.make import BundleOrder, make_bundle
    from exchange.bundle.plan import lacking_examples
    from exchange.bundle.wheels import EXTRAS

    chosen = _extras(extra, EXTRAS)
    order = BundleOrder(out.absolute(), parse_size(parts), since, chosen, with_python, allow_dirty, without_tasks)
    settings = _settings()
    with waiting("counting the corpus's examples"):
        lacks = lacking_examples(settings)
    with byte_bars() as show:
        made = make_bundle(settings, order, show)
    manifest = made.manifest
    if as_json:
        print_json({"folder": made.folder, "id": manifest.id, "fingerprint": made.fingerprint, "bytes": made.bytes,
                    "files": len(manifest.files), "parts": manifest.parts, "base": manifest.base,
                    "installer": manifest.plain[INSTALL].sha256, "examples": _examples(lacks)})  # fmt: skip
        return
    console.print(
        f"{made.folder}: {counted(len(manifest.files), 'file')}, {shown_size(made.bytes)}, "
        f"{counted(len(manifest.parts), 'part')}\nbundle {manifest.id}\nkey {made.fingerprint}\n"
        f"install.py {manifest.plain[INSTALL].sha256}\n"
        "note the key's fingerprint and the hash of install.py apart from the bundle; there they are compared\n"
        "there: python3 -I install.py --prefix PREFIX --fingerprint FINGERPRINT",
        markup=False,
        soft_wrap=True,
    )
    for each in lacks:
        line = f"missing: {each.missing} examples of {each.kind.value}, of {each.least} at least; `cra distill plan`"
        console.print(line, markup=False, soft_wrap=True, style="yellow")


@app.command()
def verify(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="A bundle, or one part of it.")],
    key: Annotated[
        Path | None, typer.Option("--key", metavar="FILE", help="The public key that you trust; else the bundle's own.")
    ] = None,
    base: Annotated[
        Path | None, typer.Option("--base", metavar="BUNDLE", help="The earlier bundle, for a differential.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Check a bundle before anything is unpacked: signature, every byte, nothing beyond. Ends at the first fault."""
    from exchange.bundle.verify import verify_bundle

    with byte_bars() as show:
        found = verify_bundle(folder, show, key=key, base=base)
    manifest = found.manifest
    if as_json:
        print_json({"folder": folder, "id": manifest.id, "fingerprint": found.fingerprint, "parts": found.parts,
                    "missing": found.missing, "files": found.whole, "elsewhere": found.elsewhere,
                    "bytes": found.bytes, "base": manifest.base, "from_base": found.from_base})  # fmt: skip
        return
    lines = [
        f"{folder}: intact, {shown_size(found.bytes)} read, {counted(found.whole, 'file')} in whole",
        f"bundle {manifest.id}",
        f"key {found.fingerprint}" + ("" if key else " (the bundle's own: compare it with the one that you were told)"),
    ]
    if found.missing:
        names = ", ".join(f"part-{number:04d}" for number in found.missing)
        lines.append(f"not here: {names}; {counted(found.elsewhere, 'file')} need other parts or the earlier bundle")
    if manifest.base and base is None:
        lines.append(f"bundle {manifest.base} must hold {counted(found.from_base, 'chunk')} of it; --base checks both")
    console.print("\n".join(lines), markup=False, soft_wrap=True)


@app.command()
def restore(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="PREFIX/current/databases of an installation.")],
    as_json: JsonOption = False,
) -> None:
    """Restore a bundle's dumps into the empty PostgreSQL databases of the settings; killed, the same command goes on.

    CRA_RAW_DATABASE and CRA_CURATED_DATABASE name the databases, which are made if they are not there. One that is not
    empty is refused before anything is changed. A bundle of SQLite databases needs no restoring.
    """
    from exchange.bundle.restore import restore_dumps

    with waiting("restoring the dumps"):
        restored = restore_dumps(load_settings(), folder)
    if as_json:
        print_json([each._asdict() for each in restored])
        return
    for each in restored:
        done = "was restored before into" if each.before else "restored into"
        console.print(f"{each.dump.name}: {done} {each.database}", markup=False, soft_wrap=True)


@app.command()
def register(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="PREFIX/current/registry of an installation.")],
    check: Annotated[bool, typer.Option("--check", help="Only compare names; change nothing.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Make a later bundle's new bases and adapters known to the databases here; the installer does so by itself.

    What is there stays as it is, and none of them serves before it is promoted. A name that is taken by other weights
    is refused before anything is changed.
    """
    from exchange.bundle.registry import register as register_bundle

    found = register_bundle(_settings(), folder, check_only=check)
    if as_json:
        print_json(found._asdict())
        return
    console.print("no curated database is here; restore or install one first" if found.absent else
                  f"{'new' if check else 'registered'}: {', '.join([*found.bases, *found.adapters]) or 'nothing'}",
                  markup=False, soft_wrap=True)  # fmt: skip
    for line in found.held_out:
        console.print(line, markup=False, soft_wrap=True, style="yellow")


def _settings() -> Settings:
    """The settings, with the databases of the server that `cra up` made where they name none."""
    settings = load_settings()
    connection = read_connection(settings)
    named = {} if connection is None else database_variables(settings, connection)
    return settings.model_copy(update={name.removeprefix("CRA_").lower(): url for name, url in named.items()})


def parse_size(text: str | None) -> int | None:
    """Bytes of a size as 4GiB, 700MB or 1048576. Raises UsageError."""
    if text is None:
        return None
    match = _SIZE.fullmatch(text)
    if match is None or match[2] not in _UNITS:
        raise UsageError(f"--parts {text}: give a size as 4GiB, 700MB or 1048576")
    return int(float(match[1]) * _UNITS[match[2]])


def shown_size(size: int) -> str:
    """Bytes for people, in binary units."""
    value, unit = float(size), "B"
    for unit in ("B", "KiB", "MiB", "GiB", "TiB"):
        if value < 1024 or unit == "TiB":
            break
        value /= 1024
    return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"


def _examples(lacks: "Iterable[Lack]") -> dict[str, int]:
    """How many examples are missing of each kind."""
    return {each.kind.value: each.missing for each in lacks}


def _extras(given: list[str] | None, usual: tuple[str, ...]) -> tuple[str, ...]:
    return usual if given is None else tuple(name for name in given if name != "none")
