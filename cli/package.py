"""`cra package`: repo packages on a medium."""

from pathlib import Path
from typing import Annotated

import typer

from cli.options import JsonOption, SandboxOption
from cli.output import console, counted, print_json
from cli.prepare import CommitMinutes, RepositoryMinutes, run_prepare
from cli.progress import progress, stages
from harness.packages.package import MANIFEST, read_manifest
from host.settings import load_settings
from models.errors import CleanRoomError, UsageError

app = typer.Typer(help="Make a repo package on a medium, for a machine without network.", no_args_is_help=True)


@app.callback()
def _group() -> None:
    """Make a repo package on a medium, for a machine without network."""


@app.command()
def repository(
    source: Annotated[str, typer.Argument(metavar="PATH_OR_URL", help="A git repository, or a prepared package.")],
    out: Annotated[Path, typer.Option("--out", metavar="USB", help="The medium: only the package is written to it.")],
    max_commits: Annotated[int, typer.Option(help="Commits of the repository, newest first.", min=1)] = 50,
    commit_minutes: CommitMinutes = None,
    repository_minutes: RepositoryMinutes = None,
    sandbox: SandboxOption = None,
    as_json: JsonOption = False,
) -> None:
    """Prepare a repository's package, check it as the machine that takes it in will, and write it to a medium.

    It is prepared below the data directory and copied when it is complete; the medium then holds one more folder and
    nothing else. Stopped in the middle, or with the medium full or pulled, the same command goes on where it was.
    Exit codes: 0, 1 if it is refused or cannot be written, 2 for a mistake in the request, 3 without a sandbox.
    """
    from exchange.intake.departure import check_departure, write_to_medium

    if not out.is_dir():
        raise UsageError(f"--out {out} is no folder; plug the medium in, and name the folder that it is mounted at")
    settings = load_settings()
    given = Path(source)
    if (given / MANIFEST).is_file():
        directory = given.resolve()
    else:
        corpus = settings.data_dir.absolute() / "outgoing"
        minutes = {"commit_minutes": commit_minutes, "repository_minutes": repository_minutes}
        manifests, failures = run_prepare([source], corpus, max_commits, sandbox, minutes)
        if failures:
            raise CleanRoomError(f"{source} could not be prepared: {next(iter(failures.values()))}")
        directory = corpus / manifests[0].name
    valid = sum(each.valid for each in read_manifest(directory).instances)
    if not valid:
        raise CleanRoomError(f"{directory} has no valid instance; see `cra corpus show {directory}`")
    with stages("checking") as stage:
        package = check_departure(directory, settings.intake, stage)
    with progress() as display:
        bar = display.add_task(f"writing to {out}", total=None, note="")
        done = write_to_medium(
            package,
            out.resolve(),
            settings.intake,
            lambda written, total: display.update(bar, completed=written, total=total),
        )
    manifest = package.manifest
    if as_json:
        print_json({"folder": done.folder, "name": manifest.name, "head": manifest.head, "identity": package.identity,
                    "files": done.files, "bytes": done.bytes, "kept": done.kept, "instances": len(manifest.instances),
                    "valid": valid, "environments": len(manifest.environments)})  # fmt: skip
        return
    console.print(
        f"{done.folder}: {counted(done.files, 'file')}, {done.bytes / (1 << 20):.1f} MiB, "
        f"{valid} of {counted(len(manifest.instances), 'commit')} valid, "
        f"{counted(len(manifest.environments), 'environment')}, identity {package.identity[:12]}\n"
        f"there: cra ingest {out}",
        markup=False,
        soft_wrap=True,
    )
