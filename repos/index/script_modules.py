"""Resolution of JavaScript and TypeScript modules to files: relative paths, `paths` and `baseUrl` of tsconfig files,
packages of the same repository with their `exports`, and `#imports`. Anything outside it resolves to nothing."""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property
from typing import Any, NamedTuple

_SUFFIXES = (".ts", ".tsx", ".d.ts", ".mts", ".cts", ".js", ".jsx", ".mjs", ".cjs")
_WRITTEN_AS = {".js": (".ts", ".tsx"), ".jsx": (".tsx",), ".mjs": (".mts",), ".cjs": (".cts",)}
_MAIN = ("source", "types", "typings", "module", "main", "browser")
_LONGEST_CHAIN = 16
"""Limit on configurations that extend one another."""
_NOT_JSON = re.compile(r'"(?:[^"\\\n]|\\.)*"|//[^\n]*|/\*.*?\*/|,(?=\s*[\]}])', re.DOTALL)


class _Aliases(NamedTuple):
    """`paths` of a configuration, whose targets are relative to `folder`; `base` is the folder of bare names."""

    paths: dict[str, list[str]]
    folder: str
    base: str | None


class ScriptModules:
    """The modules formed by the files of a repository."""

    def __init__(self, paths: Iterable[str], settings: Mapping[str, str]) -> None:
        """`settings` are the texts of package.json, tsconfig and jsconfig files by path; invalid JSON is ignored."""
        self._files = frozenset(path for path in paths if path.endswith(_SUFFIXES))
        self._settings = {path: loaded for path, text in sorted(settings.items()) if (loaded := _loaded(text))}
        self._aliases: dict[str, tuple[_Aliases, ...]] = {}
        self._resolved: dict[tuple[str, str], str | None] = {}

    def resolve(self, importer: str, module: str) -> str | None:
        """The file of a module as a statement in `importer` names it; None if the repository has none."""
        key = _folder(importer), module
        if key not in self._resolved:
            self._resolved[key] = self._resolve(*key)
        return self._resolved[key]

    def submodule(self, importer: str, written: str, package: str | None, name: str) -> str | None:
        """None: a script's names are never modules."""
        return None

    def _resolve(self, folder: str, module: str) -> str | None:
        if module in (".", "..") or module.startswith(("./", "../")):
            path = _joined(folder, module)
            return self._file(path) if path is not None else None
        if module.startswith("#"):
            return self._inner(folder, module)
        for aliases in self._known_aliases(folder):
            for path in _matches(aliases, module):
                if (found := self._file(path)) is not None:
                    return found
        return self._from_package(module)

    def _file(self, path: str) -> str | None:
        """The file that a path refers to: itself, its TypeScript source, with a suffix, or a folder's index."""
        if path in self._files:
            return path
        stem, dot, suffix = path.rpartition(".")
        for written in _WRITTEN_AS.get(dot + suffix, ()):
            if stem + written in self._files:
                return stem + written
        for start in (path, _joined(path, "index") or ""):
            for suffix in _SUFFIXES:
                if start + suffix in self._files:
                    return start + suffix
        return None

    def _built(self, folder: str, target: str) -> str | None:
        """The file of a target in a package; for a build output that is not committed, its source."""
        path = _joined(folder, target)
        if path is None:
            return None
        if (found := self._file(path)) is not None:
            return found
        parts = target.removeprefix("./").split("/")
        for start in range(1, len(parts)):
            rest = "/".join(parts[start:])
            rest = re.sub(r"(?:\.d)?\.[cm]?[jt]sx?$", "", rest)
            for place in (f"src/{rest}", f"lib/{rest}", rest):
                if (found := self._file(_joined(folder, place) or "")) is not None:
                    return found
        return None

    @cached_property
    def _packages(self) -> dict[str, tuple[str, dict[str, Any]]]:
        """Folder and manifest of each package, by its name; of several with one name the first by path."""
        found: dict[str, tuple[str, dict[str, Any]]] = {}
        for path, settings in self._settings.items():
            name = settings.get("name")
            if path.rpartition("/")[2] == "package.json" and isinstance(name, str):
                found.setdefault(name, (_folder(path), settings))
        return found

    def _from_package(self, module: str) -> str | None:
        parts = module.split("/")
        name = "/".join(parts[: 2 if module.startswith("@") else 1])
        if name not in self._packages:
            return None
        folder, manifest = self._packages[name]
        rest = module[len(name) :].strip("/")
        if "exports" in manifest:
            for target in _exported(manifest["exports"], f"./{rest}" if rest else "."):
                if (found := self._built(folder, target)) is not None:
                    return found
        if rest:
            return self._built(folder, rest) or self._built(folder, f"src/{rest}")
        for main in (manifest.get(field) for field in _MAIN):
            if isinstance(main, str) and (found := self._built(folder, main)) is not None:
                return found
        return self._file(_joined(folder, "index") or "") or self._file(_joined(folder, "src/index") or "")

    def _inner(self, folder: str, module: str) -> str | None:
        """A module that the nearest package imports from itself."""
        for above in _upwards(folder):
            manifest = self._settings.get(_joined(above, "package.json") or "")
            if manifest is not None:
                targets = _exported(manifest.get("imports"), module)
                return next((found for target in targets if (found := self._built(above, target))), None)
        return None

    def _known_aliases(self, folder: str) -> tuple[_Aliases, ...]:
        """Aliases of the configurations in a folder and above it, the nearest first."""
        if folder not in self._aliases:
            own = [path for path in self._settings if _folder(path) == folder and not path.endswith("package.json")]
            own.sort(key=lambda path: (path.rpartition("/")[2] != "tsconfig.json", path))
            found = [aliases for path in own if (aliases := self._aliases_of(path)) is not None]
            above = self._known_aliases(_folder(folder)) if folder else ()
            self._aliases[folder] = (*found, *above)
        return self._aliases[folder]

    def _aliases_of(self, path: str) -> _Aliases | None:
        paths: dict[str, list[str]] | None = None
        origin = base = None
        for config in self._extended(path):
            options = self._settings[config].get("compilerOptions")
            if not isinstance(options, dict):
                continue
            written = options.get("baseUrl")
            if base is None and isinstance(written, str):
                base = _joined(_folder(config), written)
            mapped = options.get("paths")
            if paths is None and isinstance(mapped, dict):
                lists = {key: goals for key, goals in mapped.items() if isinstance(goals, list)}
                paths = {key: [goal for goal in goals if isinstance(goal, str)] for key, goals in lists.items()}
                origin = _folder(config)
        if paths is None and base is None:
            return None
        return _Aliases(paths or {}, base if base is not None else origin or "", base)

    def _extended(self, path: str) -> list[str]:
        """A configuration and those it extends, itself first."""
        chain: list[str] = []
        waiting = [path]
        while waiting and len(chain) < _LONGEST_CHAIN:
            config = waiting.pop(0)
            if config in chain or config not in self._settings:
                continue
            chain.append(config)
            extends = self._settings[config].get("extends")
            for target in extends if isinstance(extends, list) else [extends]:
                if isinstance(target, str) and (place := _joined(_folder(config), target)) is not None:
                    waiting += [place, f"{place}.json", f"{place}/tsconfig.json"]
        return chain


def _loaded(text: str) -> dict[str, Any] | None:
    """An object in JSON with comments and trailing commas; None for anything else."""
    try:
        loaded = json.loads(_NOT_JSON.sub(lambda found: found[0] if found[0].startswith('"') else "", text))
    except (ValueError, RecursionError):
        return None
    return loaded if isinstance(loaded, dict) else None


def _matches(aliases: _Aliases, module: str) -> Iterator[str]:
    """Candidate paths of a bare name, by the most specific pattern, then below the base."""
    fitting = []
    for pattern in aliases.paths:
        before, star, after = pattern.partition("*")
        if module == pattern:
            fitting.append((-len(module) - 1, pattern, ""))
        elif star and module.startswith(before) and module.endswith(after) and len(module) >= len(before) + len(after):
            fitting.append((-len(before), pattern, module[len(before) : len(module) - len(after)]))
    for _, pattern, middle in sorted(fitting)[:1]:
        for target in aliases.paths[pattern]:
            if (path := _joined(aliases.folder, target.replace("*", middle))) is not None:
                yield path
    if aliases.base is not None and (path := _joined(aliases.base, module)) is not None:
        yield path


def _exported(exports: Any, wanted: str) -> list[str]:
    """Targets of a subpath (`.`, `./x`, `#x`) in an `exports` or `imports` field, whatever their conditions."""
    if isinstance(exports, dict) and any(isinstance(key, str) and key.startswith((".", "#")) for key in exports):
        best: tuple[int, Any, str] | None = None
        for key, value in exports.items():
            before, star, after = key.partition("*")
            fits = wanted.startswith(before) and wanted.endswith(after) and len(wanted) >= len(before) + len(after)
            if key == wanted:
                return _targets(value, "")
            if star and fits and (best is None or len(before) > best[0]):
                best = len(before), value, wanted[len(before) : len(wanted) - len(after)]
        return _targets(best[1], best[2]) if best else []
    return _targets(exports, "") if wanted == "." else []


def _targets(value: Any, middle: str) -> list[str]:
    """All strings in a conditional target, in their order."""
    found: list[str] = []
    stack = [value]
    while stack:
        one = stack.pop()
        if isinstance(one, str):
            found.append(one.replace("*", middle))
        elif isinstance(one, (dict, list)):
            stack.extend(reversed(list(one.values()) if isinstance(one, dict) else one))
    return found


def _folder(path: str) -> str:
    return path.rpartition("/")[0]


def _joined(folder: str, path: str) -> str | None:
    """A path from a folder, its dots resolved; None if it leaves the repository."""
    parts = folder.split("/") if folder else []
    for part in path.split("/"):
        if part == "..":
            if not parts:
                return None
            parts.pop()
        elif part not in ("", "."):
            parts.append(part)
    return "/".join(parts)


def _upwards(folder: str) -> list[str]:
    found = [folder]
    while found[-1]:
        found.append(_folder(found[-1]))
    return found
