"""A registry with one base: on each kind of database, or on SQLite alone."""

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from store.database import open_database
from tests.support.registry_material import make_base
from training.adapters.registry import Registry

if TYPE_CHECKING:
    from sqlalchemy import Engine


@pytest.fixture
def curated(database_target: str) -> "Engine":
    return open_database(database_target, "curated")


@pytest.fixture
def registry(curated: "Engine", tmp_path: Path) -> Registry:
    make_base(curated, tmp_path)
    return Registry(curated, tmp_path)


@pytest.fixture
def local(tmp_path: Path) -> Registry:
    """A registry on SQLite, for what no database matters to."""
    curated = open_database(tmp_path / "curated.sqlite", "curated")
    make_base(curated, tmp_path)
    return Registry(curated, tmp_path)
