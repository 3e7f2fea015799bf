"""`cra export`: what goes where in each format, what is counted as left out, and what is refused."""

import json
from pathlib import Path

import pytest

from store.runs import open_raw_store
from tests.support.commands import Result, invoke
from tests.support.exported_campaign import NAME, fill


@pytest.fixture
def place(tmp_path: Path) -> Path:
    fill(open_raw_store(tmp_path / "data" / "raw.sqlite"))
    return tmp_path


def _export(place: Path, *options: str) -> Result:
    return invoke("export", NAME, *options, cwd=place)


def test_predictions_and_atif_are_lines_on_standard_output(place: Path) -> None:
    for format, number, left_out in (("predictions", 3, 2), ("atif", 4, 1)):
        done = _export(place, "--format", format)
        assert done.returncode == 0
        assert len([json.loads(line) for line in done.stdout.splitlines()]) == number
        assert f"{left_out} traject" in done.stderr


def test_atif_below_a_folder_is_a_file_each_and_none_is_replaced_unasked(place: Path) -> None:
    first = _export(place, "--format", "atif", "--out", "out")
    assert (first.returncode, first.stdout) == (0, "")
    assert len(list((place / "out").glob("*/agent/trajectory.json"))) == 4
    again = _export(place, "--format", "atif", "--out", "out")
    assert again.returncode == 2
    assert "--overwrite" in again.stderr
    assert _export(place, "--format", "atif", "--out", "out", "--overwrite").returncode == 0


@pytest.mark.slow
def test_inspect_logs_are_named_and_none_is_replaced_unasked(place: Path) -> None:
    first = _export(place, "--format", "inspect", "--out", "out")
    assert first.returncode == 0
    named = [Path(line) for line in first.stdout.splitlines()]
    assert sorted(named) == sorted((place / "out").iterdir())
    assert len(named) == 2
    before = [path.stat().st_mtime_ns for path in named]
    assert _export(place, "--format", "inspect", "--out", "out").returncode == 2
    assert [path.stat().st_mtime_ns for path in named] == before


@pytest.mark.parametrize(
    "options",
    [
        ("--format", "inspect"),
        ("--format", "predictions", "--out", "out"),
        ("--format", "swebench", "--out", "out"),
        ("--out", "out"),
    ],
)
def test_a_folder_that_is_missing_or_not_used_is_refused(place: Path, options: tuple[str, ...]) -> None:
    refused = _export(place, *options)
    assert refused.returncode == 2
    assert "--out" in refused.stderr
    assert not (place / "out").exists()


@pytest.mark.parametrize("format", ["predictions", "atif", "inspect"])
def test_a_label_never_used_is_refused_with_those_that_are_known(place: Path, format: str) -> None:
    refused = invoke("export", "absent", "--format", format, "--out", "out", cwd=place)
    assert refused.returncode == 2
    if format != "predictions":
        assert NAME in refused.stderr
        assert not (place / "out").exists()
