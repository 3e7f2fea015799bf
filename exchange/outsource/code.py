"""The code of a pack, and the pinned requirements of its back end."""

import shutil
from pathlib import Path

from exchange.lock import export_lock
from host.checkout import ROOT
from host.process import run
from training.fit.installed import EXTRAS
from training.fit.recipe import TrainingBackend

ROOMS = ("models", "host", "store", "llm", "repos", "agent", "runtime", "harness", "evals", "training")
"""The rooms whose code a training needs, all of each."""
_ALSO = ("exchange/__init__.py", "exchange/folders.py", "exchange/lock.py", "exchange/outsource")
_CODE = (".py",)
_TEMPLATES = "agent/prompts/"
"""Folder whose templates leave with the code, as they are read when it is imported."""
_UNUSED = ("prefect", "uv")
"""Requirements that no training imports."""


def export_requirements(backend: TrainingBackend, root: Path = ROOT) -> str:
    """The pinned requirements of a back end, with the hashes of their files. Raises UsageError without a lock."""
    return export_lock(root, EXTRAS[backend], _UNUSED)


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
