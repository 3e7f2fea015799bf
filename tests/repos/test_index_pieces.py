"""Long files are read in pieces: that must tell the same as reading them whole."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from repos.index import pieces
from repos.index.parse import parse_content
from repos.index.pieces import Piece, cut
from repos.index.records import Record

BLOCKS = st.sampled_from(
    [
        "def f():\n    return g(1)  # why\n",
        "async def f():\n    await x.y.z()\n",
        "def f(): ...\n",
        "x = 1\n",
        "class C(Base):\n    '''Doc.\n\n    More.\n    '''\n    def m(self):\n        def inner(): pass\n",
        "@deco\n@other(\n    1,\n)\ndef f(a,\n      b): pass\n",
        "import os\nfrom a.b import (c as d,\n  e)\n",
        "\n\n",
        "# comment\n",
        "if x:\n    def f(): pass\nelse:\n    def f(): pass\n",
        's = """\ndef not_code():\n    pass\n"""\n',
        "t = '''\n@nothing\n'''\n",
        "try:\n    import fast\nexcept ImportError:\n    fast = None\n",
        "y = [\n1,\n2,\n]\n",
        "z = 1 + \\\n  2\n",
        '"""Doc of it."""\n',
        "d.e.f(a.b)\n",
        "with a:\n    pass\n",
        "def broken(:\n",
        ")\n",
        '"""\n',
        "class = 3\n",
        "é = 'ü'\n",
        "def g():\r\n    pass\r\n",
        "@ decorator\nclass D: x = 1\n",
        "match x:\n    case 1:\n        pass\n",
        "def f(\n",
        "    indented = 1\n",
        "@deco\n",
        "async\n",
    ]
)
SOURCES = st.lists(BLOCKS, max_size=14).map("".join)


class Store:
    """Pieces in memory."""

    def __init__(self) -> None:
        self.kept: dict[tuple[str, bytes], bytes] = {}
        self.found = 0

    def find(self, language: str, digests: object) -> dict[bytes, Piece]:
        known = {digest: self.kept[language, digest] for digest in digests if (language, digest) in self.kept}  # type: ignore[attr-defined]
        self.found += len(known)
        return {digest: pieces.unpack(packed) for digest, packed in known.items()}

    def add(self, language: str, found: dict[bytes, Piece]) -> None:
        self.kept |= {(language, digest): pieces.pack(piece) for digest, piece in found.items()}


def told(record: Record) -> object:
    return Record(record.parts).outline, Record(record.parts).tokens, Record(record.parts).uses


@pytest.fixture
def any_length(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    monkeypatch.setattr(pieces, "_LONG", 0)
    return monkeypatch


@settings(max_examples=400)
@given(SOURCES, SOURCES)
def test_pieces_tell_what_the_whole_tells(one: str, other: str) -> None:
    store = Store()
    for text in (one, other, one + other):
        whole = parse_content(text.encode(), "python")
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(pieces, "_LONG", 0)
            in_pieces = parse_content(text.encode(), "python")
            again = parse_content(text.encode(), "python", store)
            kept = parse_content(text.encode(), "python", store)
        assert in_pieces.parts == again.parts == kept.parts
        assert told(in_pieces) == told(whole)


@given(SOURCES)
def test_a_file_is_cut_without_loss(text: str) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pieces, "_LONG", 0)
        assert b"".join(cut(text.encode(), "python")) == text.encode()
        assert cut(text.encode(), "typescript") == [text.encode()]


def test_a_changed_function_leaves_the_other_pieces_as_they_were(any_length: pytest.MonkeyPatch) -> None:
    store = Store()
    text = "import os\n" + "".join(f"def f{number}():\n    return os.path\n" for number in range(10))
    parse_content(text.encode(), "python", store)
    assert (store.found, len(store.kept)) == (0, 11)
    record = parse_content(text.replace("f4():", "f4(x):\n\n").encode(), "python", store)
    assert (store.found, len(store.kept)) == (10, 12)
    lines = {symbol.name: symbol.start_line for symbol in record.outline.symbols}
    assert (lines["f3"], lines["f4"], lines["f5"]) == (8, 10, 14)
