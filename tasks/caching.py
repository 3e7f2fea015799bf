"""Shared by all tasks: cache keys that persist across flow runs, and which errors are retried.

The engine's default cache key holds the flow run's id, so nothing would be reused after an interruption. These keys
come from the identities in the database, and are stored in the project's own folder.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, ParamSpec, TypedDict

from prefect.cache_policies import CacheKeyFnPolicy, CachePolicy
from prefect.client.schemas.objects import State, TaskRun
from prefect.context import TaskRunContext
from prefect.transactions import CommitMode, transaction

from models.errors import CapReached, DatabaseError, InfrastructureError, ProviderError
from store.runs import RawStore
from tasks.results import key_storage

if TYPE_CHECKING:
    from prefect import Task

P = ParamSpec("P")

RETRY_DELAYS = [1.0, 5.0]
"""Seconds before each retry of a task; there are as many retries."""


class CacheOptions(TypedDict):
    """Options of a task whose result is cached."""

    cache_policy: CachePolicy
    result_storage: Any  # a Path, which the engine accepts but does not declare


@contextmanager
def commit_eagerly() -> Iterator[None]:
    """Within this context, the result of a nested task is cached as soon as it exists.

    By default the engine caches it when the outermost task has succeeded, which is too late after an interruption, and
    for a concurrent sample with the same question; and it rolls the nested task back if the outermost one fails.
    """
    with transaction(commit_mode=CommitMode.EAGER):
        yield


def cache_options(key: str, cache_dir: Path) -> CacheOptions:
    """Options with which a task runs once per `key`, across runs and processes.

    Keys and results are in the same folder, since one is useless without the other.
    """

    def compute(context: TaskRunContext, inputs: dict[str, Any]) -> str:
        return f"{context.task.name}-{key}"

    keys, results = key_storage(cache_dir / "engine")
    return {
        "cache_policy": CacheKeyFnPolicy(cache_key_fn=compute).configure(key_storage=keys),
        "result_storage": results,
    }


def kept_text(
    one: "Task[P, str]", key: str, store: RawStore, cache_dir: Path, *arguments: P.args, **named: P.kwargs
) -> str:
    """The text whose hash is the result of a task that runs once per `key`.

    The task is repeated if the engine has cached a hash whose text this database lacks.
    """
    kept = one.with_options(**cache_options(key, cache_dir))
    with commit_eagerly():
        text_hash = kept(*arguments, **named)
        try:
            return store.get_text(text_hash)
        except DatabaseError:
            return store.get_text(kept.with_options(refresh_cache=True)(*arguments, **named))


def is_infrastructure(task: "Task[..., Any]", run: TaskRun, state: State[Any]) -> bool:
    """Retry only faults of the machine: a verdict on a commit or a candidate would not change.

    Requests to a provider have already been retried, and a reached cap stays reached.
    """
    try:
        state.result()
    except (ProviderError, CapReached):
        return False
    except InfrastructureError:
        return True
    except Exception:  # noqa: BLE001 - any other error is not retried
        return False
    return False
