"""Bounded, unambiguous parsing of a manifest's text."""

import json
import os
import stat
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from harness.packages.checks.findings import ManifestFinding, shown
from models.errors import ManifestError
from models.manifest import SCHEMA_VERSION, Manifest

MAX_BYTES = 256 << 20
"""Most bytes of a manifest. One of 1,000 commits with 2,000 tests each has about 200 MiB."""
_MAX_VALUES = 5_000_000
"""Most values in a manifest, so that refusing millions of invalid ones takes no gigabytes."""


class _Ambiguous(ValueError):
    """JSON that two parsers could read differently."""


def read_bounded(path: Path, most: int = MAX_BYTES) -> str:
    """A regular file's text. Raises ManifestError for a link, a device, a huge file, or text that is not UTF-8."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(descriptor, "rb") as file:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise ManifestError(f"{path} is no plain file; prepare the package again")
            raw = file.read(most + 1)
    except FileNotFoundError as error:
        raise ManifestError(
            f"{path.parent} is no repo package: {path.name} is missing; make one with `cra prepare`"
        ) from error
    except OSError as error:
        raise ManifestError(f"{path} cannot be read: {error.strerror}; prepare the package again") from error
    if len(raw) > most:
        raise ManifestError(f"{path} has more than {most >> 20} MiB; prepare fewer commits")
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise ManifestError(f"{path} cannot be read: {error.reason} at byte {error.start}") from error


def parse_manifest(where: Path, raw: str) -> tuple[Manifest | None, list[ManifestFinding]]:
    """The manifest in a text, or None and each field that does not fit its type.

    Raises ManifestError for text that is not a JSON object, and for another schema version.
    """
    version = _object(where, raw).get("schema_version")
    if type(version) is not int or version != SCHEMA_VERSION:
        raise ManifestError(
            f"{where} has schema version {shown(version)}, this program reads {SCHEMA_VERSION}; prepare it again"
        )
    try:
        return Manifest.model_validate_json(raw, strict=True), []
    except ValidationError as error:
        return None, [_finding(dict(each)) for each in error.errors(include_url=False, include_context=False)]


def _finding(error: dict[str, Any]) -> ManifestFinding:
    field = ".".join(str(part) if isinstance(part, int) else shown(part).strip("'\"") for part in error["loc"])
    return ManifestFinding(field or "manifest", shown(error["input"]), str(error["msg"]))


def _object(where: Path, raw: str) -> dict[str, Any]:
    try:
        if raw.count(",") > _MAX_VALUES:
            raise _Ambiguous(f"more than {_MAX_VALUES} values")
        value = json.loads(raw, object_pairs_hook=_once, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise ManifestError(f"{where} is not a JSON object: {error}; prepare the package again") from error
    if not isinstance(value, dict):
        raise ManifestError(f"{where} is not a JSON object; prepare the package again")
    return value


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in pairs:
        if name in found:
            raise _Ambiguous(f"the field {shown(name)} occurs twice")
        found[name] = value
    return found


def _no_constant(name: str) -> Any:
    raise _Ambiguous(f"{name} is no JSON number")
