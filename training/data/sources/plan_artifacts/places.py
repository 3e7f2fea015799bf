"""Places that a text names: paths of files and symbols, resolved against the paths of a repository."""

import re
from collections import defaultdict
from collections.abc import Iterable
from functools import cached_property
from pathlib import PurePosixPath

_SPAN = re.compile(r"`([^`\n]{1,200})`")
_BARE = re.compile(r"(?<![\w`/.@:~$-])((?:[\w.@-]+/)+[\w.@-]+\.\w{1,8})\b")
_LINES = re.compile(r"(?::\d[\d,\s–-]*+(?![\w.])|::?[\w.()]++|#L\d[\dL-]*+|\s*+\(.*\))++$")
_PATH = re.compile(r"[\w@.+()\[\]-]+(?:/[\w@.+()\[\]-]+)*")
_EXTENSION = re.compile(r"\.[A-Za-z][A-Za-z0-9]{0,7}$")
_SYMBOL = re.compile(r"[A-Za-z_][\w]*(?:\.[A-Za-z_]\w*)*(?:\(.*\))?")
_ORDINARY = frozenset(["e.g", "i.e", "etc", "node.js", "next.js", "vue.js", "three.js", "d3.js"])
_EXTENSIONS = """
    py pyi js jsx ts tsx mjs cjs go rs java kt rb php c h cc cpp hpp cs swift m scala sh bash zsh ps1 bat sql html css
    scss vue svelte toml yaml yml json ini cfg conf proto tf lua ex exs erl hs ml r jl zig nim dart md mdx rst txt tmpl
    jinja j2 gotmpl xml gradle mod sum lock lisp el clj graphql env dockerfile plist
"""
FILE_EXTENSIONS = frozenset(_EXTENSIONS.split())
"""Extensions by which a word without a folder is taken for a file; `time.sleep` is none."""


def paths_in(text: str) -> list[str]:
    """Words of a text that are written like paths of files, each once, in order. Line numbers are cut off."""
    found: dict[str, None] = {}
    for span in _SPAN.finditer(text):
        if path := as_path(span[1]):
            found[path] = None
    for bare in _BARE.finditer(_SPAN.sub(" ", text)):
        if path := as_path(bare[1]):
            found[path] = None
    return list(found)


def as_path(word: str) -> str | None:
    """The path that a word is, or None. Only paths inside a repository: none that is absolute or leads out of it."""
    word = _LINES.sub("", word.strip().removeprefix("./"))
    if "://" in word or word.startswith(("/", "~", "$", "-", "..")) or not _PATH.fullmatch(word):
        return None
    if not _EXTENSION.search(word):
        return word if PurePosixPath(word).name in ("Dockerfile", "Makefile", "Justfile") else None
    extension = word.rpartition(".")[2].lower()
    if extension not in FILE_EXTENSIONS or word.lower() in _ORDINARY:
        return None
    return word


def symbols_in(text: str) -> list[str]:
    """Code spans of a text that are written like names of symbols (`Class.method`, `call()`), each once, in order."""
    found: dict[str, None] = {}
    for span in _SPAN.finditer(text):
        word = span[1].strip()
        if as_path(word) is None and _SYMBOL.fullmatch(word):
            found[word.partition("(")[0]] = None
    return list(found)


def distinctive(symbol: str) -> str | None:
    """The last part of a symbol, if hardly any prose holds it: of six characters or more, in camelCase or with `_`."""
    name = symbol.rpartition(".")[2]
    mixed = "_" in name.strip("_") or re.search(r"[a-z][A-Z]", name)
    return name if len(name) >= 6 and mixed else None


class KnownPaths:
    """Paths of a repository, to which words of a text are resolved."""

    def __init__(self, paths: Iterable[str]) -> None:
        self.paths = frozenset(paths)

    def resolve(self, word: str) -> str | None:
        """The path that a word means: itself, or the only one that ends in it; None if there is none or several."""
        if word in self.paths:
            return word
        ending = [path for path in self._by_name[word.rpartition("/")[2]] if path.endswith(f"/{word}")]
        return ending[0] if len(ending) == 1 else None

    def ambiguous(self, word: str) -> bool:
        """Whether several paths end in a word that is none of them."""
        return (
            word not in self.paths and sum(p.endswith(f"/{word}") for p in self._by_name[word.rpartition("/")[2]]) > 1
        )

    @cached_property
    def folders(self) -> frozenset[str]:
        """Top folders."""
        return frozenset(path.partition("/")[0] for path in self.paths if "/" in path)

    @cached_property
    def _by_name(self) -> defaultdict[str, list[str]]:
        found: defaultdict[str, list[str]] = defaultdict(list)
        for path in self.paths:
            found[path.rpartition("/")[2]].append(path)
        return found
