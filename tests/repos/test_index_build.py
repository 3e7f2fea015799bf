"""Indexing a revision: what is in the index, what is read again, and that the cache changes nothing but the time."""

import sqlite3
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import pytest

from repos.git import Git
from repos.index import IndexCache, build_index
from repos.index.symbols import SymbolKind
from repos.sources import GitSource
from tests.support.index_material import indexed, repository, told

CODE = '''"""Sizes of things.

More on them.
"""

import os
from pkg.other import helper as h

LIMIT = 3


@decorate(
    1
)
class Box(Base):
    """A box.

    It holds.
    """

    def size(
        self,
        unit: str = "m",
    ) -> int:
        """Its size."""
        return h(self.width)  # in metres


async def main(): ...
'''


def test_a_file_tells_its_symbols_with_heads_and_first_paragraphs(tmp_path: Path) -> None:
    file = indexed(tmp_path, {"pkg/box.py": CODE}).file("pkg/box.py")
    assert (file.language, file.kind, file.doc, file.lines) == ("python", "production", "Sizes of things.", 29)
    assert [(s.name, s.kind, s.start_line, s.end_line) for s in file.symbols] == [
        ("LIMIT", SymbolKind.CONSTANT, 9, 9),
        ("Box", SymbolKind.CLASS, 12, 26),
        ("Box.size", SymbolKind.METHOD, 21, 26),
        ("main", SymbolKind.FUNCTION, 29, 29),
    ]
    limit, box, size, main = file.symbols
    assert (limit.signature, main.signature) == ("LIMIT = 3", "async def main()")
    assert (box.signature, box.doc, box.decorators) == ("class Box(Base)", "A box.", ("decorate(1)",))
    assert (size.signature, size.doc) == ('def size(self, unit: str = "m") -> int', "Its size.")
    assert file.text_of(main) == "async def main(): ..."


def test_names_in_code_are_apart_from_words_in_comments_and_strings(tmp_path: Path) -> None:
    file = indexed(tmp_path, {"box.py": CODE}).file("box.py")
    assert file.identifiers["width"] == 1
    assert file.identifiers["self"] == 2
    assert "return" not in file.identifiers
    assert file.words["metres"] == 1
    assert file.words["box"] == 1
    assert file.subtokens["box"] == 1
    assert "metres" not in file.subtokens
    assert file.uses["Box.size"] == ("h", "int", "self", "size", "str", "unit", "width")
    assert "width" not in file.uses["Box"]


def test_a_text_that_is_no_code_counts_as_words(tmp_path: Path) -> None:
    file = indexed(tmp_path, {"README.md": "# readHTTPResponse\nRead it, read_it!\n"}).file("README.md")
    assert dict(file.words) == {"http": 1, "it": 2, "read": 3, "response": 1}
    assert (file.language, file.symbols, dict(file.identifiers)) == (None, (), {})


def test_what_cannot_be_read_as_code_is_listed_all_the_same(tmp_path: Path) -> None:
    index = indexed(
        tmp_path,
        {
            "broken.py": "def good():\n    pass\n\ndef bad(:\n  ]]\n\nclass After:\n    pass\n",
            "latin.py": 'NAME = "caf\xe9"\ndef caf\xe9(): pass\n'.encode("latin-1"),
            "nul.py": b"a = 1\0",
            "image.png": b"\x89PNG\r\n\x1a\n" + bytes(range(128, 256)) * 9,
            "huge.py": "x = 1\n" * 200_000,
            "app.min.js": "function f(){}",
            "bundle.js": "function f(){return 1};" * 400,
            "vendor/lib.py": "def vendored(): pass",
            "uv.lock": "name = 1\n",
            "made.py": "# Automatically generated, do not edit.\ndef made(): ...\n",
            "link.py": ("120000", "huge.py"),
            "module": ("160000", "1" * 40),
            "Case.py": "UPPER = 1\n",
            "case.py": "lower = 1\n",
            "empty.py": "",
            "bom.py": "\ufeffimport os\nBOM = 1\n",
            "crlf.py": "def f():\r\n    return 1\r\n",
        },
    )
    assert set(index.paths()) == {
        "broken.py",
        "latin.py",
        "huge.py",
        "app.min.js",
        "bundle.js",
        "vendor/lib.py",
        "uv.lock",
        "made.py",
        "Case.py",
        "case.py",
        "empty.py",
        "bom.py",
        "crlf.py",
    }
    names = {path: [symbol.name for symbol in index.file(path).symbols] for path in index.paths()}
    assert "good" in names["broken.py"]
    assert names["latin.py"][0] == "NAME"
    for unread in ("huge.py", "app.min.js", "vendor/lib.py", "uv.lock", "bundle.js", "empty.py"):
        assert names[unread] == []
    assert (names["Case.py"], names["case.py"], names["bom.py"], names["crlf.py"]) == (
        ["UPPER"],
        ["lower"],
        ["BOM"],
        ["f"],
    )
    generated = {path for path in index.paths() if index.file(path).generated}
    assert generated == {"app.min.js", "vendor/lib.py", "uv.lock", "made.py"}


def test_an_empty_revision_has_an_empty_index(tmp_path: Path) -> None:
    git = repository(tmp_path / "r", {"a.py": "x = 1"}, {"a.py": None})
    index = build_index(GitSource(git, "HEAD"), IndexCache(tmp_path / "cache"))
    assert (index.paths(), index.overview(100), len(index.commits)) == ((), "", 2)
    with pytest.raises(KeyError):
        index.file("a.py")


HISTORY = (
    {
        "src/pkg/__init__.py": "from .core import run\n",
        "src/pkg/core.py": CODE,
        "tests/test_core.py": "import pkg\npkg.run()\n",
    },
    {"src/pkg/core.py": CODE + "\ndef run(): return LIMIT\n", "docs/a.md": "Runs.\n"},
    {"src/pkg/core.py": CODE + "\ndef run(): return LIMIT + 1\n"},
    {"src/pkg/extra.py": "from pkg import run\ndef walk(): run()\n", "docs/a.md": None},
)


def _parsed(git: Git, revision: str, cache: IndexCache) -> int:
    counted = [0]
    build_index(GitSource(git, revision), cache, lambda done, _: counted.append(done))
    return counted[-1]


def test_the_next_commit_parses_only_what_changed(tmp_path: Path) -> None:
    git = repository(tmp_path / "r", *HISTORY)
    cache = IndexCache(tmp_path / "cache")
    assert [_parsed(git, f"HEAD~{back}", cache) for back in (3, 3, 2, 1, 0, 3)] == [3, 0, 2, 1, 1, 0]
    assert [_parsed(git, f"HEAD~{back}", IndexCache(tmp_path / "cache")) for back in (0, 1)] == [0, 0]


def test_an_index_is_the_same_whatever_the_cache_holds(tmp_path: Path) -> None:
    git = repository(tmp_path / "r", *HISTORY)
    for order in ((0, 1, 2, 3), (3, 2, 1, 0), (2, 0, 0, 3, 1)):
        cache = IndexCache(tmp_path / f"cache-{order}")
        for back in order:
            source = GitSource(git, f"HEAD~{back}")
            fresh = told(build_index(source))
            assert told(build_index(source, cache)) == fresh
            assert told(build_index(source, IndexCache(tmp_path / f"cache-{order}"))) == fresh


@pytest.mark.parametrize("damage", ["flipped bytes", "truncated", "no database", "wrong table", "stale journal"])
def test_a_damaged_cache_is_made_anew(tmp_path: Path, damage: str) -> None:
    git = repository(tmp_path / "r", *HISTORY)
    source = GitSource(git, "HEAD")
    told(build_index(source, IndexCache(tmp_path)))
    path = tmp_path / "index.db"
    if damage == "flipped bytes":
        with sqlite3.connect(path) as db:
            db.execute("UPDATE records SET tokens = zeroblob(length(tokens))")
            db.execute("UPDATE histories SET history = x'00'")
    elif damage == "truncated":
        path.write_bytes(path.read_bytes()[:5000])
    elif damage == "no database":
        path.write_bytes(b"nonsense " * 2000)
    elif damage == "wrong table":
        path.unlink()
        with sqlite3.connect(path) as db:
            db.execute("CREATE TABLE records (a)")
    else:
        (tmp_path / "index.db-journal").write_bytes(b"junk" * 500)
    assert told(build_index(source, IndexCache(tmp_path))) == told(build_index(source))
    assert _parsed(git, "HEAD", IndexCache(tmp_path)) == 0


def _told(arguments: tuple[str, str, str]) -> str:
    directory, revision, cache = arguments
    return told(build_index(GitSource(Git(Path(directory)), revision), IndexCache(Path(cache))))


def test_processes_may_share_a_cache(tmp_path: Path) -> None:
    git = repository(tmp_path / "r", *HISTORY)
    work = [(str(git.directory), f"HEAD~{number % 4}", str(tmp_path / "cache")) for number in range(12)]
    with ProcessPoolExecutor(4) as pool:
        found = list(pool.map(_told, work))
    assert found == [told(build_index(GitSource(git, revision))) for _, revision, _ in work]
