"""Uses of symbols by other symbols, matched by name."""

from collections.abc import Collection, Mapping

from repos.index.graph import ImportGraph
from repos.index.records import Record
from repos.index.symbols import base_name

SymbolKey = tuple[str, str]
"""A path and a symbol in it."""


class References:
    """Uses of symbols, computed on first use."""

    def __init__(self, records: Mapping[str, Record], graph: ImportGraph) -> None:
        self._records = records
        self._graph = graph
        self._inverted: dict[str, dict[str, list[str]]] = {}
        self._tops: dict[str, dict[str, list[str]]] = {}

    def users(self, path: str, symbol: str) -> tuple[SymbolKey, ...]:
        """Symbols that use a symbol, in its file and in those that import it, sorted; nothing for an unknown one."""
        if path not in self._records:
            return ()
        last = base_name(symbol).rpartition(".")[2]
        found = {place for place in self._naming(path, last) if place != (path, symbol)}
        for importer in self._graph.importers.get(path, ()):
            bound = self._graph.bindings(importer)
            for name in {last, *(here.rpartition(".")[2] for here, place in bound.items() if place == (path, last))}:
                found.update(self._naming(importer, name))
        return tuple(sorted(found))

    def used(self, path: str, symbol: str) -> tuple[SymbolKey, ...]:
        """Symbols of its own file and of imported ones that a symbol, or one inside it, uses, sorted."""
        if path not in self._records:
            return ()
        uses = self._records[path].uses
        inner = [name for name in uses if name == symbol or name.startswith(f"{symbol}.")]
        names = sorted({name for each in inner for name in uses[each]})
        bound = self._graph.bindings(path)
        asked = self._records[path].outline.attributes
        found: set[SymbolKey] = set()
        for name in names:
            found.update((path, other) for other in self._top(path).get(name, ()))
            wanted = [name, *(f"{name}.{attribute}" for attribute in asked.get(name, ()) if attribute in names)]
            for target, original in (bound[each] for each in wanted if each in bound):
                found.update((target, other) for other in self._top(target).get(original, ()))
        found.update((path, other) for other in self._siblings(path, symbol, names))
        return tuple(sorted(found - {(path, each) for each in inner}))

    def _siblings(self, path: str, symbol: str, names: Collection[str]) -> list[str]:
        """Methods of the same class that a method names."""
        owner = symbol.rpartition(".")[0]
        if not owner:
            return []
        wanted = {f"{owner}.{name}" for name in names}
        return [other.name for other in self._records[path].outline.symbols if base_name(other.name) in wanted]

    def _naming(self, path: str, name: str) -> list[SymbolKey]:
        return [(path, symbol) for symbol in self._by_name(path).get(name, ())]

    def _by_name(self, path: str) -> dict[str, list[str]]:
        if path not in self._inverted:
            inverted: dict[str, list[str]] = {}
            for symbol, names in self._records[path].uses.items():
                for name in names:
                    inverted.setdefault(name, []).append(symbol)
            self._inverted[path] = inverted
        return self._inverted[path]

    def _top(self, path: str) -> dict[str, list[str]]:
        """Top-level symbols of a file by their names without numbers."""
        if path not in self._tops:
            tops: dict[str, list[str]] = {}
            for symbol in self._records[path].outline.symbols if path in self._records else ():
                if "." not in symbol.name:
                    tops.setdefault(base_name(symbol.name), []).append(symbol.name)
            self._tops[path] = tops
        return self._tops[path]
