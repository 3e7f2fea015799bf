"""The deployment that looks at a folder: each package once, and no medium is no error when it is scheduled."""

from pathlib import Path

import pytest

from benchmarks.attacks._package import honest_package
from flows.ingest import ingest
from models.errors import UsageError
from models.refusals import RefusalReason


@pytest.mark.usefixtures("prefect_engine")
def test_the_flow_takes_in_what_is_new(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CRA_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("CRA_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    mount = tmp_path / "mount"
    assert ingest(str(mount), scheduled=True) == []
    with pytest.raises(UsageError):
        ingest(str(mount))
    (honest_package(mount) / "notes.txt").write_text("x")
    [event] = ingest(str(mount), scheduled=True)
    assert event.reason is RefusalReason.FOREIGN_FILE
    assert ingest(str(mount), scheduled=True) == []
