"""Shared parts of all tables: two separate sets of metadata, and column types that work the same on SQLite and
PostgreSQL."""

from datetime import UTC, datetime

from sqlalchemy import DateTime, Dialect, ForeignKeyConstraint, Table, Text, inspect
from sqlalchemy.orm import registry
from sqlalchemy.types import TypeDecorator
from sqlmodel import SQLModel


class RawTable(SQLModel, registry=registry()):
    """Base of the raw database's tables."""


class CuratedTable(SQLModel, registry=registry()):
    """Base of the curated database's tables."""


def table_of(model: type[SQLModel]) -> Table:
    """The table behind a model class."""
    table = inspect(model).local_table
    assert isinstance(table, Table)
    return table


def utc_now() -> datetime:
    """The current time, with its time zone."""
    return datetime.now(UTC)


class UtcDateTime(TypeDecorator[datetime]):
    """A time. Only times with a zone are accepted, and UTC is returned; SQLite itself would drop the zone."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Raises ValueError for a time without a zone."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"{value.isoformat()} has no time zone; use utc_now()")
        return value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """The time in UTC."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class FreeText(TypeDecorator[str]):
    """Text from untrusted programs: NUL and lone surrogates, which no database stores, are escaped."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        """The text with characters that cannot be stored escaped."""
        if value is None:
            return None
        return value.encode("utf-8", "backslashreplace").decode().replace("\0", "\\x00")


def of_task_run() -> ForeignKeyConstraint:
    """A row's foreign key to its trajectory.

    Keys begin with the campaign, so that every table can be partitioned by it.
    """
    return ForeignKeyConstraint(["campaign_id", "task_run_id"], ["task_runs.campaign_id", "task_runs.id"])
