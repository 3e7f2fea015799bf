"""Databases of earlier schemas."""

from alembic import command
from sqlalchemy import create_engine

from store.database import DatabaseKind, alembic_config


def at_version(url: str, kind: DatabaseKind, version: str) -> None:
    """Make a database of a schema."""
    engine = create_engine(url)
    with engine.begin() as connection:
        config = alembic_config(kind)
        config.attributes["connection"] = connection
        command.upgrade(config, version)
    engine.dispose()
