"""A copy of a curated database that came in a bundle names the files of the installation, wherever it is read."""

from pathlib import Path

import pytest

from store.database import open_database
from store.learning.bases import Base, list_bases, record_base
from store.learning.curated_copy import copy_curated
from store.snapshots import snapshot_sqlite


def test_files_stay_those_of_the_installation_when_another_data_directory_is_in_force(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    connected, installed = tmp_path / "connected", tmp_path / "installed"
    engine = open_database(connected / "curated.sqlite", "curated")
    for name, place in (("inside", connected / "bases" / "b"), ("outside", tmp_path / "elsewhere")):
        record_base(engine, Base(name[0] * 64, name, place, None, None, {}))
    installed.mkdir()
    snapshot_sqlite(connected / "curated.sqlite", installed / "curated.sqlite", connected)

    monkeypatch.setenv("CRA_DATA_DIR", str(installed))
    copy = copy_curated(open_database(installed / "curated.sqlite", "curated"), tmp_path / "copy.sqlite")
    monkeypatch.setenv("CRA_DATA_DIR", str(tmp_path / "rehearsal"))
    assert {base.name: base.path for base in list_bases(copy)} == {
        "inside": installed / "bases" / "b",
        "outside": tmp_path / "elsewhere",
    }
