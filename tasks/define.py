"""Definition of tasks: the name in the UI, retries, and whether the engine caches the result.

Live objects (stores, contexts, functions) are given to a task as `opaque_argument`: the engine otherwise visits every
dataclass, model and collection among a task's arguments, several times, in search of results of other tasks.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ParamSpec, Protocol, TypeVar, cast

from prefect import task
from prefect.cache_policies import NO_CACHE
from prefect.utilities.annotations import opaque

from tasks.caching import RETRY_DELAYS, is_infrastructure

if TYPE_CHECKING:
    from prefect import Task

P = ParamSpec("P")
T = TypeVar("T")


class TaskDecorator(Protocol):
    """A decorator that makes a function a task."""

    def __call__(self, function: Callable[P, T], /) -> "Task[P, T]":
        """The task."""
        ...


def engine_task(run_name: str, *, retries: int = len(RETRY_DELAYS), keep_result: bool = False) -> TaskDecorator:
    """A decorator that makes a task. `run_name` is a template over the function's parameters.

    Only faults of the machine are retried. A cached result must be a string and needs a key: see
    `tasks.caching.cache_options`.
    """
    kept: dict[str, Any] = {"persist_result": True, "result_serializer": "json"}
    return task(
        task_run_name=run_name,
        retries=retries,
        retry_delay_seconds=RETRY_DELAYS[:retries] or None,
        retry_condition_fn=is_infrastructure if retries else None,
        **(kept if keep_result else {"persist_result": False, "cache_policy": NO_CACHE}),
    )


def opaque_argument(value: T) -> T:
    """A task argument that the engine passes on without inspecting its contents."""
    return cast(T, opaque(value))
