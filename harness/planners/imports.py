"""Imports between changed files, by paths and import lines alone."""

import posixpath
import re
from collections.abc import Iterable

from repos.index.paths import SCRIPT

_FROM = re.compile(r"^[ \t]*from[ \t]+(\.*)([\w.]*)[ \t]+import[ \t]+(\([^)]*\)|[^\n#]*)", re.MULTILINE)
_IMPORT = re.compile(r"^[ \t]*import[ \t]+([\w.]+[\w., \t]*)", re.MULTILINE)
_SCRIPT = re.compile(r"""(?:\bfrom\s*|\bimport\s*\(?\s*|\brequire\s*\(\s*)["'](\.{1,2}/[^"'\n]*)["']""")


def imported(path: str, text: str, others: Iterable[str]) -> set[str]:
    """The files among `others` that the file at `path` imports."""
    if path.endswith((".py", ".pyi")):
        modules = _python_modules(path, text)
        return {other for other in others if any(_is_module(other, *module) for module in modules)}
    if path.endswith(SCRIPT):
        folder = posixpath.dirname(path)
        wanted = {posixpath.normpath(posixpath.join(folder, match)) for match in _SCRIPT.findall(text)}
        return {other for other in others if _script_stems(other) & wanted}
    return set()


def _python_modules(path: str, text: str) -> set[tuple[str, bool]]:
    """Module paths with slashes, and whether each is complete (it was relative) or only an ending."""
    found: set[tuple[str, bool]] = set()
    for dots, module, names in _FROM.findall(text):
        base = module.replace(".", "/")
        if dots:
            folder = path
            for _ in dots:
                folder = posixpath.dirname(folder)
            base = posixpath.join(folder, base).rstrip("/")
        found.add((base, bool(dots)))
        for name in re.findall(r"(\w+)(?:\s+as\s+\w+)?\s*(?:,|\)|$)", names.strip("(")):
            found.add((posixpath.join(base, name), bool(dots)))
    for names in _IMPORT.findall(text):
        for name in names.split(","):
            found.add((name.split()[0].replace(".", "/"), False))
    return {module for module in found if module[0]}


def _is_module(path: str, module: str, complete: bool) -> bool:
    stem = re.sub(r"(/__init__)?\.pyi?\Z", "", path)
    return stem == module or (not complete and stem.endswith("/" + module))


def _script_stems(path: str) -> set[str]:
    stem = path[: -len(posixpath.splitext(path)[1])] if path.endswith(SCRIPT) else path
    return {path, stem, re.sub(r"/index\Z", "", stem)}
