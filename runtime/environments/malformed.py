"""The boundary at which strangers' packaging files are read: what is malformed in them counts as not written."""

from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")

MALFORMED = (
    TypeError, ValueError, AttributeError, LookupError, OverflowError, RecursionError, MemoryError,
)  # fmt: skip
"""What reading raises on a value of another type than its key's, on a number or a nesting that is too large."""


def as_written(reader: Callable[P, object], *args: P.args, **kwargs: P.kwargs) -> None:
    """Call a reader of a file, or of a part of one; what it had not read when it met a malformed value is left out."""
    try:
        reader(*args, **kwargs)
    except MALFORMED:
        return


def readable(reader: Callable[P, T], default: T, /, *args: P.args, **kwargs: P.kwargs) -> T:
    """What a reader returns, or `default` if it meets a malformed value."""
    try:
        return reader(*args, **kwargs)
    except MALFORMED:
        return default


def table(held: object, *keys: str) -> dict[str, Any]:
    """The table under some keys, each below the one before; empty if there is none or a value is no table."""
    for key in keys:
        held = held.get(key) if isinstance(held, dict) else None
    return held if isinstance(held, dict) else {}


def texts(held: dict[str, Any], key: str) -> list[str]:
    """The texts of the list under a key; empty if there is none or the value is no list."""
    value = held.get(key)
    return [each for each in value if isinstance(each, str)] if isinstance(value, list | tuple) else []
