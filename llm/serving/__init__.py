"""Serving a base and its adapters: the process, loading adapters, and the check that they have an effect."""
