"""Adapters: immutable versions with signed lineage, promotion and rollback."""

from store.learning.adapters import AdapterVersion
from training.adapters.registry.registry import Registry

__all__ = ["AdapterVersion", "Registry"]
