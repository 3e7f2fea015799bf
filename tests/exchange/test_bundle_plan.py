"""What `cra bundle plan` reads, and that it changes nothing."""

from pathlib import Path

import pytest

from exchange.bundle.plan import lacking_examples, plan_bundle
from exchange.bundle.sources import folder_contents
from models.errors import DatabaseError
from models.settings import Settings
from store.database import DatabaseKind
from store.upkeep import database_facts
from tests.support.bundle_home import make_machine
from tests.support.bundle_material import tree
from tests.support.database_versions import at_version

BEFORE: dict[DatabaseKind, str] = {"raw": "raw_0009", "curated": "curated_0004"}


def test_databases_of_an_older_schema_are_read_and_left_as_they_are(tmp_path: Path) -> None:
    machine = make_machine(tmp_path)
    data = machine.settings.data_dir
    for kind in BEFORE:
        (data / f"{kind}.sqlite").unlink()
        at_version(f"sqlite:///{data / kind}.sqlite", kind, BEFORE[kind])
    before = tree(data)
    planned = plan_bundle(machine.settings, machine.order(tmp_path / "out"))
    assert {each.kind.value for each in planned.examples} == {
        each.kind.value for each in lacking_examples(machine.settings)
    }
    assert planned.examples
    assert planned.tasks == 0
    assert "a base: `cra bases add`" in planned.missing
    assert tree(data) == before
    assert {kind: database_facts(str(data / f"{kind}.sqlite"), kind).schema for kind in BEFORE} == BEFORE


def test_a_database_of_an_older_schema_on_a_server_is_left_as_it_is(tmp_path: Path, postgres_url: str) -> None:
    settings = Settings(data_dir=tmp_path / "data", raw_database=postgres_url, curated_database=postgres_url)
    assert lacking_examples(settings)
    assert [database_facts(postgres_url, kind).schema for kind in BEFORE] == [None, None]
    at_version(postgres_url.replace("postgresql://", "postgresql+psycopg://"), "raw", BEFORE["raw"])
    with pytest.raises(DatabaseError, match="raw_0009"):
        lacking_examples(Settings(data_dir=tmp_path / "data", raw_database=postgres_url))
    assert database_facts(postgres_url, "raw").schema == "raw_0009"


def test_lock_files_travel_where_they_are_content(tmp_path: Path) -> None:
    for name in ("names.lock", ".scope.lock", "one/uv.lock", "one/.hidden/poetry.lock", "one/.gitignore"):
        file = tmp_path / "folder" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(name)
    found = folder_contents(tmp_path / "folder", "data/datasets", "corpus")
    assert sorted(source.path.removeprefix("data/datasets/") for source in found.files) == [
        "one/.gitignore", "one/.hidden/poetry.lock", "one/uv.lock",
    ]  # fmt: skip
