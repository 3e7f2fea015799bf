"""Relations between tests and files: by imports, and by name."""

import re
from collections.abc import Iterable
from functools import cached_property
from pathlib import PurePosixPath

from repos.index.graph import ImportGraph
from repos.index.suite_layout import PLAIN, SuiteLayout

_TEST_NAME = re.compile(
    r"(?:test_(?P<first>.+)|(?P<last>.+?)(?:_tests?|_specs?|[.-](?:test|spec|test-d)))", re.IGNORECASE
)


def subject_of(path: str) -> str | None:
    """The name that a test file refers to: `cache` for test_cache.py, cache_test.py, cache.spec.ts; None if none."""
    name = PurePosixPath(path).name
    stem = name[: name.index(".", 1)] if name.endswith((".py", ".pyi")) else name.rpartition(".")[0]
    found = _TEST_NAME.fullmatch(stem)
    return (found["first"] or found["last"]).lower() if found else None


class TestRelations:
    """Tests and the files they exercise, in both directions."""

    def __init__(self, code: Iterable[str], graph: ImportGraph, layout: SuiteLayout = PLAIN) -> None:
        self._code = sorted(code)
        self._graph = graph
        self._layout = layout

    def tests_of(self, path: str) -> tuple[str, ...]:
        """Test files that exercise a file: those named after it, then those that import it, then by path.

        If there is none, those nearest to it through the imports of other files.
        """
        named = self.named_after(path)
        importing = [other for other in self._graph.importers.get(path, ()) if other in self._tests]
        direct = {test: (test not in named, test) for test in (*named, *importing)}
        if direct:
            return tuple(sorted(direct, key=direct.__getitem__))
        return self._nearest(path)

    def named_after(self, path: str) -> tuple[str, ...]:
        """Test files that are named after a file."""
        return tuple(test for test, files in self._named.items() if path in files)

    def exercised_by(self, test: str) -> tuple[str, ...]:
        """Files outside the tests that a test file exercises: those it is named after, then those from which it imports
        most, then by path."""
        named = self._named.get(test, ())
        taken = {edge.path: len(edge.names) for edge in self._graph.edges(test) if not self._layout.is_test(edge.path)}
        files = {*named, *taken}
        return tuple(sorted(files, key=lambda path: (path not in named, -taken.get(path, 0), path)))

    def _nearest(self, path: str) -> tuple[str, ...]:
        seen, front = {path}, [path]
        while front:
            front = sorted({other for one in front for other in self._graph.importers.get(one, ())} - seen)
            seen.update(front)
            if tests := [other for other in front if other in self._tests]:
                return tuple(tests)
        return ()

    @cached_property
    def _tests(self) -> frozenset[str]:
        return frozenset(path for path in self._code if self._layout.is_test(path))

    @cached_property
    def _named(self) -> dict[str, tuple[str, ...]]:
        """By test file, the files it is named after: among several with one name those in the most similar folders."""
        by_name: dict[str, list[str]] = {}
        for path in self._code:
            if path not in self._tests:
                for name in _names(path):
                    by_name.setdefault(name, []).append(path)
        found = {}
        for test in sorted(self._tests):
            subject = subject_of(test)
            if subject and (files := by_name.get(subject.strip("_"))):
                likeness = {path: _likeness(path, test) for path in files}
                best = max(likeness.values())
                found[test] = tuple(path for path in files if likeness[path] == best)
        return found


def _names(path: str) -> set[str]:
    """Names that a test of a file may have: the file's, alone or after its folder's; for a package its folder's."""
    pure = PurePosixPath(path)
    stem = pure.name.partition(".")[0].strip("_").lower()
    folder = pure.parent.name.strip("_").lower()
    if stem in ("init", "index", ""):
        return {folder} if folder else set()
    return {stem, f"{folder}_{stem}"} if folder else {stem}


def _likeness(path: str, test: str) -> int:
    """How many folders the paths of a file and a test share."""
    return len(set(PurePosixPath(path).parts[:-1]) & set(PurePosixPath(test).parts[:-1]))
