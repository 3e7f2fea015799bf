"""Identity of an environment, derived from its content: two with the same identity contain the same files."""

import hashlib
import json
from collections.abc import Mapping

from models.manifest import Environment

_SCHEMA = 1
_LENGTH = 32


def content_key(lock_text: str, wheels: Mapping[str, str], abi: str) -> str:
    """The hash (32 hexadecimal digits) of a lock, the wheels chosen for it (file name -> SHA-256) and an ABI."""
    parts = [_SCHEMA, lock_text, sorted(wheels.items()), abi]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:_LENGTH]


def environment_identity(environment: Environment, wheels: Mapping[str, str]) -> str:
    """The identity of an environment's content; `wheels` are its package's (file name -> SHA-256).

    Verdicts depend on it, and it names the folder in the store; a manifest's own key for the environment does not
    matter. Raises KeyError for a wheel that the package does not list.
    """
    return content_key(environment.lock, {name: wheels[name] for name in environment.wheels}, environment.abi)
