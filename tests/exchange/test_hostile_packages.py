"""Hostile packages are refused for their own reason, and leave nothing but a line in the ledger."""

import os
from pathlib import Path

import pytest

from benchmarks.attacks._package import honest_package
from exchange.intake.batch import ingest
from exchange.intake.context import IntakeContext
from exchange.intake.ledger import read_events
from models.intake import IntakeSettings, IntakeVerdict, RefusalReason
from runtime.trees import Runtime
from tests.support.hostile_base import Hostile
from tests.support.hostile_packages import PACKAGES
from tests.support.intake_material import files_in, intake_in, nobody, tree_of

_COSTLY = {"100,000 small files", "ten million values", "blob of 300 MiB", "bomb"}
STATIC = [each for each in PACKAGES if not each.runs and each.name not in _COSTLY]


@pytest.fixture(scope="module")
def context(runtime: Runtime, tmp_path_factory: pytest.TempPathFactory) -> IntakeContext:
    return intake_in(tmp_path_factory.mktemp("intake"), runtime, limits=IntakeSettings(max_files=2000))


@pytest.mark.parametrize("hostile", STATIC, ids=lambda each: f"{each.kind}: {each.name}")
def test_a_hostile_package_is_refused_for_its_reason(hostile: Hostile, context: IntakeContext, tmp_path: Path) -> None:
    if hostile.as_root and os.geteuid() != 0:
        pytest.skip("making the package needs root")
    medium, aside = tmp_path / "medium", tmp_path / "aside"
    aside.mkdir()
    hostile.craft(honest_package(medium), aside)
    before = tree_of(medium)
    [event] = ingest(context, medium, nobody)
    assert event.verdict is IntakeVerdict.REFUSED
    assert event.reason in hostile.reasons
    assert event.detail.isprintable()
    assert read_events(context.folders)[-1] == event
    left = {path for path in files_in(context.folders.root) if ".cra-trash" not in path}  # those are being deleted
    assert left == {"ledger.jsonl", "lock"}
    assert not context.folders.corpus.exists()
    assert tree_of(medium) == before


def test_kinds_of_hostile_packages_are_many() -> None:
    assert len(PACKAGES) >= 60
    assert len({each.kind for each in PACKAGES}) >= 20
    assert len({(each.kind, each.name) for each in PACKAGES}) == len(PACKAGES)
    assert {each.kind for each in PACKAGES} - {each.kind for each in STATIC} == {"tests", "counts", "git sizes"}


def test_more_files_than_the_limit_are_not_listed_to_the_end(context: IntakeContext, tmp_path: Path) -> None:
    package = honest_package(tmp_path / "medium")
    for number in range(2500):
        (package / "packages" / f"n{number}").touch()
    [event] = ingest(context, package, nobody)
    assert event.reason is RefusalReason.TOO_MANY_FILES
    assert event.package.files == 0


def test_an_honest_package_passes_every_check_of_its_files(context: IntakeContext, tmp_path: Path) -> None:
    """Its tests cannot run, as its environment holds no pytest: that is the reason, and no other."""
    [event] = ingest(context, honest_package(tmp_path / "medium"), nobody)
    assert event.reason is RefusalReason.NO_VALID_INSTANCE
    assert [each.check for each in event.checks if not each.passed] == ["gold"]


def test_packages_whose_folders_are_not_named_in_utf_8_are_decided_like_others(
    context: IntakeContext, tmp_path: Path
) -> None:
    medium = tmp_path / "medium"
    package = honest_package(medium)
    os.rename(os.fsencode(package), os.fsencode(medium) + b"/a\xff")
    os.mkdir(os.fsencode(medium) + b"/b\xff")
    honest_package(medium)
    events = ingest(context, medium, nobody)
    assert [each.package.source.rpartition("/")[2] for each in events] == ["a\\xff", "b\\xff", "little"]
    assert read_events(context.folders)[-3:] == events


def test_what_is_beside_packages_is_refused_and_not_read(context: IntakeContext, tmp_path: Path) -> None:
    (tmp_path / "evil").symlink_to("/")
    (tmp_path / "unfinished").mkdir()
    os.mkfifo(tmp_path / "autorun.inf")
    (tmp_path / "lost+found").mkdir()
    events = ingest(context, tmp_path, nobody)
    assert [Path(each.package.source).name for each in events] == ["autorun.inf", "evil", "unfinished"]
    assert {each.reason for each in events} == {RefusalReason.NO_PACKAGE}
