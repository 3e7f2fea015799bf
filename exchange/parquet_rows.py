"""Rows of Parquet files, in memory that the file's own size bounds: what it repeats is held once.

A file of a thousand bytes can stand for gigabytes, since it keeps a value that many rows have only once. Texts are
therefore read as dictionaries (each value once, rows as numbers of values), few rows at a time, and the length of a row
is added up before its values are put in.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from exchange.rows import Row, row_of
from models.errors import UsageError

_ROWS, _BYTES = 128, 8 * 1024**2
"""Limits of what is in memory at once: rows, and their bytes by the file's own figures."""
_VALUE = 8
"""Bytes of a number, or of the place of a text in its dictionary."""


@dataclass(frozen=True)
class LongRow(Row):
    """A row that was skipped since it is too long."""


def long_row(place: str, most: int) -> LongRow:
    """The row at a place that is longer than so many bytes."""
    return LongRow(place, None, f"{place} is longer than {most} bytes")


def parquet_rows(path: Path, most: int, buffer: int) -> Iterator[Row]:
    """The rows of a Parquet file; those of more bytes than `most` are skipped. Raises UsageError."""
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError as error:
        remedy = "install it with `uv sync --inexact --extra train`, or give JSON lines"
        raise UsageError(f"{path}: Parquet files need pyarrow; {remedy}") from error
    number = 0
    try:
        with parquet.ParquetFile(path) as file:
            texts = [column.path for column in _columns(file.schema) if column.physical_type == "BYTE_ARRAY"]
        with parquet.ParquetFile(path, buffer_size=buffer, pre_buffer=False, read_dictionary=texts) as file:
            for group in range(file.num_row_groups):
                rows = _rows_at_once(file.metadata.row_group(group), file.schema)
                for batch in file.iter_batches(batch_size=rows, row_groups=[group], use_threads=False):
                    yield from _batch(batch, number, most)
                    number += batch.num_rows
    except (pyarrow.ArrowException, OSError) as error:
        reason = " ".join(str(error).split())[:200]
        raise UsageError(f"{path}: cannot be read as Parquet after row {number} ({reason}); get it again") from error
    if not number:
        raise UsageError(f"{path}: holds no rows")


def _columns(schema: Any) -> list[Any]:
    return [schema.column(index) for index in range(len(schema))]


def _rows_at_once(group: Any, schema: Any) -> int:
    """How many rows of a group are read at once. Values of a fixed length may be kept once for many rows as well, and
    are no dictionaries in memory: they count in full."""
    size = 0
    for index, column in enumerate(_columns(schema)):
        chunk = group.column(index)
        width = max(_VALUE, column.length) if column.physical_type == "FIXED_LEN_BYTE_ARRAY" else _VALUE
        size += max(chunk.total_uncompressed_size, chunk.num_values * width)
    return int(max(1, min(_ROWS, _BYTES * group.num_rows // max(1, size))))


def _batch(batch: Any, before: int, most: int) -> Iterator[Row]:
    """The rows of a batch of columns; one that is too long or not UTF-8 does not cost the others."""
    places = [f"row {before + index}" for index in range(1, batch.num_rows + 1)]
    if sum(map(_bytes, batch.columns)) <= most:
        try:
            rows = batch.to_pylist()
        except UnicodeDecodeError:
            pass  # row by row, below
        else:
            yield from map(row_of, rows, places)
            return
    for index, place in enumerate(places):
        one = batch.slice(index, 1)
        try:
            long = sum(map(_bytes, one.columns)) > most
            yield long_row(place, most) if long else row_of(one.to_pylist()[0], place)
        except UnicodeDecodeError:
            yield Row(place, None, f"{place} is not UTF-8")


def _bytes(column: Any) -> int:
    """The bytes of a column's values, each counted as often as rows have it."""
    import pyarrow
    from pyarrow import compute

    kind = column.type
    if pyarrow.types.is_dictionary(kind):
        lengths = compute.binary_length(column.dictionary).take(column.indices)
        return (compute.sum(lengths.cast(pyarrow.int64())).as_py() or 0) + _VALUE * len(column)
    if pyarrow.types.is_struct(kind):
        return sum(map(_bytes, column.flatten()))
    if pyarrow.types.is_list(kind) or pyarrow.types.is_large_list(kind) or pyarrow.types.is_fixed_size_list(kind):
        return _bytes(column.flatten()) + _VALUE * len(column)
    if pyarrow.types.is_map(kind):
        begin, end = column.offsets[0].as_py(), column.offsets[len(column)].as_py()
        return sum(_bytes(part.slice(begin, end - begin)) for part in (column.keys, column.items))
    return int(column.nbytes)
