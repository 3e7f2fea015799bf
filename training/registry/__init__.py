"""Adapters: immutable versions with signed lineage, promotion and rollback."""

from training.registry.registry import Registry
from training.registry.version import AdapterVersion

__all__ = ["AdapterVersion", "Registry"]
