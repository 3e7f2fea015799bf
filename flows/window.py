"""Bounded concurrency for many tasks, with constant memory use."""

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from queue import SimpleQueue
from typing import TypeVar

from prefect.futures import PrefectFuture

T = TypeVar("T")
R = TypeVar("R")


def _put(done: "SimpleQueue[tuple[T, PrefectFuture[R]]]", item: T, future: PrefectFuture[R]) -> None:
    done.put((item, future))


def completed(
    items: Iterable[T], submit: Callable[[T], PrefectFuture[R]], at_a_time: int
) -> Iterator[tuple[T, PrefectFuture[R]]]:
    """Submit items in order, keep `at_a_time` of them submitted, and yield each with its future as it finishes."""
    done: SimpleQueue[tuple[T, PrefectFuture[R]]] = SimpleQueue()
    waiting = iter(items)
    running = 0

    def launch() -> bool:
        for item in waiting:
            future = submit(item)
            future.add_done_callback(partial(_put, done, item))
            return True
        return False

    for _ in range(at_a_time):
        running += launch()
    while running:
        finished = done.get()
        running += launch() - 1
        yield finished
