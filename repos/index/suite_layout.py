"""Where a repository's own configuration of pytest says that its tests are, beyond what their names show.

`python_files` names test modules, `testpaths` the folders they are in. Without such configuration the classification is
that of `repos.index.paths`.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import PurePosixPath

from repos.index.paths import PYTHON, SCRIPT, PathKind, is_ci, is_generated, is_test_path, kind_of
from repos.pytest_options import FileReader, pytest_options

_DEFAULTS = ("test_*.py", "*_test.py")
_DELIMITED = re.compile(
    r"(?:.*/)?(?:[A-Za-z0-9][\w.-]*[_.-]\*\.py|\*[_.-][\w.-]+\.py|\*[A-Z]\w*\.py|[A-Z]\w*\*\.py|\w[\w.-]*\.py)"
)
"""Patterns that tell tests from other modules. Others (`*.py`, `test*.py`) fit production code as well."""
_TESTS_ONLY = re.compile(
    r"(?:.*[._-])?(?:tests?|specs?|checks?|testing|testsuite|t|units?|integration|functional|acceptance|e2e|regressions?)",
    re.IGNORECASE,
)
"""Names of folders in `testpaths` that hold tests and nothing else; others (`src`) hold doctests, too."""


@dataclass(frozen=True)
class SuiteLayout:
    """Test modules by pattern, each with the folders it is limited to (none: everywhere), and folders of tests."""

    patterns: frozenset[tuple[str, tuple[str, ...]]] = frozenset()
    folders: frozenset[str] = frozenset()

    def is_test(self, path: str) -> bool:
        """Whether a file, code or data, belongs to the tests."""
        return is_test_path(path) or self._configured(path)

    def kind_of(self, path: str) -> PathKind:
        """Whether a file is production code, test code, or no code of interest."""
        kind = kind_of(path)
        if kind == "test" or not self._configured(path):
            return kind
        code = path.lower().endswith((*PYTHON, *SCRIPT)) and not is_ci(path) and not is_generated(path)
        return "test" if code else kind

    def holds_tests(self, path: str) -> bool:
        """Whether a file is a module from which tests are collected."""
        name = PurePosixPath(path).name
        if name == "conftest.py" or not name.endswith(".py"):
            return False
        named = name.startswith("test") or name.endswith("_test.py")
        return (named and self.is_test(path)) or self._matches(path)

    def __or__(self, other: "SuiteLayout") -> "SuiteLayout":
        return SuiteLayout(self.patterns | other.patterns, self.folders | other.folders)

    def _configured(self, path: str) -> bool:
        return bool(self.folders and _below(path, self.folders)) or self._matches(path)

    def _matches(self, path: str) -> bool:
        return any(_fits(path, pattern) and (not where or _below(path, where)) for pattern, where in self.patterns)


PLAIN = SuiteLayout()
"""The layout of a repository whose configuration says nothing."""


def suite_layout(read: FileReader) -> SuiteLayout:
    """The layout that the files in a tree's root configure."""
    options = pytest_options(read)
    folders = tuple(sorted({path.strip("/").removeprefix("./") for path in options.get("testpaths", [])} - {"", "."}))
    patterns = {
        each for each in options.get("python_files", []) if each not in _DEFAULTS and _DELIMITED.fullmatch(each)
    }
    tests_only = {each for each in folders if _TESTS_ONLY.fullmatch(PurePosixPath(each).name)}
    new = {each for each in tests_only if not is_test_path(f"{each}/data")}
    return SuiteLayout(frozenset((pattern, folders) for pattern in patterns), frozenset(new))


def _below(path: str, folders: Iterable[str]) -> bool:
    return any(
        fnmatchcase(path, folder) or any(fnmatchcase(str(parent), folder) for parent in PurePosixPath(path).parents)
        for folder in folders
    )


def _fits(path: str, pattern: str) -> bool:
    if "/" in pattern:
        return fnmatchcase(path, pattern) or fnmatchcase(path, f"*/{pattern}")
    return fnmatchcase(PurePosixPath(path).name, pattern)
