"""What flows between rooms: pydantic types, tables, settings. No I/O beyond opening a database."""
