"""A commit's files for discovery: read on demand, never run."""

import tomllib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

_TEST_FOLDERS = {"test", "tests", "testing", "unittests"}


@dataclass(frozen=True)
class PathTree:
    """Paths of a commit, and a way to read them."""

    read_bytes: Callable[[str], bytes | None]
    paths: Sequence[str]

    def text(self, path: str) -> str:
        """A file's text, "" if there is no such file; bytes that are not UTF-8 are replaced."""
        return (self.read_bytes(path) or b"").decode("utf-8", errors="replace")

    def toml(self, path: str) -> dict[str, Any]:
        """A parsed TOML file, empty if it is missing or malformed."""
        try:
            return tomllib.loads(self.text(path))
        except (ValueError, RecursionError):  # the former also for integers that are too long
            return {}


def is_test(path: str) -> bool:
    """Whether a Python file belongs to the tests."""
    pure = PurePosixPath(path)
    folders = set(pure.parts[:-1])
    return (
        bool(folders & _TEST_FOLDERS)
        or pure.name.startswith("test_")
        or pure.stem.endswith("_test")
        or pure.name == "conftest.py"
    )
