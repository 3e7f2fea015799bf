"""Prefect tasks: thin, retryable, cached wrappers around plain functions, one module per kind of work."""
