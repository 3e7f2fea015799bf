"""Tolerant reading of untrusted packaging files: malformed parts are ignored."""

from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")

MALFORMED = (
    TypeError, ValueError, AttributeError, LookupError, OverflowError, RecursionError, MemoryError,
)  # fmt: skip
"""Errors of readers for a value of the wrong type, and for a number or a nesting that is too large."""


def as_written(reader: Callable[P, object], *args: P.args, **kwargs: P.kwargs) -> None:
    """Call a reader of a file, or of a part of one; after a malformed value the rest is left out."""
    try:
        reader(*args, **kwargs)
    except MALFORMED:
        return


def readable(reader: Callable[P, T], default: T, /, *args: P.args, **kwargs: P.kwargs) -> T:
    """The result of a reader, or `default` if it meets a malformed value."""
    try:
        return reader(*args, **kwargs)
    except MALFORMED:
        return default


def table(held: object, *keys: str) -> dict[str, Any]:
    """The table under nested keys; empty if there is none or a value is not a table."""
    for key in keys:
        held = held.get(key) if isinstance(held, dict) else None
    return held if isinstance(held, dict) else {}


def texts(held: dict[str, Any], key: str) -> list[str]:
    """The texts of the list under a key; empty if there is none or the value is not a list."""
    value = held.get(key)
    return [each for each in value if isinstance(each, str)] if isinstance(value, list | tuple) else []
