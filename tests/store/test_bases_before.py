"""A curated database from before decisions about bases had a log: which base each role is found to use."""

import sqlite3
from collections.abc import Sequence
from pathlib import Path

import pytest
from alembic import command

from store.database import alembic_config, open_database
from store.learning.base_decisions import base_log

BEFORE = "curated_0004"
OLD, TUNED, NEWER = ("a" * 64, "b" * 64, "c" * 64)
PROMOTION = (
    "INSERT INTO promotions (target, action, adapter, serving, reason, override, base, report, created_at) "
    "VALUES (?, 'adopt', NULL, NULL, 'moved over', NULL, ?, '{}', '2026-05-01 00:00:00')"
)
BASE = (
    "INSERT INTO bases (id, name, role, version, tuned, path, facts, created_at) "
    "VALUES (?, ?, ?, ?, ?, '/', '{}', '2026-04-01 00:00:00')"
)
ADAPTER = (
    "INSERT INTO adapter_metadata (id, stage, version, base, path, metrics, active, trained_at, created_at) "
    "VALUES (?, 'scope', 1, ?, '/', '{}', ?, '2026-04-02 00:00:00', '2026-04-02 00:00:00')"
)


def before(folder: Path, statements: Sequence[tuple[str, tuple[object, ...]]]) -> Path:
    """A database at the schema before, with rows."""
    from sqlalchemy import create_engine

    path = folder / "curated.sqlite"
    engine = create_engine(f"sqlite:///{path}")
    with engine.begin() as connection:
        config = alembic_config("curated")
        config.attributes["connection"] = connection
        command.upgrade(config, BEFORE)
    engine.dispose()
    with sqlite3.connect(path) as database:
        database.execute(BASE, (OLD, "old", None, None, False))
        for statement, values in statements:
            database.execute(statement, values)
    return path


TUNED_ROW = (BASE, (TUNED, "reasoning-base-v1", "reasoning", 1, True))
NEWER_ROW = (BASE, (NEWER, "reasoning-base-v2", "reasoning", 2, True))


@pytest.mark.parametrize(
    ("statements", "used"),
    [
        ([], {}),
        ([(ADAPTER, ("1", OLD, True))], {}),
        ([TUNED_ROW, NEWER_ROW], {"reasoning": NEWER}),
        ([TUNED_ROW, NEWER_ROW, (ADAPTER, ("1", NEWER, True))], {"reasoning": NEWER}),
        ([TUNED_ROW, (ADAPTER, ("1", OLD, False))], {"reasoning": TUNED}),
        ([TUNED_ROW, (ADAPTER, ("1", OLD, True))], {}),
        ([TUNED_ROW, NEWER_ROW, (PROMOTION, ("scope", TUNED))], {"reasoning": TUNED}),
        ([(PROMOTION, ("scope", OLD)), (PROMOTION, ("code", OLD))], {"reasoning": OLD, "coding": OLD}),
        ([(PROMOTION, ("scope", OLD)), (PROMOTION, ("planning", TUNED)), TUNED_ROW], {"reasoning": TUNED}),
    ],
    ids=[
        "nothing", "an adapter alone", "tuned, newest counts", "in use", "none active", "never used", "adopted counts",
        "both roles", "last adoption counts",
    ],
)  # fmt: skip
def test_a_role_keeps_the_base_that_it_was_served_by(
    tmp_path: Path, statements: list[tuple[str, tuple[object, ...]]], used: dict[str, str]
) -> None:
    engine = open_database(before(tmp_path, statements), "curated")
    log = base_log(engine)
    assert {row.role: row.serving for row in log} == used
    assert all((row.action, row.before, row.stopped) == ("adopt", None, ()) for row in log)
    with pytest.raises(sqlite3.IntegrityError, match="append-only"), sqlite3.connect(engine.url.database or "") as file:
        file.execute(
            "INSERT INTO base_decisions (role, action, base, reason, report, stopped, created_at) "
            "VALUES ('coding', 'adopt', 'x', '', '{}', '[]', '2026-05-01 00:00:00')"
        )
        file.execute("DELETE FROM base_decisions")
