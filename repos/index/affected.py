"""Test files that a change of a file may break, and how each was found.

Beyond names and imports this follows what pytest connects at run time: fixtures of conftest files and plugins, fixtures
of fixtures, autouse, and strings that name modules, fixtures or console scripts.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cached_property
from pathlib import PurePosixPath
from typing import Literal, NamedTuple

from repos.index.fixtures import Fixture, FixtureFile, fixture_file
from repos.index.graph import ImportGraph
from repos.index.paths import SCRIPT
from repos.index.suite_layout import SuiteLayout
from repos.index.suite_plugins import SuitePlugins
from repos.index.test_mapping import TestRelations

How = Literal["name", "import", "helper", "fixture", "hook", "string", "script", "indirect"]
_Key = tuple[str, int]  # a file, and the number of a fixture in it


class AffectedTest(NamedTuple):
    """A test file, how it was found, and what leads to it."""

    path: str
    how: How
    through: str = ""

    @property
    def why(self) -> str:
        """How it was found, with what leads to it."""
        return f"{self.how} ({self.through})" if self.through else self.how

    def __str__(self) -> str:
        return f"{self.path}: {self.why}"


class AffectedTests:
    """The test files of a revision in relation to its other files."""

    def __init__(
        self,
        code: Iterable[str],
        graph: ImportGraph,
        layout: SuiteLayout,
        relations: TestRelations,
        read: Callable[[list[str]], Mapping[str, str]],
        declared: SuitePlugins,
    ) -> None:
        """`read` gives the texts of files by their paths."""
        self._code = sorted(code)
        self._graph, self._layout, self._relations, self._read = graph, layout, relations, read
        self._declared = declared

    def of(self, path: str) -> tuple[AffectedTest, ...]:
        """Test files that exercise a file, sorted by path. If none does directly, those nearest through imports."""
        found = {test: AffectedTest(test, "name") for test in self._relations.named_after(path) if self._holds(test)}
        found = {**self._level({path}), **found}
        seen, front = {path}, {path}
        while not found and front:
            front = {i for each in front for i in self._graph.importers.get(each, ())} - seen
            seen |= front
            through = {
                t.path: t for t in self._level({each for each in front if not self._layout.is_test(each)}).values()
            }
            found = {test: AffectedTest(test, "indirect", each.through or min(front)) for test, each in through.items()}
        return tuple(found[test] for test in sorted(found))

    def _holds(self, path: str) -> bool:
        return self._layout.holds_tests(path) or (path.endswith(SCRIPT) and self._layout.is_test(path))

    def _level(self, targets: set[str]) -> dict[str, AffectedTest]:
        """Tests that exercise one of some files without another file of the package between them."""
        found: dict[str, AffectedTest] = {}
        helpers = dict.fromkeys(sorted(targets), "")
        pending = sorted(targets)
        while pending:
            target = pending.pop()
            for importer in self._graph.importers.get(target, ()):
                if self._holds(importer):
                    through = target if target not in targets else ""
                    found.setdefault(importer, AffectedTest(importer, "helper" if through else "import", through))
                elif self._layout.is_test(importer) and importer not in helpers:
                    helpers[importer] = target
                    if PurePosixPath(importer).name != "conftest.py":
                        pending.append(importer)
        reached = frozenset(path for path in helpers if PurePosixPath(path).name != "conftest.py" or path in targets)
        for each in (
            *self._by_fixtures(targets, reached),
            *self._by_hooks(targets, reached),
            *self._by_strings(targets),
        ):
            found.setdefault(each.path, each)
        return found

    def _by_fixtures(self, changed: set[str], reached: frozenset[str]) -> Iterator[AffectedTest]:
        leading = {
            (path, number)
            for path, file in self._files.items()
            for number, fixture in enumerate(file.fixtures)
            if path in changed or self._leads(path, fixture.uses, fixture.mentions, reached)
        }
        for test, active in self._active.items() if leading else ():
            if keys := sorted(active & leading):
                path, number = keys[0]
                yield AffectedTest(test, "fixture", f"{self._files[path].fixtures[number].name} of {path}")

    def _by_hooks(self, changed: set[str], reached: frozenset[str]) -> Iterator[AffectedTest]:
        for path, file in self._files.items():
            if path not in self._plugins and PurePosixPath(path).name != "conftest.py":
                continue
            if path in changed or self._leads(path, file.at_import, file.mentions_at_import, reached):
                folder = "" if path in self._plugins else path.rpartition("/")[0]
                for test in self._tests:
                    if not folder or test.startswith(f"{folder}/"):
                        yield AffectedTest(test, "hook", path)

    def _by_strings(self, targets: set[str]) -> Iterator[AffectedTest]:
        scripts = {name for name, module in self._declared.scripts.items() if self._anywhere(module) in targets}
        for test in self._tests:
            file = self._files[test]
            if named := sorted(self._mentioned(test, file.mentions) & targets) or sorted(file.words & targets):
                yield AffectedTest(test, "string", named[0])
            elif ran := sorted(file.words & scripts):
                yield AffectedTest(test, "script", ran[0])

    def _leads(self, path: str, names: frozenset[str], mentions: frozenset[str], targets: frozenset[str]) -> bool:
        """Whether names in a file are bound to something in one of some files, or dotted ones mention it."""
        bound = self._bound(path)
        used = any(not bound[target].isdisjoint(names) for target in targets & bound.keys())
        return used or bool(self._mentioned(path, mentions) & targets)

    def _bound(self, path: str) -> Mapping[str, set[str]]:
        """By imported file, the names in `path` that come from it."""
        if path not in self._bindings:
            found: dict[str, set[str]] = {}
            for here, (file, name) in self._graph.bindings(path).items():
                first = here.partition(".")[0]
                found.setdefault(file, set()).add(first)
                for edge in self._graph.edges(path):
                    if name and name in edge.names:
                        found.setdefault(edge.path, set()).add(first)
            self._bindings[path] = found
        return self._bindings[path]

    @cached_property
    def _bindings(self) -> dict[str, Mapping[str, set[str]]]:
        return {}

    def _mentioned(self, path: str, names: Iterable[str]) -> set[str]:
        """The files of the modules that dotted names begin with, or of what they name in them."""
        found = set()
        for dotted in names:
            parts = dotted.split(".")
            for length in range(len(parts), 0, -1):
                if (file := self._graph.module(path, ".".join(parts[:length]))) is not None:
                    defined = self._graph.definition(file, parts[length]) if length < len(parts) else None
                    found.update({file, defined or file})
                    break
        return found

    @cached_property
    def _tests(self) -> list[str]:
        return [path for path in self._code if self._layout.holds_tests(path)]

    @cached_property
    def _files(self) -> dict[str, FixtureFile]:
        """The files of the tests, and the modules of plugins, which may name further ones."""
        known = {path for path in self._code if path.endswith(".py") and self._layout.is_test(path)}
        parsed = {path: fixture_file(text) for path, text in self._read(sorted(known)).items()}
        pending = self._declared_plugins | self._named_plugins(parsed)
        while pending := {path for path in pending if path not in parsed and path.endswith(".py")}:
            new = {path: fixture_file(text) for path, text in self._read(sorted(pending)).items()}
            parsed |= new
            pending = self._named_plugins(new)
        return parsed

    def _anywhere(self, name: str) -> str | None:
        return next((file for path in self._code if (file := self._graph.module(path, name))), None)

    def _named_plugins(self, files: Mapping[str, FixtureFile]) -> set[str]:
        named = ((path, name) for path, file in files.items() for name in file.plugins)
        return {found for path, name in named if (found := self._graph.module(path, name))}

    @cached_property
    def _plugins(self) -> list[str]:
        """Files whose fixtures every test can request."""
        return sorted((self._declared_plugins | self._named_plugins(self._files)) & self._files.keys())

    @cached_property
    def _declared_plugins(self) -> set[str]:
        return {file for name in self._declared.modules if (file := self._anywhere(name))}

    @cached_property
    def _offered(self) -> dict[str, dict[str, _Key]]:
        """By file, the fixtures that can be requested under a name there: its own and those it imports."""
        offered: dict[str, dict[str, _Key]] = {}
        own = {
            path: {fixture.function: (path, number) for number, fixture in enumerate(file.fixtures)}
            for path, file in self._files.items()
        }
        for path, file in self._files.items():
            names = {fixture.name: (path, number) for number, fixture in enumerate(file.fixtures)}
            for here, (source, name) in self._graph.bindings(path).items():
                if (key := own.get(source, {}).get(name)) is not None:
                    names.setdefault(self._fixture(key).name if here == name else here, key)
            offered[path] = names
        return offered

    def _fixture(self, key: _Key) -> Fixture:
        return self._files[key[0]].fixtures[key[1]]

    @cached_property
    def _active(self) -> dict[str, frozenset[_Key]]:
        """By test file, the fixtures that its tests use, directly or through other fixtures."""
        return {test: self._active_in(test) for test in self._tests}

    def _active_in(self, test: str) -> frozenset[_Key]:
        folders = [str(parent) for parent in PurePosixPath(test).parents]
        conftests = [f"{folder}/conftest.py".removeprefix("./") for folder in folders]
        places = [self._offered[path] for path in (test, *conftests, *self._plugins) if path in self._offered]
        automatic = {name for names in places for name, key in names.items() if self._fixture(key).autouse}
        pending = {*self._files[test].requests, *automatic, *self._declared.fixtures}
        seen: set[str] = set()
        active: set[_Key] = set()
        while pending:
            seen.add(name := pending.pop())
            for names in places:
                if (key := names.get(name)) is None:
                    continue
                active.add(key)
                pending |= self._fixture(key).requests - seen
                if name not in self._fixture(key).requests:  # one that requests its own name extends the one behind it
                    break
        return frozenset(active)
