"""The import graph of a repository's files."""

from collections.abc import Mapping
from functools import cached_property
from typing import NamedTuple, Protocol

from repos.index.records import ImportStatement, Outline
from repos.index.symbols import base_name

_LONGEST_CHAIN = 32
"""Limit on re-exports followed in a chain."""


class Modules(Protocol):
    """Module resolution of a language: from the name of a module to its file."""

    def resolve(self, importer: str, module: str) -> str | None:
        """The file of a module as `importer` names it."""
        ...

    def submodule(self, importer: str, written: str, package: str | None, name: str) -> str | None:
        """The file of the module `name` in a package that `importer` names, whose own file is given if it has one."""
        ...


class ImportEdge(NamedTuple):
    """A file that another one imports. `names` are what is imported from it, sorted; empty for the module itself.

    `direct` is False if the importer names another module, which re-exports these names.
    """

    path: str
    names: tuple[str, ...]
    direct: bool


Outlines = Mapping[str, tuple[str, Outline]]
"""Language and outline of each file of code."""


class ImportGraph:
    """Edges between files, computed on first use."""

    def __init__(self, outlines: Outlines, modules: Mapping[str, Modules]) -> None:
        """`modules` are the resolvers, by language."""
        self._outlines = outlines
        self._modules = modules
        self._defined: dict[str, frozenset[str]] = {}
        self._definitions: dict[tuple[str, str], str | None] = {}
        self._edges: dict[str, tuple[ImportEdge, ...]] = {}
        self._bindings: dict[str, dict[str, tuple[str, str]]] = {}

    def successor(self, outlines: Outlines) -> "ImportGraph":
        """The graph of a later state of the same files, reusing what is certainly unchanged: edges of files with the
        same outline, if all files offer the same names by the same imports."""
        graph = ImportGraph(outlines, self._modules)
        changed = {path for path, (_, outline) in outlines.items() if self._outlines[path][1] is not outline}
        for path in changed:
            mine, theirs = outlines[path][1], self._outlines[path][1]
            if mine.imports != theirs.imports or graph._names(path) != self._names(path):
                return graph
        graph._definitions = dict(self._definitions)
        graph._edges = {path: edges for path, edges in dict(self._edges).items() if path not in changed}
        return graph

    def edges(self, path: str) -> tuple[ImportEdge, ...]:
        """Imports of a file, sorted by path; none for a file that is not code."""
        if path not in self._edges:
            self._edges[path] = self._find(path)
        return self._edges[path]

    @cached_property
    def importers(self) -> dict[str, tuple[str, ...]]:
        """By path, the files that import it, sorted."""
        found: dict[str, list[str]] = {}
        for path in sorted(self._outlines):
            for edge in self.edges(path):
                found.setdefault(edge.path, []).append(path)
        return {path: tuple(importers) for path, importers in found.items()}

    def definition(self, path: str, name: str) -> str | None:
        """The file that defines what `path` offers under a name, through re-exports; None if it is not found."""
        if (path, name) not in self._definitions:
            self._definitions[path, name] = self._follow(path, name, set())
        return self._definitions[path, name]

    def module(self, importer: str, name: str) -> str | None:
        """The file of a module as `importer` would name it; None if there is none."""
        if importer not in self._outlines:
            return None
        return self._modules[self._outlines[importer][0]].resolve(importer, name)

    def bindings(self, path: str) -> Mapping[str, tuple[str, str]]:
        """Names bound by the imports of a file: name there -> (defining file, name in it).

        A module bound as a whole has no name; its attributes are given as `module.name`.
        """
        if path not in self._bindings:
            self._bindings[path] = self._bind(path)
        return self._bindings[path]

    def _bind(self, path: str) -> dict[str, tuple[str, str]]:
        bound: dict[str, tuple[str, str]] = {}
        if path not in self._outlines:
            return bound
        for statement in self._outlines[path][1].imports:
            for module, name, here, target in self._targets(path, statement):
                if name == "*":
                    bound |= {each: (module, each) for each in sorted(self._names(module)) if each not in bound}
                elif here:
                    bound[here] = (target or module, name)
        return bound

    def _find(self, path: str) -> tuple[ImportEdge, ...]:
        if path not in self._outlines:
            return ()
        direct: dict[str, set[str]] = {}
        handed: dict[str, set[str]] = {}
        for statement in self._outlines[path][1].imports:
            for module, name, _, target in self._targets(path, statement):
                direct.setdefault(module, set()).update([name] if name else [])
                if target is not None and target != module:
                    handed.setdefault(target, set()).update([name] if name else [])
        edges = [ImportEdge(found, tuple(sorted(names)), True) for found, names in direct.items()]
        edges += [
            ImportEdge(found, tuple(sorted(names)), False) for found, names in handed.items() if found not in direct
        ]
        return tuple(sorted(edge for edge in edges if edge.path != path))

    def _targets(self, path: str, statement: ImportStatement) -> list[tuple[str, str, str, str | None]]:
        """Targets of a statement: module file, imported name, local name, and the defining file if known."""
        language, outline = self._outlines[path]
        module = self._modules[language].resolve(path, statement.module)
        asked = outline.attributes
        found: list[tuple[str, str, str, str | None]] = []
        if module is not None and not statement.names:
            found.append((module, "", "", None))
        for name, here in statement.names:
            inside = self._inside(path, statement.module, module, name) if name not in ("", "*") else module
            if name != "*" and inside is not None:  # a module: its attributes are the imported names
                found.append((inside, "", here, None))
                found += [
                    (inside, wanted, f"{here}.{wanted}", self.definition(inside, wanted))
                    for wanted in asked.get(here, ())
                ]
            elif module is not None:
                found.append((module, name, here, self.definition(module, name) if name != "*" else None))
        return found

    def _inside(self, path: str, written: str, module: str | None, name: str) -> str | None:
        """The file of a module that is imported from a package."""
        if module is not None and name in self._names(module):
            return None
        return self._modules[self._outlines[path][0]].submodule(path, written, module, name)

    def _names(self, path: str) -> frozenset[str]:
        """Names that a file defines at its top level."""
        if path not in self._defined:
            outline = self._outlines[path][1] if path in self._outlines else Outline()
            self._defined[path] = frozenset(
                base_name(symbol.name) for symbol in outline.symbols if "." not in symbol.name
            )
        return self._defined[path]

    def _follow(self, path: str, name: str, seen: set[tuple[str, str]]) -> str | None:
        if name in self._names(path):
            return path
        if (path, name) in seen or len(seen) > _LONGEST_CHAIN or path not in self._outlines:
            return None
        seen.add((path, name))
        for statement in self._outlines[path][1].imports:
            for original, here in statement.names:
                if here == name or original == "*":
                    found = self._handed_on(path, statement, original, name, seen)
                    if found is not None:
                        return found
        if name == "default" and self._outlines[path][0] != "python":
            return path
        return self._inside(path, ".", path, name)

    def _handed_on(
        self, path: str, statement: ImportStatement, original: str, name: str, seen: set[tuple[str, str]]
    ) -> str | None:
        """The place that defines the name that a statement binds in `path`."""
        module = self._modules[self._outlines[path][0]].resolve(path, statement.module)
        if original == "":
            return module
        if original == "*":
            return self._follow(module, name, seen) if module and name != "default" else None
        inside = self._inside(path, statement.module, module, original)
        return inside or (self._follow(module, original, seen) if module else None)
