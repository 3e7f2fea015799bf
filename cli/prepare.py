"""`cra prepare`: repositories become repo packages."""

import traceback
from pathlib import Path
from typing import Annotated

import typer

from cli.corpus import print_manifest
from cli.flow_context import flow_context
from cli.options import JsonOption, SandboxOption
from cli.output import print_json
from host.settings import load_settings
from models.errors import CleanRoomError, UsageError
from models.manifest import Manifest
from repos.transports import refuse_transport
from tasks.runtime import open_runtime


def prepare(
    sources: Annotated[list[str], typer.Argument(metavar="PATH_OR_URL...", help="Git repositories.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Where packages go, one folder each.")] = Path("corpus"),
    max_commits: Annotated[int, typer.Option(help="Commits per repository, newest first.", min=1)] = 50,
    sandbox: SandboxOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make repo packages: mine, lock environments, fetch wheels, gold-validate, write the manifest.

    Stopped in the middle, the same command goes on where it was.
    """
    manifests, failures = run_prepare(sources, out.resolve(), max_commits, sandbox)
    if as_json:
        print_json({"packages": [_summary(m) for m in manifests], "failed": failures})
    else:
        for manifest in manifests:
            print_manifest(out / manifest.name, manifest)
    _fail_if_any(failures, len(sources))


def _fail_if_any(failures: dict[str, str], sources: int) -> None:
    if failures:
        source, why = next(iter(failures.items()))
        named = why if source in why else f"{source}: {why}"
        raise CleanRoomError(f"{len(failures)} of {sources} repositories could not be prepared; {named}")


def _summary(manifest: Manifest) -> dict[str, object]:
    invalid: dict[str, int] = {}
    for instance in manifest.instances:
        if instance.reason:
            invalid[instance.reason.value] = invalid.get(instance.reason.value, 0) + 1
    return {
        "name": manifest.name,
        "head": manifest.head,
        "identity": manifest.identity(),
        "instances": len(manifest.instances),
        "valid": sum(i.valid for i in manifest.instances),
        "invalid": invalid,
        "environments": len(manifest.environments),
        "wheels": len(manifest.wheels),
    }


def run_prepare(
    sources: list[str], corpus: Path, max_commits: int, sandbox: str | None
) -> tuple[list[Manifest], dict[str, str]]:
    """Prepare each source; one that fails does not stop the others. Manifests, and the error by failed source."""
    open_runtime(load_settings(), sandbox)  # mistakes end before the engine starts
    for source in sources:
        refuse_transport(source)  # before the engine stores it as a parameter
    try:
        corpus.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"--out {corpus} cannot be made: {error.strerror}; give another folder") from error
    manifests, failures = [], {}
    with flow_context():
        from flows.prepare import prepare

        for source in sources:
            named = str(Path(source).resolve()) if Path(source).exists() else source
            try:
                manifests.append(prepare(named, corpus, max_commits, sandbox))
            except CleanRoomError as error:
                failures[source] = str(error)
            except Exception as error:
                if len(sources) == 1:
                    raise
                traceback.print_exc()
                failures[source] = f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"
    return manifests, failures
