"""Repo packages: prepared, locked, gold-validated, checked and read."""
