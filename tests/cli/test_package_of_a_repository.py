"""`cra package repository` from a repository itself, by its path and by a URL, to a corpus on the other machine."""

import json
import os
from pathlib import Path

import pytest

from harness.packages.package import RepoPackage, read_package
from harness.packages.sample import build_sample
from tests.support.commands import invoke
from tests.support.mining_history import Entry, write_history

pytestmark = [pytest.mark.index, pytest.mark.slow]


@pytest.mark.usefixtures("prefect_engine")
@pytest.mark.parametrize("by", ["path", "URL"])
def test_a_repository_becomes_a_package_that_is_taken_in(by: str, sample: RepoPackage, tmp_path: Path) -> None:
    repository, usb, here, there = (tmp_path / name for name in ("spans", "usb", "here", "there"))
    build_sample(repository)
    for folder in (usb, here, there):
        folder.mkdir()
    source = str(repository) if by == "path" else f"file://{repository}"
    known = {"CRA_CACHE_DIR": str(sample.directory.parents[1] / "cache"), "CRA_LIMITS__WALL_SECONDS": "60"}
    made = invoke("package", "repository", source, "--out", usb, "--max-commits", "3", "--json", cwd=here, **known)
    assert made.returncode == 0, made.stderr
    told = json.loads(made.stdout)
    assert (told["name"], told["head"], told["kept"]) == ("spans", sample.manifest.head, 0)
    assert told["valid"] == sum(each.valid for each in sample.manifest.instances)
    assert os.listdir(usb) == ["spans"]
    assert read_package(usb / "spans").identity == told["identity"]
    again = invoke("package", "repository", source, "--out", usb, "--max-commits", "3", "--json", cwd=here, **known)
    assert again.returncode == 0, again.stderr
    assert json.loads(again.stdout)["kept"] > 0.9 * told["bytes"]

    taken = invoke("ingest", usb, "--json", cwd=there, **known, CRA_AIR_GAPPED="1")
    assert taken.returncode == 0, taken.stdout
    [event] = json.loads(taken.stdout)["events"]
    assert (event["verdict"], event["valid"], event["identity"]) == ("accepted", told["valid"], told["identity"])
    assert read_package(there / "data" / "corpus" / "spans").identity == told["identity"]


@pytest.mark.usefixtures("prefect_engine")
def test_what_is_no_repository_and_what_has_no_instance_leave_the_medium_empty(tmp_path: Path) -> None:
    usb = tmp_path / "usb"
    usb.mkdir()
    (tmp_path / "empty").mkdir()
    nothing = invoke("package", "repository", tmp_path / "empty", "--out", usb, cwd=tmp_path)
    assert (nothing.returncode, "empty" in nothing.stderr) == (1, True)
    write_history(tmp_path / "bare", [Entry("Start", {"one.py": "X = 1\n"})])
    none = invoke("package", "repository", tmp_path / "bare", "--out", usb, cwd=tmp_path)
    assert (none.returncode, "no valid instance" in none.stderr) == (1, True)
    assert list(usb.iterdir()) == []
