"""Keys: identities by content, as truncated SHA-256 of canonical JSON; names and labels do not count."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel

from models.manifest import Instance
from models.outcomes import OracleKind

KEY_LENGTH = 32  # hexadecimal digits: 128 bits


def canonical(value: Any) -> str:
    """JSON text that is the same for the same data: sorted keys, ASCII, no spaces. Accepts pydantic models, too."""
    if isinstance(value, BaseModel):
        value = value.model_dump(mode="json")
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)


def digest(*parts: Any) -> str:
    """A key for JSON-like parts: sensitive to their order and boundaries (("ab", "c") differs from ("a", "bc"))."""
    return hashlib.sha256(canonical(parts).encode()).hexdigest()[:KEY_LENGTH]


def campaign_key(config: Mapping[str, Any]) -> str:
    """The identity of a campaign: the hash of its configuration, which is JSON-like."""
    return digest("campaign", dict(config))


def instance_key(repository: str, instance: Instance) -> str:
    """The identity of an instance: the hash of all its fields, tests and environment included.

    Fields at their default do not count, so that a field added later does not change the keys of older instances.
    """
    return digest("instance", repository, instance.model_dump(mode="json", exclude_defaults=True))


def trajectory_key(
    campaign_id: str, instance: str, planner: str, planner_identity: str, temperature: float, sample: int
) -> str:
    """The identity of a trajectory; `campaign_id` and `instance` are keys, `planner_identity` is the
    planner's text."""
    return digest("trajectory", campaign_id, instance, planner, planner_identity, float(temperature), sample)


def validation_key(
    instance: str,
    patch_hash: str,
    environment: str | None,
    conditions: Mapping[str, Any],
    oracle: OracleKind = OracleKind.F2P_P2P,
) -> str:
    """The identity of a verdict; `instance` is an instance's key, `patch_hash` the SHA-256 of the patch text.

    `conditions` (JSON-like) hold what else a verdict depends on: limits, kind of sandbox, version of the judge.
    """
    return digest("validation", instance, patch_hash, environment, dict(conditions), oracle.value)
