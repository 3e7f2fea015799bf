"""Parquet files that stand for far more than their size: read in memory that stays small, with the same rows."""

import subprocess
import sys
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow
import pytest
from pyarrow import parquet

from exchange import streaming
from exchange.parquet_rows import LongRow
from exchange.streaming import stream_rows

MOST_MIB = 300
LONG = "x" * 4_200_000
READ = """
import resource, sys
from pathlib import Path

import pyarrow.parquet
from exchange.streaming import stream_rows

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024

before = peak()
count = sum(row.value is not None for row in stream_rows(Path(sys.argv[1])))
print(count, peak() - before)
"""
REPEATED = {
    "texts": (pyarrow.array([LONG]), 128),
    "bytes": (pyarrow.array([LONG.encode()]), 128),
    "large texts": (pyarrow.array([LONG], pyarrow.large_string()), 128),
    "texts of a fixed length": (pyarrow.array([LONG.encode()], pyarrow.binary(len(LONG))), 128),
    "texts in objects": (pyarrow.array([{"a": LONG}]), 128),
    "texts in lists": (pyarrow.array([[LONG]]), 128),
    "one text many times in a row": (pyarrow.array([[LONG] * 400]), 0),
    "numbers in lists": (pyarrow.array([[1] * 500_000]), 128),
}


@pytest.mark.parametrize("name", REPEATED)
def test_a_value_that_many_rows_have_is_in_memory_once(tmp_path: Path, name: str) -> None:
    value, kept = REPEATED[name]
    path = tmp_path / "a.parquet"
    rows = pyarrow.table({"text": value}).take([0] * (128 if kept else 1))
    parquet.write_table(rows, path, compression="zstd")
    del rows
    done = subprocess.run([sys.executable, "-c", READ, path], check=True, capture_output=True, text=True)
    count, grown = map(int, done.stdout.split())
    assert count == kept
    assert grown < MOST_MIB


COLUMNS: dict[str, list[Any]] = {
    "text": ["a", None, "a", ""],
    "bytes": [b"a", None, b"\xff", b""],
    "number": [1, 2, None, 3],
    "truth": [True, None, False, True],
    "texts": [["a", "b"], [], None, ["a", None]],
    "object": [{"a": "x", "b": [1]}, None, {"a": None, "b": []}, {"a": "y", "b": None}],
    "objects": [[{"a": "x"}, None], [], None, [{"a": None}]],
}


@pytest.mark.parametrize("at_once", [10_000, 1])
def test_values_of_every_type_are_those_that_were_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at_once: int
) -> None:
    path = tmp_path / "a.parquet"
    table = pyarrow.table(COLUMNS | {"exact": [Decimal("1.5"), None, Decimal("2.5"), None]})
    table = table.append_column("pairs", pyarrow.array([[("a", "b")], [], None, [("c", None)]], _PAIRS))
    table = table.append_column("kinds", pyarrow.array(["a", None, "b", "a"]).dictionary_encode())
    parquet.write_table(table, path, row_group_size=3)
    monkeypatch.setattr(streaming, "MOST_BYTES", at_once * 300)
    assert [row.value for row in stream_rows(path)] == table.to_pylist()


_PAIRS = pyarrow.map_(pyarrow.string(), pyarrow.string())


def test_only_the_rows_that_are_too_long_are_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.parquet"
    texts = [["a" * 600], ["a" * 600] * 2, [], ["b"] * 3]
    parquet.write_table(pyarrow.table({"texts": texts}), path)
    monkeypatch.setattr(streaming, "MOST_BYTES", 1000)
    rows = list(stream_rows(path))
    assert [isinstance(row, LongRow) for row in rows] == [False, True, False, False]
    assert [row.value for row in rows if not isinstance(row, LongRow)] == [{"texts": texts[n]} for n in (0, 2, 3)]


def test_a_dictionary_that_changes_within_a_group_is_followed(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    rows = [{"text": f"{n}" * 500, "texts": [f"{n}" * 500, "a"], "object": {"a": f"{n}" * 500}} for n in range(2000)]
    parquet.write_table(pyarrow.Table.from_pylist(rows), path)
    assert [row.value for row in stream_rows(path)] == rows
