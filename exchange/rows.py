"""Rows of files from elsewhere: JSON lines, JSON, CSV, TSV, Parquet and Arrow, each also compressed by gzip.

The format is told by the content where it can be. A row that cannot be read is given with the reason, so that
the others can be used.
"""

import csv
import gzip
import io
import json
import re
import sys
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from models.errors import UsageError

_GZIP, _PARQUET, _ARROW = b"\x1f\x8b", b"PAR1", b"ARROW1"
_UNUSABLE = {
    b"\x28\xb5\x2f\xfd": "is packed by zstd; unpack it first",
    b"\xfd7zXZ": "is packed by xz; unpack it first",
    b"BZh": "is packed by bzip2; unpack it first",
    b"PK\x03\x04": "is a zip archive; unpack it first",
    b"version https://git-lfs": "is a pointer of Git LFS and not the data; get the data with `git lfs pull`",
}
"""What other files begin with, and what is to be done about them."""
_PAGE = re.compile(rb"(?:\xef\xbb\xbf)?\s*<(?:!doctype|html|head)\b", re.IGNORECASE)
_MOST_BYTES = 4 * 1024**3
"""Limit of a decompressed file in bytes."""
_TABLES = {".csv": ",", ".tsv": "\t"}
_LISTS = ("rows", "data", "instances", "train", "test", "dev", "validation")
"""Keys under which an object holds the rows."""


@dataclass(frozen=True)
class Row:
    """One row: where it is in its file (`line 3`, `row 3`), and its object, or the message why it has none."""

    place: str
    value: dict[str, Any] | None
    fault: str = ""


def read_rows(path: Path) -> Iterator[Row]:
    """The rows of a file; blank lines are skipped.

    Raises UsageError for a file that cannot be read as a whole: none of these formats, not UTF-8, empty.
    """
    data = _content(path)
    suffix = Path(path.name.lower().removesuffix(".gz")).suffix
    if data.startswith((_PARQUET, _ARROW)):
        return _columns(data, path)
    refuse_unusable(data, path)
    if not data.strip():
        raise UsageError(f"{path}: holds no rows; give JSON lines, JSON, CSV or Parquet")
    if suffix in _TABLES:
        return _table(_decoded(data, path), _TABLES[suffix], path)
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        data = _decoded(data, path).encode()
    whole = None if suffix in (".jsonl", ".ndjson") else _whole(data, path, suffix)
    if whole is not None:
        return (row_of(value, f"row {number}") for number, value in enumerate(whole, 1))
    return rows_of_lines(data.removeprefix(b"\xef\xbb\xbf").split(b"\n"))


def refuse_unusable(start: bytes, path: Path) -> None:
    """Raise UsageError, with what is to be done, for a file whose first bytes show that it holds no rows."""
    for known, problem in _UNUSABLE.items():
        if start.startswith(known):
            raise UsageError(f"{path}: {problem}")
    if _PAGE.match(start[:256]):
        raise UsageError(f"{path}: is a page and not the data; download the file itself")


def rows_of_lines(lines: Iterable[str | bytes]) -> Iterator[Row]:
    """The rows of JSON lines."""
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        yield row_of_json(line, f"line {number}")


def row_of_json(text: str | bytes, place: str) -> Row:
    """The row that a line, or an element of an array, of JSON holds."""
    try:
        return row_of(json.loads(text), place)
    except RecursionError:
        return Row(place, None, f"{place} is nested too deeply")
    except UnicodeDecodeError as error:
        return Row(place, None, f"{place} is not UTF-8 (its byte {error.start}); convert the file to UTF-8")
    except json.JSONDecodeError as error:
        return Row(place, None, f"{place} is not JSON: {error.msg} at column {error.colno}")
    except ValueError:
        return Row(place, None, f"{place} holds a number that is too long; leave it out")


def row_of(value: object, place: str) -> Row:
    """A value as a row, if it is an object."""
    if isinstance(value, dict):
        return Row(place, value)
    return Row(place, None, f"{place}: field (the whole line): is no object but a {type(value).__name__}")


def _content(path: Path) -> bytes:
    """The bytes of a file, decompressed."""
    try:
        data = path.read_bytes()
        if not data.startswith(_GZIP):
            return data
        with gzip.open(io.BytesIO(data)) as stream:
            data = stream.read(_MOST_BYTES + 1)
    except (OSError, EOFError, zlib.error) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error) or "it ends early"
        raise UsageError(f"{path}: cannot be read ({reason})") from error
    if len(data) > _MOST_BYTES:
        raise UsageError(f"{path}: unpacks to more than {_MOST_BYTES} bytes; split it")
    return data


def _decoded(data: bytes, path: Path) -> str:
    encoding = "utf-16" if data.startswith((b"\xff\xfe", b"\xfe\xff")) else "utf-8-sig"
    try:
        return data.decode(encoding)
    except UnicodeDecodeError as error:
        name = "UTF-16" if encoding == "utf-16" else "UTF-8"
        raise UsageError(f"{path}: is not {name} (byte {error.start}); convert the file to UTF-8") from error


def _whole(data: bytes, path: Path, suffix: str) -> list[Any] | None:
    """The rows of a file that is one JSON value; None if it holds JSON lines."""
    start = data.removeprefix(b"\xef\xbb\xbf").lstrip()[:1]
    if suffix != ".json" and start != b"[":
        return None
    try:
        value = json.loads(_decoded(data, path))
    except RecursionError as error:
        raise UsageError(f"{path}: is nested too deeply to hold rows") from error
    except ValueError as error:
        if start == b"{":
            return None
        raise UsageError(f"{path}: is neither JSON nor JSON lines ({' '.join(str(error).split())})") from error
    return _listed(value)


def _listed(value: object) -> list[Any]:
    """The rows in a JSON value: a list, a list under a key, objects by the id of their instance, columns, or one
    object."""
    if isinstance(value, list):
        return value
    if not isinstance(value, dict):
        return [value]
    ids = value.get("instance_id")
    if isinstance(ids, list | dict):
        return _of_columns(value, ids)
    if ids is not None:
        return [value]
    for key in _LISTS:
        if isinstance(value.get(key), list):
            return list(value[key])
    if value and all(isinstance(each, dict) for each in value.values()):
        return [{"instance_id": key} | each for key, each in value.items()]
    return [value]


def _of_columns(columns: dict[str, Any], ids: list[Any] | dict[str, Any]) -> list[dict[str, Any]]:
    """Rows of an object that holds a list, or an object by row, for each column."""
    keys = range(len(ids)) if isinstance(ids, list) else list(ids)
    by_row: dict[str, dict[Any, Any]] = {
        name: dict(enumerate(column)) if isinstance(column, list) else column
        for name, column in columns.items()
        if isinstance(column, list | dict)
    }
    return [{name: column.get(key) for name, column in by_row.items()} for key in keys]


def _table(text: str, delimiter: str, path: Path) -> Iterator[Row]:
    csv.field_size_limit(min(sys.maxsize, 2**31 - 1))  # patches are longer than its default
    reader = csv.DictReader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    number = 0
    try:
        for number, found in enumerate(reader, 1):
            surplus = found.pop(None, None)
            short = any(value is None for value in found.values())
            if surplus or short:
                much = "more" if surplus else "fewer"
                yield Row(f"row {number}", None, f"row {number} has {much} fields than the header")
            else:
                yield Row(f"row {number}", {key: value if value else None for key, value in found.items()})
    except csv.Error as error:
        raise UsageError(f"{path}: row {number + 1} is not CSV ({error})") from error


def _columns(data: bytes, path: Path) -> Iterator[Row]:
    try:
        import pyarrow
        from pyarrow import ipc, parquet
    except ImportError as error:
        remedy = "install it with `uv sync --inexact --extra train`, or give JSON lines"
        raise UsageError(f"{path}: Parquet and Arrow files need pyarrow; {remedy}") from error
    number = 0
    try:
        if data.startswith(_PARQUET):
            batches = parquet.ParquetFile(pyarrow.BufferReader(data)).iter_batches(batch_size=256)
        else:
            reader = ipc.open_file(data)
            batches = (reader.get_batch(index) for index in range(reader.num_record_batches))
        for batch in batches:
            for value in batch.to_pylist():
                number += 1
                yield row_of(value, f"row {number}")
    except (pyarrow.ArrowException, OSError) as error:
        reason = " ".join(str(error).split())[:200]
        raise UsageError(f"{path}: cannot be read after row {number} ({reason})") from error
    if not number:
        raise UsageError(f"{path}: holds no rows")
