"""The contents of repositories, by which copies are recognised."""

import sqlalchemy as sa
from alembic import op

revision = "raw_0007"
down_revision = "raw_0006"


def upgrade() -> None:
    """Create the table, and the triggers that make it append-only."""
    op.create_table(
        "repository_contents",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("repository", sa.String(), nullable=False),
        sa.Column("content", sa.JSON(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_repository_contents_repository", "repository_contents", ["repository"])
    if op.get_bind().dialect.name == "sqlite":
        for verb in ("UPDATE", "DELETE"):
            op.execute(
                f"CREATE TRIGGER repository_contents_no_{verb.lower()} BEFORE {verb} ON repository_contents "
                "BEGIN SELECT RAISE(ABORT, 'repository_contents is append-only'); END"
            )
        return
    for name, when, scope in (("change", "UPDATE OR DELETE", "ROW"), ("truncate", "TRUNCATE", "STATEMENT")):
        op.execute(
            f"CREATE TRIGGER repository_contents_no_{name} BEFORE {when} ON repository_contents "
            f"FOR EACH {scope} EXECUTE FUNCTION cra_append_only()"
        )
