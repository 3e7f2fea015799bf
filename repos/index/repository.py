"""The index of one revision: its files, their symbols, and their relations."""

from collections import Counter
from collections.abc import Mapping
from functools import cached_property
from typing import Literal

from repos.index.affected import AffectedTest, AffectedTests
from repos.index.ancestry import history
from repos.index.cache import IndexCache
from repos.index.graph import ImportEdge, ImportGraph
from repos.index.history import History
from repos.index.import_graph import wire
from repos.index.overview import OverviewFile, overview
from repos.index.parse import SETTINGS, form_of
from repos.index.paths import is_ci, is_documentation, is_generated
from repos.index.records import ImportStatement, IndexedSymbol, Record
from repos.index.references import References
from repos.index.source import PastCommit, RevisionSource, SourceEntry
from repos.index.suite_layout import PLAIN, SuiteLayout
from repos.index.suite_plugins import suite_plugins
from repos.index.symbols import base_name
from repos.index.test_mapping import TestRelations


class IndexedFile:
    """A text file. Its attributes are decoded, or read, on first use."""

    def __init__(
        self,
        entry: SourceEntry,
        language: str | None,
        record: Record,
        source: RevisionSource,
        layout: SuiteLayout = PLAIN,
    ) -> None:
        self.path, self.blob = entry
        self.language = language
        self.record = record
        self._source = source
        self._layout = layout

    def __repr__(self) -> str:
        return f"IndexedFile({self.path!r})"

    @property
    def kind(self) -> Literal["production", "test", "other"]:
        """The classification by path and by the configuration of the tests: production code, test code, or neither
        (vendored and minified code too)."""
        return self._layout.kind_of(self.path)

    @property
    def is_test(self) -> bool:
        """Whether the file, code or data, belongs to the tests."""
        return self._layout.is_test(self.path)

    @property
    def is_documentation(self) -> bool:
        """Whether the file is documentation."""
        return is_documentation(self.path)

    @property
    def is_ci(self) -> bool:
        """Whether the file only configures CI or other project tooling."""
        return is_ci(self.path)

    @cached_property
    def text(self) -> str:
        """The content, with invalid UTF-8 replaced."""
        (_, content), *_ = self._source.read([self.blob])
        return (content or b"").decode("utf-8", "replace")

    @property
    def symbols(self) -> tuple[IndexedSymbol, ...]:
        """Definitions in source order, outer before inner."""
        return self.record.outline.symbols

    @property
    def statements(self) -> tuple[ImportStatement, ...]:
        """Imports as written, in source order."""
        return self.record.outline.imports

    @property
    def doc(self) -> str:
        """First paragraph of the module's docstring."""
        return self.record.outline.doc

    @property
    def generated(self) -> bool:
        """Whether the file is generated or vendored, by its path or its content."""
        return is_generated(self.path) or self.record.outline.generated

    @property
    def lines(self) -> int:
        """Number of lines."""
        return self.record.outline.lines

    @property
    def identifiers(self) -> Counter[str]:
        """Names in the code, as written, without keywords, comments and strings."""
        return self.record.tokens.identifiers

    @property
    def subtokens(self) -> Counter[str]:
        """Lower-case parts of the identifiers."""
        return self.record.tokens.subtokens

    @property
    def words(self) -> Counter[str]:
        """Lower-case parts of the words in comments and strings; of all words in a file that is not code."""
        return self.record.tokens.words

    @property
    def uses(self) -> dict[str, tuple[str, ...]]:
        """Names in each symbol's own text, by symbol; `<module>` for what is outside all symbols."""
        return self.record.uses

    def symbol(self, name: str) -> IndexedSymbol | None:
        """The symbol of a qualified name."""
        return next((symbol for symbol in self.symbols if symbol.name == name), None)

    def text_of(self, symbol: IndexedSymbol) -> str:
        """A symbol's lines."""
        return "\n".join(self._lines[symbol.start_line - 1 : symbol.end_line])

    @cached_property
    def _lines(self) -> list[str]:
        return self.text.split("\n")


_NOTED = 8
"""Names that an overview lists for a file."""


class RepositoryIndex:
    """The index of a revision. Two indexes of one revision give equal results, whatever was cached."""

    def __init__(
        self,
        source: RevisionSource,
        files: Mapping[str, IndexedFile],
        cache: IndexCache | None,
        layout: SuiteLayout = PLAIN,
    ) -> None:
        self._source = source
        self._files = dict(files)
        self._cache = cache
        self.layout = layout

    @property
    def revision(self) -> str:
        """The commit's id."""
        return self._source.revision

    def paths(self) -> tuple[str, ...]:
        """Text files, sorted."""
        return tuple(self._files)

    def __contains__(self, path: str) -> bool:
        return path in self._files

    def file(self, path: str) -> IndexedFile:
        """The file at a path. Raises KeyError if there is none."""
        return self._files[path]

    def imports(self, path: str) -> tuple[str, ...]:
        """Files that a file imports, by name or through what they re-export, sorted."""
        return tuple(edge.path for edge in self._graph.edges(path))

    def import_edges(self, path: str) -> tuple[ImportEdge, ...]:
        """The same, each with the names taken of it."""
        return self._graph.edges(path)

    def importers(self, path: str) -> tuple[str, ...]:
        """Files that import a file, sorted."""
        return self._graph.importers.get(path, ())

    def references(self, path: str, symbol: str) -> tuple[tuple[str, str], ...]:
        """Users of a symbol: pairs (path, symbol) in the files that import its file and in that file itself, sorted.

        `<module>` stands for code outside all symbols. Matching is by name, so a method is also found where another one
        of its name is meant.
        """
        return self._references.users(path, symbol)

    def dependencies(self, path: str, symbol: str) -> tuple[tuple[str, str], ...]:
        """Symbols that a symbol uses: pairs (path, symbol) of its own file and of those it imports, sorted."""
        return self._references.used(path, symbol)

    def tests_of(self, path: str) -> tuple[str, ...]:
        """Test files that exercise a file, the likeliest first."""
        return self._exercise.tests_of(path)

    def affected_tests(self, path: str) -> tuple[AffectedTest, ...]:
        """Test files that a change of a file may break, sorted by path, each with how it was found."""
        return self._affected.of(path)

    def exercised_by(self, test: str) -> tuple[str, ...]:
        """Files outside the tests that a test file exercises, the likeliest first."""
        return self._exercise.exercised_by(test)

    def overview(self, max_chars: int) -> str:
        """Folders and files, code with its main symbols, in at most `max_chars` characters."""
        ranks = {"production": 0, "test": 1, "other": 2}
        shown = []
        for path, file in self._files.items():
            names = [base_name(symbol.name) for symbol in file.symbols if "." not in symbol.name]
            top = [name for name in dict.fromkeys(names) if not name.startswith("_")]
            note = ", ".join(top[:_NOTED]) + (", ..." if len(top) > _NOTED else "")
            shown.append(OverviewFile(path, ranks[file.kind], note))
        return overview(shown, max_chars)

    @cached_property
    def history(self) -> History:
        """The history of its files in the revision's ancestors."""
        return History(self.commits, self._files)

    @cached_property
    def commits(self) -> tuple[PastCommit, ...]:
        """The revision and its ancestors, the latest first, without merges, at most 2000."""
        return history(self._source, self._cache)

    @cached_property
    def _references(self) -> References:
        records = {path: file.record for path, file in self._files.items() if file.language}
        return References(records, self._graph)

    @cached_property
    def _exercise(self) -> TestRelations:
        code = [path for path, file in self._files.items() if file.language]
        return TestRelations(code, self._graph, self.layout)

    @cached_property
    def _affected(self) -> AffectedTests:
        code = [path for path, file in self._files.items() if file.language]
        declared = suite_plugins(lambda name: self._files[name].text.encode() if name in self._files else None)
        return AffectedTests(code, self._graph, self.layout, self._exercise, self._texts, declared)

    def _texts(self, paths: list[str]) -> dict[str, str]:
        contents = dict(self._source.read([self._files[path].blob for path in paths]))
        return {path: (contents[self._files[path].blob] or b"").decode("utf-8", "replace") for path in paths}

    @cached_property
    def _graph(self) -> ImportGraph:
        outlines = {path: (file.language, file.record.outline) for path, file in self._files.items() if file.language}
        settings = {
            path: file.record.outline.settings for path, file in self._files.items() if form_of(path) == SETTINGS
        }
        wired = wire(outlines, settings, self._cache.wired if self._cache else None)
        if self._cache:
            self._cache.wired = wired
        return wired.graph
