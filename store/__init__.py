"""The raw and curated databases: tables, migrations, queries, texts by content hash."""
