"""The project's code in a bundle: what git tracks, and a wheel of the project made of it."""

import shutil
from pathlib import Path

from exchange.bundle.layout import Category
from exchange.bundle.sources import Contents, LeftOut, Source
from host.process import run
from models.errors import UsageError
from models.settings import CONFIG_FILE
from training.bases.files import hash_file

_LINK, _MODULE, _EXECUTABLE = "120000", "160000", "100755"


def code_contents(root: Path, *, allow_dirty: bool) -> Contents:
    """All files that git tracks in a checkout, as `code/...`, without settings. Raises UsageError for a link, or for
    changes that are not committed unless they are allowed."""
    if not allow_dirty and (changed := uncommitted(root)):
        raise UsageError(f"{root}: {changed[0]} has changes that are not committed; commit them, or --allow-dirty")
    found = Contents()
    for line in filter(None, run(["git", "ls-files", "-s", "-z"], cwd=root).decode().split("\0")):
        mode, _, path = line.partition("\t")
        mode = mode.split(" ")[0]
        if mode in (_LINK, _MODULE) or (root / path).is_symlink():
            raise UsageError(f"{root / path} is a link or a submodule, no plain file; a bundle has none")
        if Path(path).name == CONFIG_FILE:
            found.left_out.append(LeftOut(path, "settings hold addresses and tokens of this machine"))
        elif (root / path).is_file():
            found.files.append(Source(f"code/{path}", root / path, _category(path), executable=mode == _EXECUTABLE))
    return found


def uncommitted(root: Path) -> list[str]:
    """The files of a checkout with changes that are not committed; files that git does not track do not count."""
    listed = run(["git", "status", "--porcelain", "--untracked-files=no"], cwd=root).decode()
    return [line[3:] for line in listed.splitlines()]


def _category(path: str) -> Category:
    return "document" if path.startswith("docs/") or path.endswith(".md") else "code"


def build_wheel(code: Contents, work: Path) -> Path:
    """A wheel of the project, built from the files of `code` alone. Raises CommandFailed."""
    tree, out = work / "tree", work / "project"
    for folder in (tree, out):
        shutil.rmtree(folder, ignore_errors=True)
    for source in code.files:
        place = tree / source.path.removeprefix("code/")
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source.file, place)
    run(["uv", "build", "--quiet", "--wheel", "--out-dir", str(out), str(tree)], cwd=work)
    shutil.rmtree(tree)
    return next(out.glob("*.whl"))


def pinned(wheel: Path) -> str:
    """The line of a requirements file that pins a wheel."""
    name, version = wheel.name.split("-")[:2]
    return f"{name.replace('_', '-')}=={version} \\\n    --hash=sha256:{hash_file(wheel)}\n"
