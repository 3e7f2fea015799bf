"""The first schema of the curated database."""

import sqlalchemy as sa
from alembic import op

revision = "curated_0001"
down_revision = None


def upgrade() -> None:
    """Create the tables."""
    op.create_table(
        "adapter_metadata",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("stage", sa.String(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("base", sa.String(), nullable=False),
        sa.Column("path", sa.Text(), nullable=False),
        sa.Column("metrics", sa.JSON(), nullable=False),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.Column("trained_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("stage", "version", name="uq_adapter_metadata_stage_version"),
    )
    op.create_index(
        "uq_adapter_metadata_active_stage",
        "adapter_metadata",
        ["stage"],
        unique=True,
        sqlite_where=sa.text("active"),
        postgresql_where=sa.text("active"),
    )
