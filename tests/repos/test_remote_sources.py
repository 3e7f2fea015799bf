"""Repositories in air-gapped mode: none of another machine; a local one that would fetch from elsewhere does not."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from benchmarks.attacks._package import git, make_repository
from host.process import CommandFailed
from models.errors import AirGapError, RepositoryError
from repos.git import clone
from repos.transports import refuse_transport
from tests.support.air_gapped import air_gapped

REMOTE = [
    "https://example.org/team/thing.git",
    "https://127.0.0.1/thing",
    "ssh://git@example.org/thing",
    "git@example.org:team/thing.git",
    "host:path",
]


@contextmanager
def listener() -> Iterator[tuple[int, list[str]]]:
    """A port of this machine, and the addresses from which it was connected to."""
    callers: list[str] = []
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer() -> None:
            while True:
                try:
                    connection, address = server.accept()
                except OSError:  # closed
                    return
                callers.append(str(address))
                connection.close()

        thread = threading.Thread(target=answer)
        thread.start()
        yield server.getsockname()[1], callers
        server.shutdown(socket.SHUT_RDWR)
        thread.join()


@pytest.mark.parametrize("source", REMOTE)
def test_what_another_machine_has_is_refused_with_the_way_in(source: str, tmp_path: Path) -> None:
    with air_gapped(tmp_path), pytest.raises(AirGapError, match=r"cra package repository.*cra ingest"):
        clone(source, tmp_path / "clone")
    with air_gapped(tmp_path), pytest.raises(AirGapError):
        refuse_transport(source)
    refuse_transport(source)
    assert not (tmp_path / "clone").exists()


@pytest.mark.parametrize("source", ["ext::sh -c true", "git+https://example.org/x", "file://host/path", "http://x/y"])
def test_what_is_never_accepted_is_refused_as_ever(source: str, tmp_path: Path) -> None:
    with air_gapped(tmp_path), pytest.raises(RepositoryError):
        clone(source, tmp_path / "clone")


def test_a_local_repository_with_a_remote_and_rewritten_urls_is_cloned_from_its_own_files(tmp_path: Path) -> None:
    place = make_repository(tmp_path / "thing")
    with listener() as (port, callers):
        far = f"https://127.0.0.1:{port}/"
        git(place, "config", "remote.origin.url", f"{far}thing")
        git(place, "config", f"url.{far}.insteadOf", str(tmp_path))
        with air_gapped(tmp_path):
            assert clone(str(place), tmp_path / "clone").resolve("HEAD")
    assert callers == []


def test_a_clone_opens_no_connection_of_its_own(tmp_path: Path) -> None:
    made = clone(str(make_repository(tmp_path / "thing")), tmp_path / "clone")
    with listener() as (port, callers), pytest.raises(CommandFailed) as refused:
        made.output("ls-remote", f"https://127.0.0.1:{port}/thing")
    assert "not allowed" in refused.value.stderr and callers == []


def test_objects_that_a_local_repository_lacks_are_not_fetched_from_where_it_says(tmp_path: Path) -> None:
    place = make_repository(tmp_path / "thing")
    blob = git(place, "rev-parse", "HEAD:" + git(place, "ls-tree", "--name-only", "HEAD").split()[0]).strip()
    (place / ".git" / "objects" / blob[:2] / blob[2:]).unlink()
    with listener() as (port, callers):
        for name, value in {
            "extensions.partialClone": "origin",
            "remote.origin.promisor": "true",
            "remote.origin.partialCloneFilter": "blob:none",
            "remote.origin.url": f"https://127.0.0.1:{port}/thing",
        }.items():
            git(place, "config", name, value)
        with air_gapped(tmp_path), pytest.raises(RepositoryError, match="cannot be cloned"):
            clone(str(place), tmp_path / "clone")
    assert callers == []
