"""`cra export` and `cra import`: instances in the field's interchange format."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from harness.packages.package import RepoPackage


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(export)
    app.command("import")(import_)


def export(
    what: Annotated[str, typer.Argument(metavar="CAMPAIGN_OR_PACKAGE", help="A campaign's label or a repo package.")],
    format: Annotated[str, typer.Option("--format", help="swebench.")] = "swebench",
) -> None:
    """Print the valid instances of a campaign or a repo package as JSON lines."""
    from exchange.swebench import export_instances
    from models.errors import UsageError

    if format != "swebench":
        raise UsageError(f"--format={format} is unknown; the only format is swebench")
    for package in _packages(what):
        for line in export_instances(package.manifest, package.git):
            sys.stdout.write(line + "\n")


def _packages(what: str) -> list["RepoPackage"]:
    from harness.packages.package import MANIFEST, read_package
    from host.settings import load_settings
    from store.runs import open_raw_store

    if (Path(what) / MANIFEST).is_file():
        return [read_package(Path(what))]
    return [read_package(path) for path in open_raw_store(load_settings().raw_url).package_directories(what)]


def import_(
    file: Annotated[Path, typer.Argument(help="JSON lines.", exists=True, dir_okay=False)],
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Read instances in the SWE-bench format, check them, and show what they are."""
    from cli.output import print_json, table
    from exchange.swebench import import_instances

    with file.open(encoding="utf-8") as lines:
        instances = list(import_instances(lines))
    if as_json:
        print_json(instances)
        return
    rows = [(i.instance_id, i.repo, i.base_commit[:10], len(i.FAIL_TO_PASS), len(i.PASS_TO_PASS)) for i in instances]
    table(f"{len(rows)} instances", ["instance", "repository", "base", "F2P", "P2P"], rows, right=["F2P", "P2P"])
