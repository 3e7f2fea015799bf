"""Large files from elsewhere: read piece by piece, with the same rows as when they are read whole, and faults named."""

import gzip
import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pyarrow
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyarrow import parquet

from exchange import streaming
from exchange.parquet_rows import LongRow
from exchange.rows import Row, read_rows
from exchange.streaming import data_files, stream_rows
from models.errors import UsageError
from tests.support.dataset_rows import write_rows

ROWS = [{"text": f"row {number}: é 😀 \u2028 \x0c", "number": number} for number in range(300)]
SMALL = 2000
"""Limit of a row in some tests, in bytes."""
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@pytest.fixture
def small_rows() -> Iterator[None]:
    with patch.object(streaming, "MOST_BYTES", SMALL):
        yield


def fault(path: Path) -> str:
    with pytest.raises(UsageError) as caught:
        list(stream_rows(path))
    message = str(caught.value)
    assert path.name in message and "\n" not in message
    return message


@pytest.mark.parametrize("name", ["a.parquet", "a.jsonl", "a.json", "a.jsonl.gz", "a.json.gz"])
def test_rows_are_those_of_the_whole_file(tmp_path: Path, name: str) -> None:
    path = write_rows(tmp_path / name, ROWS)
    assert list(stream_rows(path)) == list(read_rows(path))
    assert [row.value for row in stream_rows(path)] == ROWS


@given(
    rows=st.lists(st.dictionaries(st.text(max_size=5), JSON, max_size=3), min_size=1, max_size=5), indent=st.booleans()
)
def test_an_array_read_in_pieces_holds_the_rows_it_was_written_from(
    tmp_path_factory: pytest.TempPathFactory, rows: list[dict[str, Any]], indent: bool
) -> None:
    path = tmp_path_factory.getbasetemp() / "pieces.json"
    path.write_text(json.dumps(rows, indent=1 if indent else None, ensure_ascii=not indent), "utf-8", "surrogatepass")
    with patch.object(streaming, "_CHUNK", 7):
        assert [row.value for row in stream_rows(path)] == rows


@pytest.mark.parametrize("start", ["", "\ufeff", "\n  "])
@pytest.mark.parametrize("name", ["a.json", "a.jsonl"])
def test_a_byte_order_mark_and_blank_lines_before_the_rows_are_skipped(tmp_path: Path, name: str, start: str) -> None:
    path = write_rows(tmp_path / name, ROWS[:2])
    path.write_text(start + path.read_text())
    assert [row.value for row in stream_rows(path)] == ROWS[:2]


@pytest.mark.parametrize("name", ["a.jsonl", "a.json"])
def test_half_a_surrogate_pair_stays_what_it_is(tmp_path: Path, name: str) -> None:
    path = write_rows(tmp_path / name, [{"text": "x\ud800y\0"}])
    assert [row.value for row in stream_rows(path)] == [{"text": "x\ud800y\0"}]


@pytest.mark.parametrize("name", ["a.jsonl", "a.json", "a.jsonl.gz", "a.parquet"])
@pytest.mark.usefixtures("small_rows")
def test_a_row_that_is_too_long_is_skipped_and_named(tmp_path: Path, name: str) -> None:
    path = write_rows(tmp_path / name, [{"text": "a"}, {"text": "b" * 3 * SMALL}, {"text": "c"}])
    first, long, last = stream_rows(path)
    assert (first.value, last.value) == ({"text": "a"}, {"text": "c"})
    assert isinstance(long, LongRow)
    assert (long.place, long.value) == ("row 2" if name in ("a.json", "a.parquet") else "line 2", None)


@pytest.mark.usefixtures("small_rows")
def test_an_element_without_an_end_is_not_read_into_memory(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text('[{"text": "a"}, {"text": "' + "b" * 40 * SMALL)
    with patch.object(streaming, "_CHUNK", SMALL):
        assert "row 2" in fault(path)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"<!DOCTYPE html><html><body>Not found</body></html>", "page"),
        (b"\n <HTML lang=en>", "page"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n", "git lfs pull"),
        (b"\x28\xb5\x2f\xfd\x00\x00", "zstd"),
        (b"PK\x03\x04", "zip"),
        (b"", "no rows"),
        (b" \n\n", "no rows"),
        ("[1]".encode("utf-16"), "UTF-16"),
        (b"PAR1", "Parquet"),
        (b"PAR1" + bytes(200), "Parquet"),
        (b"ARROW1\0\0", "Arrow"),
        (b'[{"a": 1}, {"a"', "after row 1"),
        (b'[{"a": 1}, oops]', "after row 1"),
        (b'[{"a": "\xff"}]', "UTF-8"),
        (b"[" * 100_000, "row 0"),
    ],
)
def test_a_file_that_holds_no_rows_is_named_with_a_remedy(tmp_path: Path, content: bytes, says: str) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_bytes(content)
    assert says in fault(path)


def test_a_truncated_parquet_file_is_named(tmp_path: Path) -> None:
    path = write_rows(tmp_path / "a.parquet", ROWS)
    path.write_bytes(path.read_bytes()[:-100])
    assert "Parquet" in fault(path)


def test_a_parquet_file_with_damaged_pages_is_named_or_read(tmp_path: Path) -> None:
    whole = write_rows(tmp_path / "a.parquet", ROWS).read_bytes()
    chosen = random.Random(0)
    for _ in range(20):
        at = chosen.randrange(4, len(whole) - 8)
        path = tmp_path / "damaged.parquet"
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 0xFF]) + whole[at + 1 :])
        try:
            assert len(list(stream_rows(path))) <= len(ROWS)
        except UsageError as error:
            assert path.name in str(error)


def test_text_that_is_not_utf8_in_parquet_costs_its_row_only(tmp_path: Path) -> None:
    texts = pyarrow.array([b"a", b"\xff", b"c"]).view(pyarrow.string())
    path = tmp_path / "a.parquet"
    parquet.write_table(pyarrow.table({"text": texts}), path)
    assert [row.value for row in stream_rows(path)] == [{"text": "a"}, None, {"text": "c"}]


def test_lines_that_are_no_rows_do_not_cost_the_others(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(b'{"a": 1}\noops\n{"a": "\xff"}\n[1]\n' + b"[" * 100_000 + b'\n{"a": "\0"}\n{"a": 2}')
    assert [row.value for row in stream_rows(path)] == [{"a": 1}, None, None, None, None, None, {"a": 2}]


def test_gzip_that_breaks_off_is_named_after_the_rows_before(tmp_path: Path) -> None:
    text = "".join(json.dumps({"text": random.Random(n).randbytes(50).hex()}) + "\n" for n in range(2000))
    path = tmp_path / "a.jsonl.gz"
    path.write_bytes(gzip.compress(text.encode())[:-1000])
    read: list[Row] = []
    with pytest.raises(UsageError, match=r"a\.jsonl\.gz"):
        read.extend(stream_rows(path))
    assert "get it again" in fault(path)


def test_a_file_packed_twice_is_named(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl.gz"
    path.write_bytes(gzip.compress(gzip.compress(b'{"a": 1}')))
    assert "twice" in fault(path)


@pytest.mark.parametrize("line", [b"{}\n", b'{"a": 1}\n', b"x"])
def test_a_gzip_bomb_is_refused(tmp_path: Path, line: bytes) -> None:
    path = tmp_path / "a.jsonl.gz"
    path.write_bytes(gzip.compress(line * (500_000 // len(line))))
    with patch.object(streaming, "RATIO_FROM", 2**16), patch.object(streaming, "_CHUNK", 4096):
        assert "times its size" in fault(path)


def test_the_files_of_a_folder_are_those_with_rows_in_order(tmp_path: Path) -> None:
    for name in ("b.jsonl", "a/x.parquet", "a/.cache/y.parquet", "dataset_infos.json", "README.md", "c.JSON.GZ"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    assert [path.relative_to(tmp_path).as_posix() for path in data_files(tmp_path)] == [
        "a/x.parquet",
        "b.jsonl",
        "c.JSON.GZ",
    ]


def test_a_place_without_rows_is_named(tmp_path: Path) -> None:
    for place in (tmp_path, tmp_path / "nowhere"):
        with pytest.raises(UsageError, match=place.name):
            data_files(place)
