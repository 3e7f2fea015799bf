"""Leases, budgets, answers that all processes replay; closed trajectories may be opened again, with a reason."""

import sqlalchemy as sa
from alembic import op

revision = "raw_0008"
down_revision = "raw_0007"

_REOPENED = (
    "EXISTS (SELECT 1 FROM reopenings r WHERE r.campaign_id = OLD.campaign_id AND r.task_run_id = OLD.id "
    "AND r.attempt = OLD.closed_attempt)"
)
"""The condition under which a closed trajectory may become an open one."""


def upgrade() -> None:
    """Create the tables and triggers, and replace the one that keeps closed trajectories as they are."""
    _mutable()
    _answers()
    op.create_table(
        "reopenings",
        sa.Column("campaign_id", sa.String(), nullable=False),
        sa.Column("task_run_id", sa.String(), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("outcome", sa.String(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["campaign_id", "task_run_id"], ["task_runs.campaign_id", "task_runs.id"]),
        sa.PrimaryKeyConstraint("campaign_id", "task_run_id", "attempt"),
        sqlite_with_rowid=False,
    )
    op.add_column("retrieval_llm_calls", sa.Column("answer_id", sa.String(), nullable=True))
    op.create_index("ix_retrieval_llm_calls_answer_id", "retrieval_llm_calls", ["answer_id"])
    sqlite = op.get_bind().dialect.name == "sqlite"
    for table in ("answers", "voided_answers", "reopenings"):
        _append_only(table, sqlite)
    if sqlite:
        _allow_reopening_sqlite()
    else:
        _allow_reopening_postgresql()


def _mutable() -> None:
    op.create_table(
        "leases",
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("holder", sa.String(), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("name"),
    )
    op.create_index("ix_leases_holder", "leases", ["holder"])
    op.create_table(
        "budgets",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("max_cost", sa.Float(), nullable=True),
        sa.Column("max_tokens", sa.Integer(), nullable=True),
        sa.Column("cost", sa.Float(), nullable=False),
        sa.Column("tokens", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )


def _answers() -> None:
    op.create_table(
        "answers",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("question", sa.String(), nullable=False),
        sa.Column("generation", sa.Integer(), nullable=False),
        sa.Column("stage", sa.String(), nullable=False),
        sa.Column("endpoint", sa.String(), nullable=False),
        sa.Column("model", sa.String(), nullable=False),
        sa.Column("prompt_tokens", sa.Integer(), nullable=False),
        sa.Column("completion_tokens", sa.Integer(), nullable=False),
        sa.Column("cost", sa.Float(), nullable=False),
        sa.Column("text_hash", sa.String(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["text_hash"], ["blobs.sha256"]),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_answers_question", "answers", ["question"])
    op.create_index("ix_answers_endpoint", "answers", ["endpoint"])
    op.create_table(
        "voided_answers",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["id"], ["answers.id"]),
        sa.PrimaryKeyConstraint("id"),
    )


def _append_only(table: str, sqlite: bool) -> None:
    if sqlite:
        for verb in ("UPDATE", "DELETE"):
            op.execute(
                f"CREATE TRIGGER {table}_no_{verb.lower()} BEFORE {verb} ON {table} "
                f"BEGIN SELECT RAISE(ABORT, '{table} is append-only'); END"
            )
        return
    for name, when, scope in (("change", "UPDATE OR DELETE", "ROW"), ("truncate", "TRUNCATE", "STATEMENT")):
        op.execute(
            f"CREATE TRIGGER {table}_no_{name} BEFORE {when} ON {table} "
            f"FOR EACH {scope} EXECUTE FUNCTION cra_append_only()"
        )


def _allow_reopening_sqlite() -> None:
    op.execute("DROP TRIGGER task_runs_no_update")
    op.execute(
        "CREATE TRIGGER task_runs_no_update BEFORE UPDATE ON task_runs WHEN OLD.closed_at IS NOT NULL "
        f"AND NOT (NEW.closed_at IS NULL AND NEW.attempts = OLD.attempts AND {_REOPENED}) "
        "BEGIN SELECT RAISE(ABORT, 'task_runs is append-only once a trajectory is closed'); END"
    )


def _allow_reopening_postgresql() -> None:
    op.execute(
        "CREATE FUNCTION cra_reopened_only() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
        f"IF NEW.closed_at IS NULL AND NEW.attempts = OLD.attempts AND {_REOPENED} THEN RETURN NEW; END IF; "
        "RAISE EXCEPTION '% is append-only', TG_TABLE_NAME; END $$"
    )
    op.execute("DROP TRIGGER task_runs_no_update ON task_runs")
    op.execute(
        "CREATE TRIGGER task_runs_no_update BEFORE UPDATE ON task_runs FOR EACH ROW "
        "WHEN (OLD.closed_at IS NOT NULL) EXECUTE FUNCTION cra_reopened_only()"
    )
