"""Columns of a call: endpoint, cached tokens, retries; whether the answer was reused; size of the context."""

import sqlalchemy as sa
from alembic import op

revision = "raw_0003"
down_revision = "raw_0002"


def upgrade() -> None:
    """Add the columns; existing rows get the values that held for them."""
    for column in (
        sa.Column("endpoint", sa.String(), nullable=False, server_default=""),
        sa.Column("cached_tokens", sa.Integer(), nullable=False, server_default="0"),
        sa.Column("retries", sa.Integer(), nullable=False, server_default="0"),
        sa.Column("reused", sa.Boolean(), nullable=False, server_default=sa.false()),
        sa.Column("context_tokens", sa.Integer(), nullable=True),
    ):
        op.add_column("retrieval_llm_calls", column)
