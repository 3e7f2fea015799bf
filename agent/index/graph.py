"""How the files of a repository hang together by their imports."""

from collections.abc import Mapping
from functools import cached_property
from typing import NamedTuple, Protocol

from agent.index.records import ImportStatement, Outline
from agent.index.symbols import base_name

_LONGEST_CHAIN = 32
"""Re-exports that are followed one after the other."""


class Modules(Protocol):
    """A language's way from the name of a module to its file."""

    def resolve(self, importer: str, module: str) -> str | None:
        """The file of a module as `importer` names it."""
        ...

    def submodule(self, package: str, name: str) -> str | None:
        """The file of a module inside a package, which is named by its own file."""
        ...


class ImportEdge(NamedTuple):
    """A file that another one imports. `names` are what it takes of it, sorted; empty when it takes the module.

    `direct` is False if the importer names another module, which hands these names on.
    """

    path: str
    names: tuple[str, ...]
    direct: bool


class ImportGraph:
    """Edges between files, found when first asked for."""

    def __init__(self, outlines: Mapping[str, tuple[str, Outline]], modules: Mapping[str, Modules]) -> None:
        """`outlines` are language and outline by path; `modules` the resolver of each language."""
        self._outlines = outlines
        self._modules = modules
        self._defined: dict[str, frozenset[str]] = {}
        self._edges: dict[str, tuple[ImportEdge, ...]] = {}

    def edges(self, path: str) -> tuple[ImportEdge, ...]:
        """What a file imports, sorted by path; nothing for a file that is no code."""
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
        """The file that defines what `path` offers under a name, through re-exports; None if that is not found."""
        return self._follow(path, name, set())

    def _find(self, path: str) -> tuple[ImportEdge, ...]:
        if path not in self._outlines:
            return ()
        direct: dict[str, set[str]] = {}
        handed: dict[str, set[str]] = {}
        for statement in self._outlines[path][1].imports:
            for module, name, target in self._targets(path, statement):
                direct.setdefault(module, set()).update([name] if name else [])
                if target is not None and target != module:
                    handed.setdefault(target, set()).update([name] if name else [])
        edges = [ImportEdge(found, tuple(sorted(names)), True) for found, names in direct.items()]
        edges += [
            ImportEdge(found, tuple(sorted(names)), False) for found, names in handed.items() if found not in direct
        ]
        return tuple(sorted(edge for edge in edges if edge.path != path))

    def _targets(self, path: str, statement: ImportStatement) -> list[tuple[str, str, str | None]]:
        """Of a statement: module file, name taken of it, file that defines the name where that is known."""
        language, outline = self._outlines[path]
        modules = self._modules[language]
        module = modules.resolve(path, statement.module)
        asked = outline.attributes or {}
        found: list[tuple[str, str, str | None]] = []
        if module is not None and not statement.names:
            found.append((module, "", None))
        for name, here in statement.names:
            inside = self._inside(path, statement.module, module, name) if name not in ("", "*") else module
            if inside is not None:  # a module: what is asked of it is what is taken
                found.append((inside, "", None))
                found += [(inside, wanted, self.definition(inside, wanted)) for wanted in asked.get(here, ())]
            elif module is not None:
                found.append((module, name, self.definition(module, name)))
        return found

    def _inside(self, path: str, written: str, module: str | None, name: str) -> str | None:
        """The file of a module that is taken out of a package."""
        modules = self._modules[self._outlines[path][0]]
        if module is None:
            return modules.resolve(path, f"{written}{'' if written.endswith('.') else '.'}{name}")
        return None if name in self._names(module) else modules.submodule(module, name)

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
        language, outline = self._outlines[path]
        modules = self._modules[language]
        for statement in outline.imports:
            for original, here in statement.names:
                if here != name and original != "*":
                    continue
                module = modules.resolve(path, statement.module)
                if original == "*":
                    found = self._follow(module, name, seen) if module else None
                elif original == "":
                    found = module
                else:
                    inside = self._inside(path, statement.module, module, original)
                    found = inside or (self._follow(module, original, seen) if module else None)
                if found is not None:
                    return found
        return modules.submodule(path, name)
