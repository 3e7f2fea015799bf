"""Datasets and trainings are numbered in the order in which they are stored: clocks may jump."""

import sqlalchemy as sa
from alembic import op

revision = "raw_0011"
down_revision = "raw_0010"

_TABLES = ("training_datasets", "training_plans")


def upgrade() -> None:
    """Add the columns, and number the rows that are there by their times; they are append-only again afterwards."""
    sqlite = op.get_bind().dialect.name == "sqlite"
    for table in _TABLES:
        op.add_column(table, sa.Column("sequence", sa.Integer(), nullable=True))
        op.execute(f"DROP TRIGGER {table}_no_update" if sqlite else f"DROP TRIGGER {table}_no_change ON {table}")
        op.execute(
            f"UPDATE {table} SET sequence = (SELECT count(*) FROM {table} AS other "  # noqa: S608
            f"WHERE (other.created_at, other.id) <= ({table}.created_at, {table}.id))"
        )
        op.execute(
            f"CREATE TRIGGER {table}_no_update BEFORE UPDATE ON {table} "
            f"BEGIN SELECT RAISE(ABORT, '{table} is append-only'); END"
            if sqlite
            else f"CREATE TRIGGER {table}_no_change BEFORE UPDATE OR DELETE ON {table} "
            "FOR EACH ROW EXECUTE FUNCTION cra_append_only()"
        )
