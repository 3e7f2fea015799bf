"""Live objects (stores, contexts, functions) as arguments of tasks."""

from typing import TypeVar, cast

from prefect.utilities.annotations import opaque

T = TypeVar("T")


def opaque_argument(value: T) -> T:
    """An argument of a task that the engine hands over as it is, without visiting what is inside."""
    return cast("T", opaque(value))
