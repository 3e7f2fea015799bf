"""Which base a decision takes into use, beside which adapter it is about."""

import sqlalchemy as sa
from alembic import op

revision = "curated_0003"
down_revision = "curated_0002"


def upgrade() -> None:
    """Add the column; earlier decisions took no base into use."""
    op.add_column("promotions", sa.Column("base", sa.String(), nullable=True))
