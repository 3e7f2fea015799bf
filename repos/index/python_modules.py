"""Resolution of Python modules to files: packages, src layouts, namespace packages, scripts in one folder."""

from collections.abc import Iterable

from repos.index.paths import PYTHON, is_test_path

_SOURCE_FOLDERS = frozenset({"src", "lib", "python", "source"})


class PythonModules:
    """The modules formed by the files of a repository."""

    def __init__(self, paths: Iterable[str]) -> None:
        self._files = frozenset(path for path in paths if path.endswith(PYTHON))
        self._packages = {_folder(path) for path in self._files if _stem(path) == "__init__"}
        self._by_last: dict[str, list[tuple[str, ...]]] = {}
        for parts in sorted({_module_parts(path) for path in self._files}):
            if parts:
                self._by_last.setdefault(parts[-1], []).append(parts)
        self._resolved: dict[tuple[str, str], str | None] = {}
        self._importable = {""} | {
            root
            for package in self._packages
            if (root := self._root(package)) is not None and _folder(package) not in self._packages
        }
        self._importable |= {
            folder for path in self._files for folder in _folders(path) if folder.rpartition("/")[2] in _SOURCE_FOLDERS
        }

    def resolve(self, importer: str, module: str) -> str | None:
        """The file of a module as a statement in `importer` names it, leading dots included; None if it has none."""
        key = _folder(importer), module
        if key not in self._resolved:
            self._resolved[key] = self._resolve(*key)
        return self._resolved[key]

    def _resolve(self, folder: str, module: str) -> str | None:
        name = module.lstrip(".")
        parts = tuple(name.split(".")) if name else ()
        if level := len(module) - len(name):
            base = folder
            for _ in range(level - 1):
                if not base:
                    return None
                base = _folder(base)
            return self._file("/".join((*filter(None, [base]), *parts)))
        return self._absolute(folder, parts) if parts else None

    def submodule(self, importer: str, written: str, package: str | None, name: str) -> str | None:
        """The file of the module `name` in a package that `importer` names, whose own file is given if it has one."""
        if package is None:
            return self.resolve(importer, f"{written}{'' if written.endswith('.') else '.'}{name}")
        return self._file(f"{_folder(package)}/{name}".lstrip("/")) if _stem(package) == "__init__" else None

    def _file(self, stem: str) -> str | None:
        """The module or package at a path without suffix; code takes precedence over its stub."""
        for candidate in (f"{stem}/__init__".lstrip("/"), stem):
            for suffix in PYTHON:
                if candidate + suffix in self._files:
                    return candidate + suffix
        return None

    def _absolute(self, folder: str, parts: tuple[str, ...]) -> str | None:
        best: tuple[tuple[int, bool, int, str], str] | None = None
        home = self._root(folder)
        for known in self._by_last.get(parts[-1], ()):
            if known[-len(parts) :] != parts:
                continue
            prefix = "/".join(known[: -len(parts)])
            rank = self._rank(prefix, f"{folder}/", home, len(parts))
            path = self._file("/".join(known))
            if rank is None or path is None:
                continue
            order = (rank, is_test_path(path), len(known), path)
            if best is None or order < best[0]:
                best = order, path
        return best[1] if best else None

    def _rank(self, prefix: str, inside: str, home: str | None, length: int) -> int | None:
        """How likely a folder is on the path when a file in `inside` runs, 0 the likeliest; None for not at all."""
        if prefix in self._packages:
            return None
        if prefix == home:
            return 0
        if prefix in self._importable:
            return 1 if not prefix or inside.startswith(prefix + "/") else 2
        return 3 if inside.startswith(prefix + "/") or length > 1 else None

    def _root(self, folder: str) -> str | None:
        """The folder that holds the outermost package around a folder."""
        while folder in self._packages:
            if not folder:
                return None
            folder = _folder(folder)
        return folder


def _folder(path: str) -> str:
    return path.rpartition("/")[0]


def _folders(path: str) -> list[str]:
    found = []
    while path := _folder(path):
        found.append(path)
    return found


def _stem(path: str) -> str:
    return path.rpartition("/")[2].rpartition(".")[0]


def _module_parts(path: str) -> tuple[str, ...]:
    parts = path.rpartition(".")[0].split("/")
    return tuple(parts[:-1] if parts[-1] == "__init__" else parts)
