"""`cra export`: instances in the SWE-bench format; a campaign's patches and trajectories in the formats of others."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Literal

import typer

from cli.output import counted, errors
from cli.progress import progress
from cli.stopping import stop_at_once
from exchange.swebench import export_instances
from harness.packages.package import MANIFEST, RepoPackage, read_package
from host.settings import load_settings
from models.errors import UsageError
from store.runs import RawStore, open_raw_store

Format = Literal["swebench", "predictions", "inspect", "atif"]


def export(
    what: Annotated[str, typer.Argument(metavar="CAMPAIGN_OR_PACKAGE", help="A campaign's label or a repo package.")],
    format: Annotated[Format, typer.Option("--format", help="swebench, predictions, inspect or atif.")] = "swebench",
    out: Annotated[
        Path | None,
        typer.Option("--out", metavar="DIR", help="Folder of the files of inspect and atif.", file_okay=False),
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace files of the same names in --out.")] = False,
) -> None:
    """Print the valid instances of a campaign or a repo package as JSON lines, or export what a campaign did.

    swebench: instances. predictions: a campaign's patches as SWE-bench predictions, which `cra validate` reads.
    inspect: an Inspect log per planner into --out (needs the extra `viewer`). atif: trajectories in Harbor's ATIF form,
    as JSON lines, or a file each below --out. Trajectories without a verdict are left out of predictions, and shown as
    not finished in the others; what is left out is counted on standard error.
    """
    stop_at_once()
    if format == "swebench":
        _refuse_folder(out, format)
        for package in _packages(what):
            for line in export_instances(package.manifest, package.git):
                sys.stdout.write(line + "\n")
        return
    store = open_raw_store(load_settings().raw_url)
    if format == "predictions":
        _refuse_folder(out, format)
        _predictions(store, what)
    elif format == "inspect":
        _inspect(store, what, out, overwrite)
    else:
        _atif(store, what, out, overwrite)


def _packages(what: str) -> list[RepoPackage]:
    if (Path(what) / MANIFEST).is_file():
        return [read_package(Path(what))]
    return [read_package(path) for path in open_raw_store(load_settings().raw_url).package_directories(what)]


def _refuse_folder(out: Path | None, format: Format) -> None:
    if out is not None:
        raise UsageError(f"--format {format} prints lines; leave --out away, and redirect them to a file")


def _predictions(store: RawStore, name: str) -> None:
    from exchange.model_patches import export_predictions

    for line in export_predictions(store, name):
        sys.stdout.write(line + "\n")
    _say_left_out(sum(group.total - group.closed for group in store.export_groups(name)), "without a verdict")


def _inspect(store: RawStore, name: str, out: Path | None, overwrite: bool) -> None:
    from exchange.inspect_export import export_logs, log_name, viewer_version

    viewer_version()
    if out is None:
        raise UsageError("--format inspect writes files: say where with --out DIR")
    groups = store.export_groups(name)
    _refuse_existing([out / log_name(group) for group in groups], overwrite)
    with export_progress(sum(group.begun for group in groups)) as progress:
        logs = export_logs(store, name, out, progress)
    for log in logs:
        print(log.path)
        unfinished = f", {log.unfinished} not finished" if log.unfinished else ""
        errors.print(
            f"{log.planner}: {counted(log.shown, 'trajectory', 'trajectories')}{unfinished}", style="dim", markup=False
        )
    _say_left_out(sum(log.left_out for log in logs), "not begun")


def _atif(store: RawStore, name: str, out: Path | None, overwrite: bool) -> None:
    from exchange.atif import export_trajectories, file_name

    groups = store.export_groups(name)
    with export_progress(sum(group.begun for group in groups) if out else 0) as progress:
        for group in groups:
            for done, (found, line) in enumerate(export_trajectories(store, group), start=1):
                if out is None:
                    sys.stdout.write(line + "\n")
                    continue
                path = out / file_name(found)
                _refuse_existing([path], overwrite)
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(line + "\n", encoding="utf-8")
                progress(group.planner, done, group.begun)
    _say_left_out(sum(group.total - group.begun for group in groups), "not begun")


def _refuse_existing(paths: list[Path], overwrite: bool) -> None:
    there = next((path for path in paths if path.exists()), None)
    if there is not None and not overwrite:
        raise UsageError(f"{there} exists; add --overwrite to replace it, or give another --out")


def _say_left_out(number: int, why: str) -> None:
    if number:
        errors.print(f"left out: {counted(number, 'trajectory', 'trajectories')} {why}", style="yellow")


@contextmanager
def export_progress(total: int) -> Iterator[Callable[[str, int, int], None]]:
    """A bar on standard error for `total` trajectories; told a planner, how many are done, and of how many."""
    with progress() as display:
        bar = display.add_task("trajectories", total=total, note="", visible=total > 0)

        def advance(planner: str, done: int, of: int) -> None:
            display.advance(bar)
            display.update(bar, note=f"{planner} {done}/{of}")

        yield advance
