"""The import graph of a revision, derived from that of another one where the same files exist."""

from collections.abc import Mapping
from dataclasses import dataclass

from repos.index.graph import ImportGraph, Modules, Outlines
from repos.index.python_modules import PythonModules
from repos.index.script_modules import ScriptModules


@dataclass(frozen=True)
class ResolvedImports:
    """A graph, and the inputs of its resolvers."""

    paths: frozenset[str]
    settings: Mapping[str, str]
    graph: ImportGraph


def wire(outlines: Outlines, settings: Mapping[str, str], before: ResolvedImports | None) -> ResolvedImports:
    """The graph of files of code, given by their outlines. `settings` are texts of package.json and tsconfig files.

    `before` is that of any other revision; it saves time and does not change the result.
    """
    paths = frozenset(outlines)
    if before is not None and before.paths == paths and before.settings == settings:
        return ResolvedImports(paths, settings, before.graph.successor(outlines))
    modules: dict[str, Modules] = {"python": PythonModules(paths)}
    modules |= dict.fromkeys(("javascript", "typescript", "tsx"), ScriptModules(paths, settings))
    return ResolvedImports(paths, settings, ImportGraph(outlines, modules))
