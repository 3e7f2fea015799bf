"""The locked dependencies of this project: pinned requirements with hashes, their wheels, their bill of materials."""

import sys
from collections.abc import Sequence
from pathlib import Path

from host.air_gap import refuse_network
from host.checkout import LOCK
from host.process import CommandFailed, run
from models.errors import InfrastructureError, UsageError


def export_lock(
    root: Path, extras: Sequence[str], unused: Sequence[str] = (), *, form: str = "requirements-txt"
) -> str:
    """What the lock of a checkout pins for some extras, with the hashes of all files, without the requirements in
    `unused`. Raises UsageError without a lock."""
    if not (root / LOCK).is_file():
        raise UsageError(f"{root} has no {LOCK}; run this from a checkout of the project")
    options = [part for extra in extras for part in ("--extra", extra)]
    options += [part for name in unused for part in ("--prune", name)]
    text = ["--no-emit-project", "--no-header", "--no-annotate"] if form == "requirements-txt" else []
    exported = run(
        ["uv", "export", "--frozen", "--offline", "--quiet", "--no-dev", *text, "--format", form, *options], cwd=root
    )
    return exported.decode()


def fetch_wheels(requirements: Path, folder: Path) -> None:
    """Download the wheels of requirements for this machine's Python and platform; those that are in the folder already,
    whole, are not fetched again. Raises AirGapError in air-gapped mode, InfrastructureError."""
    refuse_network("downloading wheels", "pack without them")
    folder.mkdir(exist_ok=True)
    argv = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps",
            "--require-hashes", "--only-binary", ":all:", "-r", str(requirements), "-d", str(folder)]  # fmt: skip
    try:
        run(argv, timeout=7200.0)
    except CommandFailed as error:
        raise InfrastructureError(f"the wheels cannot be fetched ({error}); try again, or pack without them") from error
