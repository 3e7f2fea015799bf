"""What we store may be read by its owner alone, whatever the umask was and whatever an earlier version left."""

import os
import sqlite3
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from host.private import make_directory, private_directory, private_file, tighten
from host.settings import load_settings
from repos.index.cache import IndexCache
from repos.index.records import Record
from store.database import open_database


@pytest.fixture(autouse=True)
def generous_umask() -> Iterator[None]:
    previous = os.umask(0)
    yield
    os.umask(previous)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.mark.parametrize("kind", ["raw", "curated"])
def test_a_database_and_what_lies_beside_it_are_closed_to_others(tmp_path: Path, kind: str) -> None:
    file = tmp_path / "new" / "deeper" / "store.sqlite"
    engine = open_database(file, kind)  # type: ignore[arg-type]
    with engine.connect():
        assert {mode(path) for path in file.parent.iterdir()} == {0o600}
        assert len(list(file.parent.iterdir())) > 1
    assert mode(file.parent) == mode(file.parent.parent) == 0o700
    engine.dispose()


def test_a_database_of_an_earlier_version_is_tightened_and_its_users_directory_is_not(tmp_path: Path) -> None:
    folder = tmp_path / "the users"
    folder.mkdir(mode=0o755)
    file = folder / "store.sqlite"
    open_database(file, "raw").dispose()
    leftover = folder / "store.sqlite-journal"
    for path in (file, leftover):
        path.touch()
        path.chmod(0o666)
    open_database(file, "raw").dispose()
    assert mode(file) == 0o600
    assert not leftover.exists() or mode(leftover) == 0o600
    assert mode(folder) == 0o755


def test_tightening_a_database_leaves_its_locks(tmp_path: Path) -> None:
    file = tmp_path / "store.sqlite"
    holder = sqlite3.connect(file, isolation_level=None)
    holder.execute("CREATE TABLE t (x)")
    holder.execute("BEGIN EXCLUSIVE")
    file.chmod(0o644)
    tighten(file)
    pid = os.fork()
    if pid == 0:
        try:
            sqlite3.connect(file, timeout=0).execute("INSERT INTO t VALUES (1)")
        except sqlite3.OperationalError:
            os._exit(0)
        os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    assert mode(file) == 0o600


def test_the_index_is_closed_to_others(tmp_path: Path) -> None:
    cache = IndexCache(tmp_path / "index")
    cache.keep({("0" * 40, "python"): Record((b"", b"", b""))}, {})
    assert (mode(cache.path), mode(cache.path.parent)) == (0o600, 0o700)


def test_links_and_what_is_missing_are_left_alone(tmp_path: Path) -> None:
    theirs = tmp_path / "theirs"
    theirs.write_text("x")
    theirs.chmod(0o644)
    link = tmp_path / "link"
    link.symlink_to(theirs)
    private_file(link)
    tighten(link)
    tighten(tmp_path / "missing")
    assert mode(theirs) == 0o644


def test_what_was_there_stays_and_what_is_made_is_closed(tmp_path: Path) -> None:
    old = tmp_path / "old"
    old.mkdir(mode=0o755)
    assert mode(make_directory(old / "a" / "b")) == 0o700
    assert (mode(old / "a"), mode(make_directory(old))) == (0o700, 0o755)
    assert mode(private_directory(old)) == 0o700


def test_reading_the_settings_tightens_what_an_earlier_version_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("CRA_DATA_DIR", raising=False)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "share"))
    monkeypatch.setenv("CRA_CACHE_DIR", str(tmp_path / "cache"))
    data, cache = tmp_path / "share" / "clean-room", tmp_path / "cache"
    for folder in (data / "sessions", cache / "engine", cache / "environments", cache / "notes"):
        folder.mkdir(parents=True)
        folder.chmod(0o755)
    data.chmod(0o755)
    cache.chmod(0o755)
    load_settings()
    assert {mode(data), mode(data / "sessions"), mode(cache / "engine")} == {0o700}
    assert {mode(cache), mode(cache / "environments"), mode(cache / "notes")} == {0o755}
