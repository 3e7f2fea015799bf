"""`cra package repository` and `cra ingest`: from one machine to a medium to another."""

import json
import os
import resource
from pathlib import Path

import pytest

from harness.packages.package import RepoPackage, read_package
from tests.support.commands import Result, invoke
from tests.support.intake_material import files_in


@pytest.fixture
def usb(tmp_path: Path) -> Path:
    (tmp_path / "usb").mkdir()
    return tmp_path / "usb"


def _ingest(sample: RepoPackage, cwd: Path, *arguments: str | Path) -> Result:
    """The command, with what is known of the sample's commits."""
    cache = str(sample.directory.parents[1] / "cache")
    return invoke("ingest", *arguments, cwd=cwd, CRA_CACHE_DIR=cache, CRA_LIMITS__WALL_SECONDS="60")


def test_a_package_travels_from_one_machine_to_the_other(sample: RepoPackage, usb: Path, tmp_path: Path) -> None:
    made = invoke("package", "repository", sample.directory, "--out", usb, "--json", cwd=tmp_path)
    assert made.returncode == 0, made.stderr
    told = json.loads(made.stdout)
    assert (told["identity"], told["valid"], told["kept"]) == (sample.identity, 3, 0)
    assert sorted(os.listdir(usb)) == ["spans"]
    assert files_in(usb / "spans") == files_in(sample.directory)
    again = invoke("package", "repository", sample.directory, "--out", usb, "--json", cwd=tmp_path)
    assert json.loads(again.stdout)["kept"] > 0.9 * told["bytes"]

    taken = _ingest(sample, tmp_path, usb)
    assert taken.returncode == 0, taken.stderr
    assert "accepted" in taken.stdout
    assert read_package(tmp_path / "data" / "corpus" / "spans").identity == sample.identity

    (usb / "spans" / "packages" / "autorun.inf").write_text("x")
    refused = _ingest(sample, tmp_path, usb, "--json")
    assert refused.returncode == 1
    assert json.loads(refused.stdout)["events"][0]["reason"] == "executable"
    log = json.loads(_ingest(sample, tmp_path, "log", "--json").stdout)["events"]
    assert [each["verdict"] for each in log] == ["accepted", "refused"]
    assert "autorun" in _ingest(sample, tmp_path, "log").stdout


def test_a_medium_that_is_full_is_said_in_a_line_and_filled_later(
    sample: RepoPackage, usb: Path, tmp_path: Path
) -> None:
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    largest = max(each.stat().st_size for each in sample.wheels.iterdir())
    resource.setrlimit(resource.RLIMIT_FSIZE, (largest - 1, limit[1]))  # as a full medium: the largest file fails
    try:
        stopped = invoke("package", "repository", sample.directory, "--out", usb, cwd=tmp_path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limit)
    assert stopped.returncode == 1
    assert stopped.stderr.strip().splitlines()[-1].startswith("error: ")
    assert not (usb / "spans" / "manifest.json").exists()
    assert _ingest(sample, tmp_path, usb).returncode == 1
    assert invoke("package", "repository", sample.directory, "--out", usb, cwd=tmp_path).returncode == 0
    assert read_package(usb / "spans").identity == sample.identity


def test_a_medium_with_something_else_under_the_name_is_left_alone(
    sample: RepoPackage, usb: Path, tmp_path: Path
) -> None:
    (usb / "spans").mkdir()
    (usb / "spans" / "thesis.txt").write_text("years of work")
    stopped = invoke("package", "repository", sample.directory, "--out", usb, cwd=tmp_path)
    assert stopped.returncode == 2
    assert files_in(usb) == ["spans/thesis.txt"]
    assert invoke("package", "repository", sample.directory, "--out", usb / "no", cwd=tmp_path).returncode == 2
