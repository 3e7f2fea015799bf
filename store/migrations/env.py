"""alembic's entry point: runs on the connection, and inside the transaction, that `store.database` provides."""

from alembic import context

attributes = context.config.attributes
context.configure(connection=attributes["connection"], version_table=attributes["version_table"])
context.run_migrations()
