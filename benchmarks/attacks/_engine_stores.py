"""Attacks on what is stored: planted results that are code, files that others may read."""

import base64
import importlib
import json
import os
import pickle
import stat
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.attacks._engine import as_nobody
from benchmarks.attacks.base import GotThrough

_KEY = "verdict"


class _Bomb:
    """What a pickle of it does when it is read: make a file."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Callable[..., object], tuple[object, ...]]:
        return os.mkdir, (str(self.mark),)


def cases() -> dict[str, Callable[[Path], str]]:
    """The cases by name."""
    return {
        **{f"planted result: {name}": partial(_planted, name) for name in _PLANTED},
        "planted result: a pickle in the engine's own store": _pickle_record,
        "planted result: a compressed pickle in the engine's own store": partial(
            _pickle_record, kind="compressed/pickle"
        ),
        "the raw database is readable to others": partial(_database, "raw"),
        "the curated database is readable to others": partial(_database, "curated"),
        "the raw database was left readable": partial(_database, "raw", before=0o666),
        "the curated database was left readable": partial(_database, "curated", before=0o666),
        "the index is readable to others": _index,
        "kept answers are readable to others": _kept,
        "the key that signs adapters is readable to others": _signing_key,
    }


def _bomb(mark: Path) -> bytes:
    return base64.encodebytes(pickle.dumps(_Bomb(mark)))


def _plain() -> dict[str, Any]:
    from prefect.serializers import JSONSerializer

    return JSONSerializer().model_dump(mode="json")


_PLANTED: dict[str, Callable[[Path], tuple[dict[str, Any], bytes]]] = {
    "a pickle": lambda mark: ({"serializer": {"type": "pickle", "picklelib": "cloudpickle"}}, _bomb(mark)),
    "a pickle by the library's name": lambda mark: (
        {"serializer": {"type": "pickle", "picklelib": "pickle"}},
        _bomb(mark),
    ),
    "a result that names no serializer": lambda mark: ({}, _bomb(mark)),
    "a compressed pickle": lambda mark: (
        {"serializer": {"type": "compressed", "compressionlib": "zlib", "serializer": {"type": "pickle"}}},
        _bomb(mark),
    ),
    "JSON whose decoder starts a process": lambda mark: (
        {"serializer": _plain() | {"object_decoder": "subprocess.Popen"}},
        json.dumps({"mkdir": 1, str(mark): 2}).encode(),
    ),
    "JSON by another library": lambda mark: ({"serializer": _plain() | {"jsonlib": "yaml"}}, b'"x"'),
    "JSON that names a class": lambda mark: (
        {"serializer": _plain()},
        json.dumps({"__class__": "pathlib.Path", "data": str(mark)}).encode(),
    ),
    "JSON that names an exception": lambda mark: (
        {"serializer": _plain()},
        json.dumps({"__exc_type__": "builtins.SystemExit", "message": "0"}).encode(),
    ),
    "a list instead of a key": lambda mark: ({"serializer": _plain()}, b'["x"]'),
    "no JSON at all": lambda mark: ({"serializer": _plain()}, b"\x80\x05K\x01."),
    "a key that lies elsewhere": lambda mark: ({"serializer": _plain(), "storage_key": "../../elsewhere"}, b'"x"'),
    "a key behind an absolute path": lambda mark: ({"serializer": _plain(), "storage_key": "/etc/hostname"}, b'"x"'),
}


def _planted(name: str, scratch: Path) -> str:
    from prefect.filesystems import LocalFileSystem
    from prefect.results import ResultStore

    from tasks.results import key_storage

    mark = scratch / "mark"
    (scratch / "elsewhere").write_text('"theirs"')
    keys, results = key_storage(scratch / "engine")
    noted, content = _PLANTED[name](mark)
    (results / _KEY).write_bytes(content)
    (scratch / "engine" / "keys" / _KEY).write_text(
        json.dumps({"storage_key": _KEY, "prefect_version": "3.9.1"} | noted)
    )
    store = ResultStore(result_storage=LocalFileSystem(basepath=str(results)), metadata_storage=keys)
    if store.exists(_KEY):
        raise GotThrough("the engine takes it for a result")
    try:
        said: object = store.read(_KEY).result
    except (ValueError, OSError) as error:
        said = type(error).__name__
    if mark.exists() or said in ("theirs", "x"):
        raise GotThrough(f"it was read: {said!r}")
    return f"no result: {said}"


def _pickle_record(scratch: Path, kind: str = "pickle") -> str:
    import lzma

    from prefect.results import ResultRecord  # type: ignore[attr-defined]

    from models.errors import DatabaseError

    mark = scratch / "mark"
    importlib.import_module("tasks.results")  # what every command and worker imports
    body = _bomb(mark) if kind == "pickle" else base64.encodebytes(lzma.compress(_bomb(mark)))
    record = {"metadata": {"storage_key": "x", "serializer": {"type": kind}}, "result": body.decode()}
    try:
        ResultRecord.deserialize(json.dumps(record).encode())
    except DatabaseError as error:
        if not mark.exists():
            return str(error)
    raise GotThrough("it was read")


def _mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def _closed(*paths: Path) -> str:
    for path in paths:
        if _mode(path) & 0o077:
            raise GotThrough(f"{path.name} has mode {_mode(path):o}")
        if os.geteuid() == 0 and path.is_file() and as_nobody("cat", str(path)).returncode == 0:
            raise GotThrough(f"another user reads {path.name}")
    return f"{len(paths)} files and directories are their owner's alone"


def _generous(work: Callable[[], None]) -> None:
    previous = os.umask(0)
    try:
        work()
    finally:
        os.umask(previous)


def _database(kind: str, scratch: Path, before: int | None = None) -> str:
    from store.database import open_database

    file = scratch / "data" / "store.sqlite"
    if before is not None:
        open_database(file, kind).dispose()  # type: ignore[arg-type]
        file.chmod(before)
    engines: list[Any] = []
    _generous(lambda: engines.append(open_database(file, kind)))  # type: ignore[arg-type]
    with engines[0].connect():
        said = _closed(*file.parent.iterdir(), file.parent)
    engines[0].dispose()
    return said


def _index(scratch: Path) -> str:
    from repos.index.cache import IndexCache
    from repos.index.records import Record

    cache = IndexCache(scratch / "index")
    _generous(lambda: cache.keep({("0" * 40, "python"): Record((b"", b"", b""))}, {}))
    return _closed(cache.path, cache.path.parent)


def _kept(scratch: Path) -> str:
    from tasks.results import key_storage

    def keep() -> None:
        keys, results = key_storage(scratch / "engine")
        (results / _KEY).write_text('"x"')
        keys.write_path(_KEY, json.dumps({"storage_key": _KEY}).encode(), _sync=True)  # type: ignore[call-arg]

    _generous(keep)
    return _closed(*(scratch / "engine").rglob("*"), scratch / "engine")


def _signing_key(scratch: Path) -> str:
    from training.adapters.registry.signing import sign

    adapter = scratch / "adapter"
    adapter.mkdir()
    (adapter / "weights").write_text("x")
    _generous(lambda: sign(adapter, scratch / "keys"))
    private = [path for path in (scratch / "keys").iterdir() if b"PRIVATE KEY" in path.read_bytes()]
    return _closed(*private, scratch / "keys")
