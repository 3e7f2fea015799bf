"""A repository's production files as the documents of queries; built once per index."""

import threading
from collections import Counter
from collections.abc import Callable, Mapping
from functools import cached_property
from pathlib import PurePosixPath
from typing import TypeVar, cast
from weakref import WeakKeyDictionary

from agent.retrieve.bm25 import Field
from agent.retrieve.past_changes import PastChanges
from agent.retrieve.words import stem_counts, stemmed
from repos.index import IndexedFile, RepositoryIndex
from repos.index.symbols import base_name

_ENTRY_NAMES = frozenset({"__init__", "index", "main", "__main__", "mod"})
_HELD = 4096
_corpora: "WeakKeyDictionary[RepositoryIndex, Corpus]" = WeakKeyDictionary()
_lock = threading.Lock()


class Corpus:
    """Production files by number, in path order, with their fields."""

    def __init__(self, index: RepositoryIndex) -> None:
        files = [index.file(path) for path in index.paths()]
        self.files = [file for file in files if file.kind == "production"]
        self.tests = [file for file in files if file.kind == "test" and file.language]
        self.paths = [file.path for file in self.files]
        self.numbers = {path: number for number, path in enumerate(self.paths)}
        self.past = PastChanges(index.commits, index.history, self.numbers)
        self.code = Field([_stems(file) for file in self.files])
        self.words = Field([_prose(file) for file in self.files])
        self.path = Field([path_terms(path) for path in self.paths], length=0.3)
        self.symbols = Field([_symbol_terms(file) for file in self.files])
        self.messages = Field(self.past.messages(), length=0.5)
        self.imports = [
            tuple(self.numbers[path] for path in index.imports(path) if path in self.numbers) for path in self.paths
        ]
        self._exercised = {test.path: index.exercised_by(test.path) for test in self.tests}

    def exercised(self, test: str) -> tuple[str, ...]:
        """The files that a test exercises, the likeliest first."""
        return tuple(self._exercised.get(test, ()))

    @cached_property
    def names(self) -> Field:
        """Identifiers as written."""
        return Field([file.identifiers for file in self.files])

    @cached_property
    def defined(self) -> Mapping[str, tuple[int, ...]]:
        """Files that define a symbol, by its whole name and by its last part."""
        found: dict[str, set[int]] = {}
        for number, file in enumerate(self.files):
            for symbol in file.symbols:
                name = base_name(symbol.name)
                for each in (name, name.rpartition(".")[2]):
                    found.setdefault(each, set()).add(number)
        return {name: tuple(sorted(numbers)) for name, numbers in found.items()}

    @cached_property
    def file_names(self) -> Counter[str]:
        """How many files have a name, in lower case."""
        return Counter(PurePosixPath(path).name.lower() for path in self.paths)

    @cached_property
    def test_code(self) -> Field:
        """Folded subtokens of the tests."""
        return Field([_stems(test) for test in self.tests])

    @cached_property
    def bridges(self) -> list[list[tuple[int, float]]]:
        """For each test file, the files it is evidence for: those it exercises, the likeliest most, and those that past
        commits changed together with it."""
        together: dict[str, dict[int, float]] = {}
        for change in self.past.changes:
            for test in change.tests:
                counts = together.setdefault(test, {})
                for number in change.files:
                    counts[number] = counts.get(number, 0.0) + change.share
        bridges = []
        for file in self.tests:
            weights: dict[int, float] = {}
            for place, path in enumerate(self._exercised[file.path][:5]):
                if path in self.numbers:
                    weights[self.numbers[path]] = 1 / (1 + place)
            counts = together.get(file.path, {})
            most = sum(counts.values()) + 1
            for number, count in counts.items():
                weights[number] = weights.get(number, 0.0) + count / most
            bridges.append(sorted(weights.items()))
        return bridges

    @cached_property
    def frequencies(self) -> dict[int, list[float]]:
        """How often each file changed, by decay length in commits."""
        from agent.retrieve.past_changes import MEMORIES

        return {memory: self.past.frequencies(memory) for memory in MEMORIES}

    @cached_property
    def recency(self) -> list[float]:
        """How recently each file changed."""
        return self.past.recency()

    @cached_property
    def stems(self) -> list[str]:
        """The name of each file, without suffix; for a package, its folder's."""
        return [name_of(path) for path in self.paths]


def corpus_of(index: RepositoryIndex) -> Corpus:
    """The corpus of an index, built on first use."""
    with _lock:
        found = _corpora.get(index)
    if found is None:
        found = Corpus(index)
        with _lock:
            _corpora[index] = found
    return found


def name_of(path: str) -> str:
    """The short name of a file: without suffix, in lower case; for `__init__.py` and the like the folder's."""
    pure = PurePosixPath(path)
    stem = pure.name.partition(".")[0].lower()
    name = pure.parent.name.lower() if stem in _ENTRY_NAMES else stem
    return name.strip("_")


def path_terms(path: str) -> Counter[str]:
    """Folded subtokens of a path; those of the name count twice."""
    pure = PurePosixPath(path)
    terms = stem_counts(Counter(pure.parts[:-1]))
    for term in stemmed(pure.name.partition(".")[0]):
        terms[term] += 2
    return terms


T = TypeVar("T")
_known: dict[tuple[str, str, str], object] = {}


def _once(make: Callable[[IndexedFile], T]) -> Callable[[IndexedFile], T]:
    """Memoize by file content: most files are unchanged from one commit to the next."""

    def of(file: IndexedFile) -> T:
        key = (make.__name__, file.blob, file.language or "")
        if key not in _known:
            if len(_known) >= _HELD:
                _known.clear()
            _known[key] = make(file)
        return cast(T, _known[key])

    return of


@_once
def _stems(file: IndexedFile) -> Counter[str]:
    return stem_counts(file.identifiers)


@_once
def _prose(file: IndexedFile) -> Counter[str]:
    return stem_counts(file.words)


@_once
def _symbol_terms(file: IndexedFile) -> Counter[str]:
    return stem_counts(Counter(base_name(symbol.name).rpartition(".")[2] for symbol in file.symbols))
