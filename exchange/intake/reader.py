"""The program that reads a medium for the intake: one that does not answer holds up this process, which is left behind.

Its argument is a folder. Requests come as lines of JSON, answers go as frames: a kind (1 byte), a length (4 bytes), a
payload. It opens for reading only, follows no links, waits for no pipes, and writes nothing but its answers. Only the
standard library is used: the program starts without `site`.
"""

import json
import os
import stat
import struct
import sys
import time
from collections.abc import Iterator

FACTS, DATA, FAULT, END = b"F", b"D", b"X", b"."
"""Kinds of frames: entries or the state of a file, bytes of a file, an error of the file system, an answer's end."""
HEADER = struct.Struct(">cI")
PIECE = 1 << 20
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_AT_ONCE = 500  # entries of a frame
_PATIENCE = 1.0  # seconds after which entries that were found are sent in any case


def facts(status: os.stat_result) -> list[int]:
    """What a file system says of an entry."""
    return [status.st_mode, status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_dev, status.st_ino,
            status.st_blocks]  # fmt: skip


def serve(root: str) -> None:
    """Answer requests until there are no more."""
    for line in sys.stdin.buffer:
        what, *arguments = json.loads(line)
        where = ""
        try:
            top = os.open(root, _FOLDER & ~os.O_NOFOLLOW if what == "names" else _FOLDER)
            try:
                if what == "tree":
                    _send_entries(_tree(top, ""))
                elif what == "names":
                    _send_entries(_names(top, *arguments))
                else:
                    where = arguments[0]
                    _send_file(top, *arguments)
            finally:
                os.close(top)
        except OSError as error:
            send(FAULT, [error.errno, where])
        else:
            send(END, [])


def send(kind: bytes, payload: object) -> None:
    """Send a frame; the program ends when nobody reads it."""
    data = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
    try:
        sys.stdout.buffer.write(HEADER.pack(kind, len(data)) + data)
        sys.stdout.buffer.flush()
    except OSError:
        os._exit(0)


def _send_entries(entries: Iterator[list[object]]) -> None:
    found: list[list[object]] = []
    sent = time.monotonic()
    for entry in entries:
        found.append(entry)
        if len(found) == _AT_ONCE or time.monotonic() - sent > _PATIENCE:
            send(FACTS, found)
            found, sent = [], time.monotonic()
    send(FACTS, found)


def _tree(folder: int, prefix: str) -> Iterator[list[object]]:
    """Everything below a folder, each folder before what is in it."""
    below = []
    with os.scandir(folder) as entries:
        for entry in entries:
            status = entry.stat(follow_symlinks=False)
            yield [f"{prefix}{entry.name}", *facts(status)]
            if stat.S_ISDIR(status.st_mode):
                below.append(entry.name)
    for name in below:
        opened = os.open(name, _FOLDER, dir_fd=folder)
        try:
            yield from _tree(opened, f"{prefix}{name}/")
        finally:
            os.close(opened)


def _names(top: int, inside: str, most: int) -> Iterator[list[object]]:
    """Entries of a folder, at most so many, with whether a file of the name `inside` is in each; first the folder.

    Of a folder that cannot be opened, as `lost+found` for all but root, it is taken to be: the others are told.
    """
    yield [".", *facts(os.fstat(top)), _has(top, inside)]
    with os.scandir(top) as entries:
        for number, entry in enumerate(entries):
            if number == most:
                return
            status = entry.stat(follow_symlinks=False)
            has = stat.S_ISDIR(status.st_mode) and _has_below(top, entry.name, inside)
            yield [entry.name, *facts(status), has]


def _has(folder: int, name: str) -> bool:
    try:
        os.stat(name, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return False
    return True


def _has_below(top: int, folder: str, name: str) -> bool:
    try:
        opened = os.open(folder, _FOLDER, dir_fd=top)
    except OSError:
        return True
    try:
        return _has(opened, name)
    finally:
        os.close(opened)


def _send_file(top: int, path: str, start: int, most: int) -> None:
    """Send a part of a file between its states before and after."""
    descriptor = _opened(top, path)
    try:
        send(FACTS, facts(os.fstat(descriptor)))
        if start:
            os.lseek(descriptor, start, os.SEEK_SET)
        while most and (piece := os.read(descriptor, min(most, PIECE))):
            most -= len(piece)
            send(DATA, piece)
        send(FACTS, facts(os.fstat(descriptor)))
    finally:
        os.close(descriptor)


def _opened(top: int, path: str) -> int:
    """A file below a folder, opened component by component, so that none of them can be a link."""
    *folders, name = path.split("/")
    current = os.dup(top)
    try:
        for folder in folders:
            below = os.open(folder, _FOLDER, dir_fd=current)
            os.close(current)
            current = below
        return os.open(name, _FILE, dir_fd=current)
    finally:
        os.close(current)


if __name__ == "__main__":
    serve(sys.argv[1])
