"""Teachers' scores of answers."""

import sqlalchemy as sa
from alembic import op

revision = "raw_0006"
down_revision = "raw_0005"


def upgrade() -> None:
    """Create the table, and the triggers that make it append-only."""
    op.create_table(
        "answer_scores",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("stage", sa.String(), nullable=False),
        sa.Column("prompt_hash", sa.String(), nullable=False),
        sa.Column("response_hash", sa.String(), nullable=False),
        sa.Column("scorer_hash", sa.String(), nullable=False),
        sa.Column("model", sa.String(), nullable=False),
        sa.Column("score", sa.Float(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("prompt_tokens", sa.Integer(), nullable=False),
        sa.Column("completion_tokens", sa.Integer(), nullable=False),
        sa.Column("cost", sa.Float(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["prompt_hash"], ["blobs.sha256"]),
        sa.ForeignKeyConstraint(["response_hash"], ["blobs.sha256"]),
        sa.ForeignKeyConstraint(["scorer_hash"], ["blobs.sha256"]),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_answer_scores_prompt_hash", "answer_scores", ["prompt_hash"])
    if op.get_bind().dialect.name == "sqlite":
        for verb in ("UPDATE", "DELETE"):
            op.execute(
                f"CREATE TRIGGER answer_scores_no_{verb.lower()} BEFORE {verb} ON answer_scores "
                "BEGIN SELECT RAISE(ABORT, 'answer_scores is append-only'); END"
            )
        return
    refuse = "EXECUTE FUNCTION cra_append_only()"
    op.execute(f"CREATE TRIGGER answer_scores_no_change BEFORE UPDATE OR DELETE ON answer_scores FOR EACH ROW {refuse}")
    op.execute(f"CREATE TRIGGER answer_scores_no_truncate BEFORE TRUNCATE ON answer_scores FOR EACH STATEMENT {refuse}")
