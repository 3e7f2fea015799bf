"""Test modules that no pattern of the runner matches, in a repository that has no others: `test.py`, `tests/all.py`."""

import os
import re
from collections.abc import Iterator, Mapping
from fnmatch import fnmatchcase
from pathlib import Path

from repos.index.paths import is_test_path
from runtime.testing.pytest_runner.records import read_left

_DEFAULTS = ("test_*.py", "*_test.py")
_HOLDS_TESTS = re.compile(rb"^\s*(?:async\s+)?def\s+test|^\s*class\s+\w+\(.*TestCase", re.MULTILINE)
_NO_TESTS = ("__init__.py", "conftest.py", "setup.py", "__main__.py")


def unnamed_modules(tree: Path, options: Mapping[str, list[str]]) -> tuple[str, ...]:
    """Paths of files of tests that are collected only if they are given by name, sorted; empty if the patterns of the
    configuration (its `options`) match any file of the tree."""
    patterns = options.get("python_files") or _DEFAULTS
    unnamed = []
    for path in _modules(tree):
        if any(_fits(path, pattern) for pattern in patterns):
            return ()
        if is_test_path(path) and path.rpartition("/")[2] not in _NO_TESTS:
            unnamed.append(path)
    return tuple(sorted(path for path in unnamed if _HOLDS_TESTS.search(read_left(tree / path) or b"")))


def _modules(tree: Path) -> Iterator[str]:
    for folder, folders, files in os.walk(tree):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        inside = os.path.relpath(folder, tree)
        for name in sorted(files):
            if name.endswith(".py"):
                yield name if inside == "." else f"{inside}/{name}"


def _fits(path: str, pattern: str) -> bool:
    return fnmatchcase(
        path if "/" in pattern else path.rpartition("/")[2], f"*{pattern}" if "/" in pattern else pattern
    )
