"""Attributions: which stage a failed attempt failed at, by experiment."""

import sqlalchemy as sa
from alembic import op

revision = "raw_0002"
down_revision = "raw_0001"


def upgrade() -> None:
    """Create the table, and the triggers that make it append-only."""
    op.create_table(
        "attributions",
        sa.Column("campaign_id", sa.String(), nullable=False),
        sa.Column("task_run_id", sa.String(), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("label", sa.String(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("evidence_hash", sa.String(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["campaign_id", "task_run_id"], ["task_runs.campaign_id", "task_runs.id"]),
        sa.ForeignKeyConstraint(["evidence_hash"], ["blobs.sha256"]),
        sa.PrimaryKeyConstraint("campaign_id", "task_run_id", "attempt"),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_attributions_label", "attributions", ["label"])
    if op.get_bind().dialect.name == "sqlite":
        for verb in ("UPDATE", "DELETE"):
            op.execute(
                f"CREATE TRIGGER attributions_no_{verb.lower()} BEFORE {verb} ON attributions "
                "BEGIN SELECT RAISE(ABORT, 'attributions is append-only'); END"
            )
        return
    refuse = "EXECUTE FUNCTION cra_append_only()"
    op.execute(f"CREATE TRIGGER attributions_no_change BEFORE UPDATE OR DELETE ON attributions FOR EACH ROW {refuse}")
    op.execute(f"CREATE TRIGGER attributions_no_truncate BEFORE TRUNCATE ON attributions FOR EACH STATEMENT {refuse}")
