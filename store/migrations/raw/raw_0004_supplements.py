"""Generated tests and their origin; measurements of test quality."""

import sqlalchemy as sa
from alembic import op

revision = "raw_0004"
down_revision = "raw_0003"


def upgrade() -> None:
    """Create the tables, and the triggers that make them append-only."""
    op.create_table(
        "supplement_rounds",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("instance_id", sa.String(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("prompt_hash", sa.String(), nullable=False),
        sa.Column("answer_hash", sa.String(), nullable=True),
        sa.Column("files_hash", sa.String(), nullable=False),
        sa.Column("trial_hash", sa.String(), nullable=False),
        sa.Column("model", sa.String(), nullable=False),
        sa.Column("finish_reason", sa.String(), nullable=False),
        sa.Column("prompt_tokens", sa.Integer(), nullable=False),
        sa.Column("cached_tokens", sa.Integer(), nullable=False),
        sa.Column("completion_tokens", sa.Integer(), nullable=False),
        sa.Column("cost", sa.Float(), nullable=False),
        sa.Column("latency", sa.Float(), nullable=False),
        sa.Column("refusal", sa.String(), nullable=True),
        sa.Column("taken", sa.Boolean(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["instance_id"], ["instances.id"]),
        *(
            sa.ForeignKeyConstraint([f"{text}_hash"], ["blobs.sha256"])
            for text in ("prompt", "answer", "files", "trial")
        ),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_supplement_rounds_instance_id", "supplement_rounds", ["instance_id"])
    op.create_index("ix_supplement_rounds_refusal", "supplement_rounds", ["refusal"])
    op.create_table(
        "test_quality",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("instance_id", sa.String(), nullable=False),
        sa.Column("patch_hash", sa.String(), nullable=False),
        sa.Column("tests_hash", sa.String(), nullable=False),
        sa.Column("coverage", sa.Float(), nullable=True),
        sa.Column("changed", sa.Integer(), nullable=False),
        sa.Column("missed", sa.Integer(), nullable=False),
        sa.Column("killed", sa.Integer(), nullable=False),
        sa.Column("total", sa.Integer(), nullable=False),
        sa.Column("seconds", sa.Float(), nullable=False),
        sa.Column("result_hash", sa.String(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["instance_id"], ["instances.id"]),
        sa.ForeignKeyConstraint(["result_hash"], ["blobs.sha256"]),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_test_quality_instance_id", "test_quality", ["instance_id"])
    for table in ("supplement_rounds", "test_quality"):
        _append_only(table)


def _append_only(table: str) -> None:
    if op.get_bind().dialect.name == "sqlite":
        for verb in ("UPDATE", "DELETE"):
            op.execute(
                f"CREATE TRIGGER {table}_no_{verb.lower()} BEFORE {verb} ON {table} "
                f"BEGIN SELECT RAISE(ABORT, '{table} is append-only'); END"
            )
        return
    refuse = "EXECUTE FUNCTION cra_append_only()"
    op.execute(f"CREATE TRIGGER {table}_no_change BEFORE UPDATE OR DELETE ON {table} FOR EACH ROW {refuse}")
    op.execute(f"CREATE TRIGGER {table}_no_truncate BEFORE TRUNCATE ON {table} FOR EACH STATEMENT {refuse}")
