"""The log of decisions about the base of each role, which holds the base in use.

Earlier versions knew two things instead: the base that a person had adopted for a target (the promotions log), and the
newest tuned base of a role, which superseded all others at once. A role keeps the base that it was served by.
"""

import json
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "curated_0005"
down_revision = "curated_0004"

_ROLES = {
    "reasoning": ("task_analysis", "scope", "precision", "planning"),
    "coding": ("code",),
}
_ADOPTED = "adopted before decisions about bases had a log of their own: {}"
_TUNED = "tuned and in use before bases were gated"


def upgrade() -> None:
    """Create the table with its triggers, and note the base that each role uses."""
    op.create_table(
        "base_decisions",
        sa.Column("seq", sa.Integer(), nullable=False),
        sa.Column("role", sa.String(), nullable=False),
        sa.Column("action", sa.String(), nullable=False),
        sa.Column("base", sa.String(), nullable=False),
        sa.Column("before", sa.String(), nullable=True),
        sa.Column("serving", sa.String(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("override", sa.Text(), nullable=True),
        sa.Column("report", sa.JSON(), nullable=False),
        sa.Column("stopped", sa.JSON(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("seq"),
    )
    op.create_index("ix_base_decisions_role", "base_decisions", ["role"])
    for role, targets in _ROLES.items():
        _note_base_in_use(op.get_bind(), role, targets)
    if op.get_bind().dialect.name == "sqlite":
        for verb in ("UPDATE", "DELETE"):
            op.execute(
                f"CREATE TRIGGER base_decisions_no_{verb.lower()} BEFORE {verb} ON base_decisions "
                "BEGIN SELECT RAISE(ABORT, 'base_decisions is append-only'); END"
            )
        return
    for name, when, scope in (("change", "UPDATE OR DELETE", "ROW"), ("truncate", "TRUNCATE", "STATEMENT")):
        op.execute(
            f"CREATE TRIGGER base_decisions_no_{name} BEFORE {when} ON base_decisions "
            f"FOR EACH {scope} EXECUTE FUNCTION cra_curated_append_only()"
        )


def _note_base_in_use(connection: sa.Connection, role: str, targets: tuple[str, ...]) -> None:
    """The base last adopted for one of the role's targets; else the newest one tuned for the role, unless adapters of
    another base are active (it was then never used, and is a candidate now)."""
    found = _adopted(connection, targets) or _tuned(connection, role, targets)
    if found is None:
        return
    base, reason, at = found
    connection.execute(
        sa.text(
            "INSERT INTO base_decisions (role, action, base, before, serving, reason, override, report, stopped, "
            "created_at) VALUES (:role, 'adopt', :base, NULL, :base, :reason, NULL, :report, :stopped, :at)"
        ),
        {"role": role, "base": base, "reason": reason, "report": "{}", "stopped": json.dumps([]), "at": at},
    )


def _adopted(connection: sa.Connection, targets: tuple[str, ...]) -> tuple[str, str, Any] | None:
    query = sa.text(
        "SELECT base, reason, created_at FROM promotions WHERE action = 'adopt' AND base IS NOT NULL "
        "AND target IN :targets ORDER BY seq DESC LIMIT 1"
    ).bindparams(sa.bindparam("targets", expanding=True))
    row = connection.execute(query, {"targets": list(targets)}).one_or_none()
    return None if row is None else (row.base, _ADOPTED.format(row.reason), row.created_at)


def _tuned(connection: sa.Connection, role: str, targets: tuple[str, ...]) -> tuple[str, str, Any] | None:
    newest = connection.execute(
        sa.text(
            "SELECT id, created_at FROM bases WHERE role = :role AND version IS NOT NULL ORDER BY version DESC LIMIT 1"
        ),
        {"role": role},
    ).one_or_none()
    if newest is None:
        return None
    others = sa.text(
        "SELECT count(*) FROM adapter_metadata WHERE active AND base <> :base AND stage IN :targets"
    ).bindparams(sa.bindparam("targets", expanding=True))
    if connection.scalar(others, {"base": newest.id, "targets": list(targets)}):
        return None
    return newest.id, _TUNED, newest.created_at
