"""Plugins of pytest in an arriving wheel: found wherever a Python finds them, however their text is written."""

import zipfile
from pathlib import Path

import pytest

from harness.packages.checks.arriving_plugins import plugins_of
from models.errors import PackageRefused

OWN = "lib-1.dist-info/entry_points.txt"


def _wheel(folder: Path, files: dict[str, str]) -> Path:
    wheel = folder / "lib-1-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        for name, text in files.items():
            archive.writestr(name, text)
    return wheel


@pytest.mark.parametrize(
    "files",
    [
        {OWN: "[pytest11]\nx = lib\n"},
        {OWN: "[console_scripts]\na = lib:main\n  [pytest11]\n  x = lib\n"},  # a continued value, before Python 3.10
        {"lib/a.dist-info/entry_points.txt": "", OWN: "[pytest11]\nx = lib\n"},
        {OWN: "", "lib-1.data/purelib/b-1.dist-info/entry_points.txt": "[pytest11]\nx = lib\n"},
        {OWN: "", "lib.egg-info/entry_points.txt": "[pytest11]\nx = lib\n"},
    ],
)
def test_a_plugin_is_found(files: dict[str, str], tmp_path: Path) -> None:
    assert plugins_of(_wheel(tmp_path, files)) == ("x",)


def test_entry_points_without_plugins_and_none_at_all(tmp_path: Path) -> None:
    assert plugins_of(_wheel(tmp_path, {"lib.py": "[pytest11]\nx = lib\n"})) == ()
    assert plugins_of(_wheel(tmp_path, {OWN: "[console_scripts]\nx = lib:main\n"})) == ()


@pytest.mark.parametrize("text", ["x = lib\n", "[pytest11]\n" + "x" * (1 << 20)])
def test_entry_points_that_cannot_be_read_are_refused(text: str, tmp_path: Path) -> None:
    with pytest.raises(PackageRefused):
        plugins_of(_wheel(tmp_path, {OWN: text}))
