"""A PostgreSQL without the extension pg_trgm: the wheel with its programs has none of the contributed modules.

The engine's server asks for it in its migrations, for eight indexes that make searches for a part of a name faster.
Without them such a search reads the whole table; nothing else differs.
"""

import re
from typing import Any

from store.database import reading
from store.upkeep import short_lived_engine

_WANTS_TRIGRAMS = re.compile(
    r"\b(gin_trgm_ops|EXTENSION\s+IF\s+(NOT\s+)?EXISTS\s+pg_trgm|trgm_ix_\w+)\b", re.IGNORECASE
)
_SCHEMA_CHANGE = re.compile(r"\s*(CREATE|DROP)\s", re.IGNORECASE)


def has_trigrams(target: str) -> bool:
    """Whether a PostgreSQL server has the extension. Raises DatabaseError when it cannot be reached within seconds."""
    engine = short_lived_engine(target)
    try:
        with reading(engine) as connection:
            query = "SELECT count(*) FROM pg_available_extensions WHERE name = 'pg_trgm'"
            return bool(connection.exec_driver_sql(query).scalar_one())
    finally:
        engine.dispose()


def without_trigrams(statement: str) -> str:
    """The statement, or one that does nothing if it makes or drops the extension or an index that needs it."""
    if _SCHEMA_CHANGE.match(statement) and _WANTS_TRIGRAMS.search(statement):
        return "SELECT 1"
    return statement


def leave_out_trigrams() -> None:
    """Have all engines of this process send statements as `without_trigrams` returns them."""
    from sqlalchemy import Engine, event

    @event.listens_for(Engine, "before_cursor_execute", retval=True)
    def _rewrite(
        connection: Any, cursor: Any, statement: str, parameters: Any, context: Any, many: bool
    ) -> tuple[str, Any]:
        return without_trigrams(statement), parameters
