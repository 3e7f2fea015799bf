"""`cra export`: instances in the SWE-bench format."""

import sys
from pathlib import Path
from typing import Annotated, Literal

import typer

from exchange.swebench import export_instances
from harness.packages.package import MANIFEST, RepoPackage, read_package
from host.settings import load_settings
from store.runs import open_raw_store


def export(
    what: Annotated[str, typer.Argument(metavar="CAMPAIGN_OR_PACKAGE", help="A campaign's label or a repo package.")],
    format: Annotated[Literal["swebench"], typer.Option("--format", help="swebench.")] = "swebench",
) -> None:
    """Print the valid instances of a campaign or a repo package as JSON lines."""
    for package in _packages(what):
        for line in export_instances(package.manifest, package.git):
            sys.stdout.write(line + "\n")


def _packages(what: str) -> list[RepoPackage]:
    if (Path(what) / MANIFEST).is_file():
        return [read_package(Path(what))]
    return [read_package(path) for path in open_raw_store(load_settings().raw_url).package_directories(what)]
