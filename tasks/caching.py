"""What all tasks share: cache keys that outlive a flow run, and which errors are worth another try.

The engine's default cache key holds the flow run's id, so nothing would be reused after a kill. These keys come
from the identities that the database uses, and lie in a folder of ours.
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
    """Options of a task whose result is kept."""

    cache_policy: CachePolicy
    result_storage: Any  # a Path, which the engine takes but does not declare


@contextmanager
def commit_eagerly() -> Iterator[None]:
    """Inside, the result of a task called by another task is kept when it is there.

    By default the engine keeps it when the outermost task has ended well, which is too late for who is killed, and for
    a sample that asks the same meanwhile.
    """
    with transaction(commit_mode=CommitMode.EAGER):
        yield


def cache_options(key: str, cache_dir: Path) -> CacheOptions:
    """Options under which a task is done once per `key`, whatever run or process asks.

    Keys and results lie in the same folder of ours, for one is of no use without the other.
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
    """The text whose hash is the result of a task that is done once per `key`.

    Done again where the engine remembers a hash whose text this database does not hold.
    """
    kept = one.with_options(**cache_options(key, cache_dir))
    with commit_eagerly():
        try:
            return store.get_text(kept(*arguments, **named))
        except DatabaseError:
            return store.get_text(kept.with_options(refresh_cache=True)(*arguments, **named))


def is_infrastructure(task: "Task[..., Any]", run: TaskRun, state: State[Any]) -> bool:
    """Retry faults of the machine only: a verdict about a commit or a candidate does not change by asking again.

    A provider has been asked again by then, and a cap that is reached stays so.
    """
    try:
        state.result()
    except (ProviderError, CapReached):
        return False
    except InfrastructureError:
        return True
    except Exception:  # noqa: BLE001 - whatever else it is, it is not worth a retry
        return False
    return False
