"""Prefect flows, one file per flow."""
