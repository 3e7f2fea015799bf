"""Adapters: immutable versions with signed lineage, promotion and rollback."""

from training.adapters.registry.registry import Registry
from training.adapters.registry.version import AdapterVersion

__all__ = ["AdapterVersion", "Registry"]
