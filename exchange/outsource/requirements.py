"""The environment of a pack: pinned requirements with hashes from this checkout's lock, and the wheels if asked for."""

import shutil
import sys
from pathlib import Path

import models
from host.air_gap import refuse_network
from host.process import CommandFailed, run
from models.errors import InfrastructureError, UsageError
from training.fit.recipe import TrainingBackend

ROOT = Path(models.__file__).resolve().parents[1]
"""The checkout, or the folder that this program was installed into."""
ROOMS = ("models", "host", "store", "llm", "repos", "agent", "runtime", "harness", "evals", "training")
"""The rooms whose code a training needs, all of each."""
_ALSO = ("exchange/__init__.py", "exchange/outsource")
_CODE = (".py",)
_TEMPLATES = "agent/prompts/"
"""Folder whose templates leave with the code, as they are read when it is imported."""
_EXTRAS: dict[TrainingBackend, tuple[str, ...]] = {"trl-cpu": ("train",), "trl-gpu": ("train", "cuda")}
_UNUSED = ("prefect", "uv")
"""Requirements that no training imports."""


def export_requirements(backend: TrainingBackend, root: Path = ROOT) -> str:
    """The pinned requirements of a back end, with the hashes of their files. Raises UsageError without a lock, or for
    a back end that it does not hold."""
    if backend not in _EXTRAS:
        raise UsageError(f"--backend {backend}: not in the lock; give one of {', '.join(sorted(_EXTRAS))}")
    if not (root / "uv.lock").is_file():
        raise UsageError(f"{root} has no uv.lock; run `cra outsource pack` from a checkout of the project")
    options = [part for extra in _EXTRAS[backend] for part in ("--extra", extra)]
    options += [part for name in _UNUSED for part in ("--prune", name)]
    exported = run(
        ["uv", "export", "--frozen", "--offline", "--quiet", "--no-dev", "--no-emit-project", "--no-header",
         "--no-annotate", "--format", "requirements-txt", *options],
        cwd=root,
    )  # fmt: skip
    return exported.decode()


def fetch_wheels(requirements: Path, folder: Path) -> None:
    """Download the wheels of requirements for this machine's Python and platform.

    Raises AirGapError in air-gapped mode, InfrastructureError.
    """
    refuse_network("downloading the wheels of a pack", "pack without --wheels")
    folder.mkdir()
    argv = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps",
            "--require-hashes", "--only-binary", ":all:", "-r", str(requirements), "-d", str(folder)]  # fmt: skip
    try:
        run(argv, timeout=7200.0)
    except CommandFailed as error:
        raise InfrastructureError(f"the wheels cannot be fetched ({error}); try again, or pack without them") from error


def copy_code(target: Path, root: Path = ROOT) -> None:
    """Copy the code that a training needs, and no data of it: in a checkout only files that git tracks."""
    for name in _code(root):
        place = target / name
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(root / name, place)


def _code(root: Path) -> list[str]:
    if (root / ".git").exists():
        listed = run(["git", "ls-files", "-z", "--", *ROOMS, *_ALSO], cwd=root).decode().split("\0")
    else:
        folders = [root / name for name in (*ROOMS, *_ALSO)]
        found = (file for each in folders for file in ([each] if each.is_file() else each.rglob("*")))
        listed = [file.relative_to(root).as_posix() for file in found]
    kept = (name for name in sorted(listed) if name.endswith(_CODE) or _is_template(name))
    return [name for name in kept if (root / name).is_file() and not (root / name).is_symlink()]


def _is_template(name: str) -> bool:
    return name.startswith(_TEMPLATES) and name.endswith(".jinja")
