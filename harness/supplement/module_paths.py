"""The path of a generated test module: next to the repository's own tests, under a name of ours."""

import hashlib
from collections import Counter
from collections.abc import Collection
from pathlib import PurePosixPath

from models.generated import GeneratedFile
from repos.index.paths import is_test_path

_DIGITS = 12


def place(module: str, tests: Collection[str], preferred: Collection[str] = ()) -> GeneratedFile:
    """The path of a test module in a tree whose test files are `tests`, next to those of `preferred` if there are any.

    None of it comes from the teacher: the folder is the one with most test modules, the name follows the repository's
    convention (`test_*.py` or `*_test.py`) and contains the content's hash.
    """
    sha256 = hashlib.sha256(module.encode()).hexdigest()
    near = [PurePosixPath(path) for path in preferred if is_module(path)]
    known = near or [PurePosixPath(path) for path in tests if is_module(path)]
    folders = Counter(path.parent for path in known)
    folder = min(folders, key=lambda f: (-folders[f], len(f.parts), str(f))) if folders else PurePosixPath("tests")
    suffixed = sum(path.stem.endswith("_test") for path in known) > len(known) / 2
    stem = f"generated_{sha256[:_DIGITS]}_test" if suffixed else f"test_generated_{sha256[:_DIGITS]}"
    return GeneratedFile(path=(folder / f"{stem}.py").as_posix(), sha256=sha256)


def is_module(path: str) -> bool:
    """Whether a path is a module from which the test runner collects tests."""
    stem = PurePosixPath(path).stem
    return path.endswith(".py") and is_test_path(path) and (stem.startswith("test_") or stem.endswith("_test"))
