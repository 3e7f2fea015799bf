"""Frozen bases, the registry of adapters, and their export."""
