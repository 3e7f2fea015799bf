"""People's verdicts on plans."""

import sqlalchemy as sa
from alembic import op

revision = "raw_0010"
down_revision = "raw_0009"


def upgrade() -> None:
    """Create the table, and the triggers that make it append-only."""
    op.create_table(
        "plan_reviews",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("campaign_id", sa.String(), nullable=False),
        sa.Column("task_run_id", sa.String(), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("plan_seq", sa.Integer(), nullable=False),
        sa.Column("type", sa.String(), nullable=False),
        sa.Column("verdict", sa.String(), nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        sa.Column("reviewer", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["campaign_id", "task_run_id"], ["task_runs.campaign_id", "task_runs.id"]),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_plan_reviews_campaign_id", "plan_reviews", ["campaign_id"])
    if op.get_bind().dialect.name == "sqlite":
        for verb in ("UPDATE", "DELETE"):
            op.execute(
                f"CREATE TRIGGER plan_reviews_no_{verb.lower()} BEFORE {verb} ON plan_reviews "
                "BEGIN SELECT RAISE(ABORT, 'plan_reviews is append-only'); END"
            )
        return
    refuse = "EXECUTE FUNCTION cra_append_only()"
    op.execute(f"CREATE TRIGGER plan_reviews_no_change BEFORE UPDATE OR DELETE ON plan_reviews FOR EACH ROW {refuse}")
    op.execute(f"CREATE TRIGGER plan_reviews_no_truncate BEFORE TRUNCATE ON plan_reviews FOR EACH STATEMENT {refuse}")
