"""Rows of large files from elsewhere, one by one and in flat memory: Parquet, JSON lines and arrays of JSON, the last
two also compressed by gzip.

What `exchange.rows` reads whole is read here in pieces. A row that cannot be read is given with the reason, and one
that is longer than `MOST_BYTES` is skipped and given as `LongRow`. Arrays are divided into their elements by the
standard library's decoder, since faster parsers replace half surrogate pairs without saying so.
"""

import codecs
import gzip
import json
import re
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, NamedTuple

from exchange.parquet_rows import long_row, parquet_rows
from exchange.rows import Row, refuse_unusable, row_of, row_of_json
from models.errors import UsageError

MOST_BYTES = 8 * 1024**2
"""Limit of a row in bytes."""
MOST_RATIO = 200
"""Limit of the bytes that a byte of a gzip file unpacks to, once it has given `RATIO_FROM` bytes; text has under 20."""
RATIO_FROM = 64 * 1024**2
SUFFIXES = (".parquet", ".jsonl", ".ndjson", ".json", ".jsonl.gz", ".ndjson.gz", ".json.gz")
_GZIP, _PARQUET, _ARROW = b"\x1f\x8b", b"PAR1", b"ARROW1"
_CHUNK = 256 * 1024
_UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_GAP = re.compile(r"[\s,]*")
_DECODER = json.JSONDecoder()


def data_files(place: Path) -> list[Path]:
    """The files of rows at a place, in the order of their names: the file itself, or those of a folder and below.

    Raises UsageError if there is none.
    """
    if place.is_file():
        return [place]
    if not place.is_dir():
        raise UsageError(f"{place} does not exist; give a file of rows or a folder that holds some")
    found = sorted(path for path in place.rglob("*") if path.name.lower().endswith(SUFFIXES) and path.is_file())
    kept = [path for path in found if not any(part.startswith(".") for part in path.relative_to(place).parts)]
    kept = [path for path in kept if path.name not in ("dataset_info.json", "dataset_infos.json", "state.json")]
    if not kept:
        raise UsageError(f"{place} holds no file of rows; give a folder with {', '.join(SUFFIXES[:4])}, or .gz of JSON")
    return kept


def stream_rows(path: Path) -> Iterator[Row]:
    """The rows of a file, read as they are asked for; blank lines are skipped.

    Raises UsageError for a file that cannot be read, at its start or where it breaks off.
    """
    try:
        with path.open("rb") as file:
            start = file.read(512)
    except OSError as error:
        raise UsageError(f"{path}: cannot be read ({error.strerror})") from error
    if start.startswith(_PARQUET):
        yield from parquet_rows(path, MOST_BYTES, _CHUNK)
        return
    with _unpacked(path, start) as stream:
        start = stream.peek()
        refuse_unusable(start, path)
        if start.startswith((_PARQUET, _ARROW, *_UTF16, _GZIP)):
            raise UsageError(f"{path}: is {_form(start)}; give Parquet as it is, or JSON lines in UTF-8")
        if not start.strip():
            raise UsageError(f"{path}: holds no rows; give JSON lines, a JSON array or Parquet")
        if start.removeprefix(codecs.BOM_UTF8).lstrip().startswith(b"["):
            yield from _array(stream, path)
        else:
            yield from _lines(stream)


def _form(start: bytes) -> str:
    if start.startswith(_UTF16):
        return "UTF-16"
    if start.startswith(_ARROW):
        return "an Arrow file"
    return "packed twice by gzip" if start.startswith(_GZIP) else "Parquet packed by gzip"


class _Bounded:
    """A stream of bytes that raises UsageError, naming its file, where it cannot be read or unpacks to too much."""

    def __init__(self, stream: IO[bytes], path: Path, packed: IO[bytes] | None) -> None:
        self._stream, self._path, self._packed = stream, path, packed
        self._given = 0
        self._ahead = b""

    def peek(self) -> bytes:
        """The first bytes, which `read` and `readline` give again."""
        self._ahead = self.read(512)
        return self._ahead

    def read(self, size: int) -> bytes:
        return self._take(lambda size: self._stream.read(size), size)

    def readline(self, size: int) -> bytes:
        if b"\n" in self._ahead:
            end = self._ahead.index(b"\n") + 1
            line, self._ahead = self._ahead[:end], self._ahead[end:]
            return line
        return self._take(lambda size: self._stream.readline(size), size)

    def _take(self, get: Any, size: int) -> bytes:
        ahead, self._ahead = self._ahead, b""
        try:
            data: bytes = ahead + get(size)
        except (OSError, EOFError, zlib.error) as error:
            reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error) or "it ends early"
            raise UsageError(f"{self._path}: cannot be read ({reason}); get it again") from error
        self._given += len(data)
        if self._packed is not None and self._given > RATIO_FROM:
            ratio = self._given / max(1, self._packed.tell())
            if ratio > MOST_RATIO:
                raise UsageError(
                    f"{self._path}: unpacks to {ratio:.0f} times its size, over {MOST_RATIO}; unpack it yourself if "
                    "you trust it"
                )
        return data


@contextmanager
def _unpacked(path: Path, start: bytes) -> Iterator[_Bounded]:
    with path.open("rb") as file:
        if not start.startswith(_GZIP):
            yield _Bounded(file, path, None)
            return
        with gzip.open(file) as stream:
            yield _Bounded(stream, path, file)  # type: ignore[arg-type]


def _lines(stream: _Bounded) -> Iterator[Row]:
    number = 0
    while line := stream.readline(MOST_BYTES + 1):
        number += 1
        place = f"line {number}"
        if len(line) > MOST_BYTES and not line.endswith(b"\n"):
            while (line := stream.readline(_CHUNK)) and not line.endswith(b"\n"):
                pass
            yield long_row(place, MOST_BYTES)
        elif line := line.removeprefix(codecs.BOM_UTF8 if number == 1 else b"").strip():
            yield row_of_json(line, place)


def _array(stream: _Bounded, path: Path) -> Iterator[Row]:
    """The elements of a JSON array, each decoded as soon as it is complete."""
    utf8 = codecs.getincrementaldecoder("utf-8-sig")()
    text, number, wanted, first, last = "", 0, _CHUNK, True, False
    while not last:
        data = stream.read(wanted)
        last = not data
        try:
            text += utf8.decode(data, last)
        except UnicodeDecodeError as error:
            raise UsageError(f"{path}: is not UTF-8 after row {number}; convert the file to UTF-8") from error
        position = text.index("[") + 1 if first else 0
        first, fault = False, ""
        while not fault:
            position = _GAP.match(text, position).end()  # type: ignore[union-attr]
            if text.startswith("]", position):
                return
            element, fault = _element(text, position, last)
            if element is not None:
                number += 1
                place, length = f"row {number}", element.end - position
                position = element.end
                long = length > MOST_BYTES
                yield long_row(place, MOST_BYTES) if long else row_of(element.value, place)
        text = text[position:]
        if len(text) > 8 * MOST_BYTES:
            raise UsageError(
                f"{path}: row {number + 1} is longer than {MOST_BYTES} bytes, or no JSON ({fault}); leave it out"
            )
        wanted = max(_CHUNK, len(text))
    raise UsageError(f"{path}: breaks off or is no JSON after row {number} ({fault}); get it again")


class _Element(NamedTuple):
    value: Any
    end: int


def _element(text: str, position: int, last: bool) -> tuple[_Element | None, str]:
    """The value at a position of an array; or None and why, if it is incomplete or no JSON."""
    try:
        value, end = _DECODER.raw_decode(text, position)
    except json.JSONDecodeError as error:
        return None, error.msg
    except (RecursionError, ValueError) as error:
        return None, "nested too deeply" if isinstance(error, RecursionError) else "a number is too long"
    if end == len(text) and not last:
        return None, "incomplete"  # a number may go on
    return _Element(value, end), ""
