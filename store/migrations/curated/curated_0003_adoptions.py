"""The base that a decision adopts, in addition to the adapter it is about."""

import sqlalchemy as sa
from alembic import op

revision = "curated_0003"
down_revision = "curated_0002"


def upgrade() -> None:
    """Add the column; earlier decisions adopted no base."""
    op.add_column("promotions", sa.Column("base", sa.String(), nullable=True))
