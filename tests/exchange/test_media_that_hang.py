"""A medium that does not answer is given up: the intake goes on, the lock is free, and the ledger says why."""

import os
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.attacks._package import honest_package
from exchange.intake import batch, reader
from exchange.intake.batch import entries_on, ingest, watch
from exchange.intake.context import IntakeContext
from exchange.intake.ledger import read_events
from exchange.intake.medium import MediumReader
from exchange.intake.quarantine import list_tree
from host.locks import process_lock
from models.errors import PackageRefused
from models.intake import IntakeSettings, RefusalReason
from runtime.trees import Runtime
from tests.support.fuse_medium import mounted
from tests.support.intake_material import files_in, intake_in, nobody

SHORT = IntakeSettings(read_seconds=1.0)


@pytest.fixture
def context(tmp_path: Path, runtime: Runtime) -> IntakeContext:
    return intake_in(tmp_path / "data", runtime, limits=SHORT)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    honest_package(tmp_path / "source")
    return tmp_path / "source"


def _free(context: IntakeContext) -> bool:
    with process_lock(context.folders.lock, nobody):
        return True


def test_a_file_that_is_never_given_ends_the_arrival_and_not_the_intake(
    context: IntakeContext, source: Path, tmp_path: Path
) -> None:
    honest_package(tmp_path / "source" / "z").rename(source / "zebra")
    (source / "z").rmdir()
    [wheel] = (source / "little" / "packages").iterdir()
    with mounted(tmp_path / "mount", source) as medium:
        medium.silent.add(f"little/packages/{wheel.name}")
        [event] = ingest(context, medium.mount, nobody)  # the package after it is not tried
        assert (event.reason, event.package.name) == (RefusalReason.NO_ANSWER, "little")
        assert event.reason is not None and event.reason.transient
        assert _free(context)
        medium.silent.clear()
        healthy = ingest(context, medium.mount / "zebra", nobody)
        assert [each.reason for each in healthy] == [RefusalReason.NO_VALID_INSTANCE]  # as without a fault
    assert read_events(context.folders)[0] == event
    assert files_in(context.folders.quarantine) == []


def test_a_process_that_cannot_be_ended_is_left_behind_and_no_other_joins_it(
    context: IntakeContext, source: Path, tmp_path: Path
) -> None:
    with mounted(tmp_path / "mount", source) as medium:
        medium.silent.add("little/manifest.json")
        first, second = (ingest(context, medium.mount, nobody)[0] for _ in range(2))
        assert {first.reason, second.reason} == {RefusalReason.NO_ANSWER}
        marks = list(context.folders.root.glob("waiting-*"))
        left = len(marks)
        if left:  # the kernel waits for the answer: the second did not
            assert "still waits" in second.detail
        assert _free(context)
    deadline = time.monotonic() + 60  # the medium is unmounted, so the process ends
    while time.monotonic() < deadline:
        try:
            with MediumReader(medium.mount / "little", SHORT, context.folders.root) as reader:
                list(reader.names("x", 1))
        except PackageRefused:
            time.sleep(0.1)
        except OSError:
            break
    assert not list(context.folders.root.glob("waiting-*"))


def test_a_medium_whose_names_are_never_told_is_an_event_of_its_own(
    context: IntakeContext, source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("exchange.intake.reader.__file__", str(tmp_path / "sleeps.py"))
    (tmp_path / "sleeps.py").write_text("import time\ntime.sleep(3600)\n")
    [event] = ingest(context, source, nobody)
    assert (event.reason, event.package.source) == (RefusalReason.NO_ANSWER, str(source))
    assert _free(context)


def test_a_reader_that_ends_by_itself_is_a_fault_that_passes(
    context: IntakeContext, source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "ends.py").write_text("print('nonsense')\n")
    with MediumReader(source / "little", SHORT) as reader:
        monkeypatch.setattr("exchange.intake.reader.__file__", str(tmp_path / "ends.py"))
        assert len(list(reader.tree())) > 3
        with MediumReader(source / "little", SHORT) as other, pytest.raises(OSError, match="ended"):
            list(other.tree())


def test_a_medium_that_takes_too_long_in_all_is_given_up(source: Path) -> None:
    with MediumReader(source / "little", SHORT.model_copy(update={"read_hours": 1e-9})) as reader:
        time.sleep(0.01)
        with pytest.raises(PackageRefused, match="read_hours") as refused:
            list(reader.tree())
    assert refused.value.reason is RefusalReason.NO_ANSWER


def test_a_damaged_file_is_an_error_of_the_medium(context: IntakeContext, source: Path, tmp_path: Path) -> None:
    with mounted(tmp_path / "mount", source) as medium:
        medium.broken.add("little/repo/HEAD")
        [event] = ingest(context, medium.mount, nobody)
    assert event.reason is RefusalReason.UNREADABLE


def test_a_manifest_that_changed_without_another_time_is_seen_by_a_watch(
    context: IntakeContext, source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file system keeps no times, as FAT keeps them to two seconds: what was refused is read again when mended."""
    manifest = (source / "little" / "manifest.json").read_bytes()
    monkeypatch.setattr(batch, "RETRY_SECONDS", 4 * batch.POLL_SECONDS)
    looks, seen = 0, []
    with mounted(tmp_path / "mount", source) as medium:
        medium.files["little/manifest.json"] = manifest.replace(b'"schema_version": 1', b'"schema_version": 2')

        def pause(seconds: float) -> None:
            nonlocal looks
            looks += 1
            if looks == 3:
                medium.files["little/manifest.json"] = manifest
            elif looks == 7:
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            for events in watch(replace(context, dry_run=True), medium.mount, nobody, pause):
                seen += [each.reason for each in events]
    assert seen == [RefusalReason.SCHEMA, RefusalReason.NO_VALID_INSTANCE]


@pytest.mark.skipif(os.geteuid() != 0, reason="drops the capability of root to read everything")
def test_a_folder_that_this_user_may_not_read_keeps_nobody_from_the_others(
    context: IntakeContext, source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As `lost+found`, which is root's on each medium with ext4."""
    for name in ("lost+found", "theirs"):
        (source / name).mkdir(mode=0)
    python = tmp_path / "python"
    python.write_text(f'#!/bin/sh\nexec setpriv --bounding-set -dac_override,-dac_read_search {sys.executable} "$@"\n')
    python.chmod(0o755)
    monkeypatch.setattr("exchange.intake.medium.sys.executable", str(python))
    assert [(each.path.name, each.refusal) for each in entries_on(context, source)] == [
        ("little", None), ("theirs", None),
    ]  # fmt: skip
    with pytest.raises(PackageRefused) as refused, context.reading(source / "theirs") as theirs:
        list_tree(theirs)
    assert refused.value.reason is RefusalReason.UNREADABLE


def test_a_look_at_packages_that_are_never_listed_waits_for_one_of_them(
    context: IntakeContext, source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (source / "little").rename(source / "a")
    for name in ("b", "c"):
        (source / name).mkdir()
        (source / name / "manifest.json").touch()
    program = Path(reader.__file__).read_text()
    waiting = program.replace('_send_entries(_tree(top, ""))', "time.sleep(3600)")
    assert waiting != program
    (tmp_path / "waits.py").write_text(waiting)
    monkeypatch.setattr("exchange.intake.reader.__file__", str(tmp_path / "waits.py"))
    assert batch._seen(context, source) == ("no-answer",)
