"""Copies of what lies on a medium: what is checked is what was copied, whatever happens to the medium meanwhile."""

import os
import shutil
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.attacks._package import honest_package
from exchange.intake import batch
from exchange.intake.batch import ingest, watch
from exchange.intake.history import package_here
from exchange.intake.medium import MediumReader
from exchange.intake.quarantine import check_space, content_hash, copy_files, list_tree
from harness.packages.checks.tree import TreeFile
from models.errors import PackageRefused, UsageError
from models.intake import IntakeSettings, RefusalReason
from repos.git import Git
from runtime.trees import Runtime
from tests.support.intake_material import intake_in, nobody

LIMITS = IntakeSettings()


def _ignore(size: int) -> None:
    """A listener of copied bytes."""


def _listed(source: Path) -> list[TreeFile]:
    with MediumReader(source, LIMITS) as medium:
        return list_tree(medium)


def _copied(source: Path, target: Path, entries: list[TreeFile]) -> dict[str, str]:
    target.mkdir()
    with MediumReader(source, LIMITS) as medium:
        return copy_files(medium, target, entries, _ignore)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    (tmp_path / "source" / "below").mkdir(parents=True)
    (tmp_path / "source" / "below" / "a").write_bytes(b"honest" * 1000)
    (tmp_path / "source" / "b").write_bytes(b"")
    return tmp_path / "source"


def test_a_copy_is_the_same_without_modes(source: Path, tmp_path: Path) -> None:
    (source / "b").chmod(0o755)
    entries = _listed(source)
    assert [each.path for each in entries] == ["b", "below", "below/a"]
    hashes = _copied(source, tmp_path / "copy", entries)
    assert (tmp_path / "copy" / "below" / "a").read_bytes() == b"honest" * 1000
    assert not (tmp_path / "copy" / "b").stat().st_mode & 0o111
    again = _copied(source, tmp_path / "again", _listed(source))
    assert content_hash(hashes) == content_hash(again)
    (source / "below" / "a").write_bytes(b"other." * 1000)
    assert content_hash(_copied(source, tmp_path / "third", _listed(source))) != content_hash(hashes)


@pytest.mark.parametrize("change", ["longer", "shorter", "rewritten", "link", "pipe", "folder is a link"])
def test_a_file_that_changed_after_it_was_listed_is_refused(change: str, source: Path, tmp_path: Path) -> None:
    entries, place = _listed(source), source / "below" / "a"
    if change == "longer":
        place.write_bytes(b"honest" * 1001)
    elif change == "shorter":
        place.write_bytes(b"honest")
    elif change == "rewritten":
        place.write_bytes(b"evil!!" * 1000)
        os.utime(place, ns=(0, 0))
    elif change == "folder is a link":
        shutil.move(source / "below", tmp_path / "moved")
        (source / "below").symlink_to(tmp_path / "moved")
    else:
        place.unlink()
        place.symlink_to("/dev/zero") if change == "link" else os.mkfifo(place)
    with pytest.raises(PackageRefused) as refused:
        _copied(source, tmp_path / "copy", entries)
    assert refused.value.reason is RefusalReason.CHANGED


def test_a_medium_that_is_pulled_is_a_fault_that_passes(source: Path, tmp_path: Path) -> None:
    entries = _listed(source)
    shutil.rmtree(source / "below")
    with pytest.raises(PackageRefused) as refused:
        _copied(source, tmp_path / "copy", entries)
    assert refused.value.reason is RefusalReason.UNREADABLE
    assert refused.value.reason.transient
    shutil.rmtree(source)
    with pytest.raises(PackageRefused, match="plug the medium in"):
        _listed(source)


def test_a_file_that_flips_while_it_is_read_is_copied_whole_or_refused(tmp_path: Path, runtime: Runtime) -> None:
    """What is taken in is never a mixture that was not checked: the wheel has its hash, or the package is refused."""
    package = honest_package(tmp_path / "medium")
    wheel = next((package / "packages").iterdir())
    honest = wheel.read_bytes()
    evil, stop = honest[:-100] + bytes(100), threading.Event()

    def flip() -> None:
        while not stop.is_set():
            for content in (evil, honest):
                with wheel.open("r+b") as file:
                    file.write(content)

    flipping = threading.Thread(target=flip)
    flipping.start()
    try:
        context = intake_in(tmp_path / "data", runtime)
        events = [ingest(context, package, nobody)[0] for _ in range(5)]
    finally:
        stop.set()
        flipping.join()
    assert {each.reason for each in events} <= {
        RefusalReason.CHANGED, RefusalReason.WHEEL, RefusalReason.ARCHIVE, RefusalReason.NO_VALID_INSTANCE,
    }  # fmt: skip


def test_a_package_that_does_not_fit_the_disk_is_not_copied(source: Path, tmp_path: Path) -> None:
    huge = TreeFile("a", False, shutil.disk_usage(tmp_path).total, 0o100644, 0)
    with pytest.raises(PackageRefused) as refused:
        check_space(tmp_path, [huge])
    assert refused.value.reason is RefusalReason.DISK_FULL
    assert refused.value.reason.transient


def test_a_watch_sees_a_file_of_equal_size_and_time(tmp_path: Path, runtime: Runtime) -> None:
    """A damaged wheel was refused; a copy that keeps times brings the right one."""
    context, mount = intake_in(tmp_path / "data", runtime), tmp_path / "mount"
    [wheel] = (honest_package(mount) / "packages").iterdir()
    honest, when = wheel.read_bytes(), wheel.stat()
    wheel.write_bytes(honest[:-100] + bytes(100))
    os.utime(wheel, ns=(when.st_atime_ns, when.st_mtime_ns))
    looks = 0

    def pause(seconds: float) -> None:
        nonlocal looks
        looks += 1
        if looks == 3:
            wheel.write_bytes(honest)
            os.utime(wheel, ns=(when.st_atime_ns, when.st_mtime_ns))
        elif looks == 6:
            raise KeyboardInterrupt

    seen = []
    with pytest.raises(KeyboardInterrupt):
        for events in watch(context, mount, nobody, pause):
            seen += [(looks, each.reason) for each in events]
    assert seen == [(1, RefusalReason.WHEEL), (4, RefusalReason.NO_VALID_INSTANCE)]


def test_a_large_file_that_is_not_of_its_kind_is_not_copied(tmp_path: Path, runtime: Runtime) -> None:
    """All of it is a hole, or all but its first bytes, or only some of it lies in holes: nothing of it is copied."""
    context = intake_in(tmp_path / "data", runtime)
    for number, (start, size, reason) in enumerate(
        [
            (b"", 64 << 30, RefusalReason.TOO_LARGE),
            (b"", 3 << 30, RefusalReason.TOO_LARGE),
            (b"PK\x03\x04", 32 << 20, RefusalReason.ARCHIVE),
            (b"", 2 << 20, RefusalReason.ARCHIVE),
        ]
    ):
        package = honest_package(tmp_path / str(number))
        [wheel] = (package / "packages").iterdir()
        with wheel.open("wb") as file:
            file.write(start)
            file.truncate(size)
        [event] = ingest(context, package, nobody)
        assert (event.reason, "copy" in {each.check for each in event.checks}) == (reason, False), event.detail


def test_a_watched_folder_is_read_when_it_rests_and_each_package_once(tmp_path: Path, runtime: Runtime) -> None:
    context, mount = intake_in(tmp_path / "data", runtime), tmp_path / "mount"
    looks = 0

    def pause(seconds: float) -> None:
        nonlocal looks
        looks += 1
        if looks == 2:
            honest_package(mount)
            (mount / "little" / "timings.json").write_bytes(b"MZ")
        elif looks == 6:  # the medium is pulled, and another one plugged in
            shutil.rmtree(mount)
        elif looks == 8:
            honest_package(mount)
            (mount / "little" / "more.zip").write_bytes(b"PK")
        elif looks == 12:
            raise KeyboardInterrupt

    seen = []
    with pytest.raises(KeyboardInterrupt):
        for events in watch(context, mount, nobody, pause):
            seen += [(looks, each.reason) for each in events]
    assert seen == [(3, RefusalReason.EXECUTABLE), (9, RefusalReason.ARCHIVE)]


def test_a_damaged_medium_is_not_read_at_each_look(
    tmp_path: Path, runtime: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file is longer than the disk, which may change: it is tried again, after a while."""
    monkeypatch.setattr(batch, "RETRY_SECONDS", 6 * batch.POLL_SECONDS)
    context, mount = intake_in(tmp_path / "data", runtime), tmp_path / "mount"
    package = honest_package(mount)
    objects = package / "repo" / "objects" / "aa"
    objects.mkdir(exist_ok=True)
    with (objects / ("a" * 38)).open("wb") as file:
        file.truncate(shutil.disk_usage(tmp_path).total)
    context = replace(context, limits=IntakeSettings(max_bytes=1 << 60, max_file_bytes=1 << 60))
    looks = 0

    def pause(seconds: float) -> None:
        nonlocal looks
        looks += 1
        if looks == 9:
            raise KeyboardInterrupt

    seen = []
    with pytest.raises(KeyboardInterrupt):
        for events in watch(context, mount, nobody, pause):
            seen += [(looks, each.reason) for each in events]
    assert seen == [(1, RefusalReason.DISK_FULL), (7, RefusalReason.DISK_FULL)]


def test_a_name_that_differs_in_case_from_one_in_the_corpus_is_taken(tmp_path: Path) -> None:
    (tmp_path / "Little").mkdir()
    with pytest.raises(PackageRefused) as refused:
        package_here(tmp_path, "little")
    assert refused.value.reason is RefusalReason.NAME_TAKEN
    assert package_here(tmp_path, "other") is None


def test_entries_that_are_not_looked_at_are_told(tmp_path: Path, runtime: Runtime) -> None:
    for number in range(1001):
        (tmp_path / "mount" / f"{number:04}").mkdir(parents=True)
    events = ingest(intake_in(tmp_path / "data", runtime), tmp_path / "mount", nobody)
    assert len(events) == 1001
    assert [each.reason for each in events[-2:]] == [RefusalReason.NO_PACKAGE, RefusalReason.TOO_MANY_FILES]


def test_a_folder_that_is_not_there_is_a_mistake_in_the_request(tmp_path: Path, runtime: Runtime) -> None:
    with pytest.raises(UsageError, match="cannot be read"):
        ingest(intake_in(tmp_path / "data", runtime), tmp_path / "nothing", nobody)


def test_a_clone_with_the_caches_of_a_later_git_is_taken_in_without_them(tmp_path: Path, runtime: Runtime) -> None:
    """Reverse indexes are written by default since git 2.41."""
    package = honest_package(tmp_path / "medium")
    repo = Git(package / "repo")
    repo.output("repack", "-adqn")
    [pack] = (package / "repo" / "objects" / "pack").glob("*.pack")
    repo.output("-c", "pack.writeReverseIndex=true", "index-pack", str(pack.resolve()))
    assert list(pack.parent.glob("*.rev"))
    [event] = ingest(intake_in(tmp_path / "data", runtime), package, nobody)
    assert event.reason is RefusalReason.NO_VALID_INSTANCE, event.detail
