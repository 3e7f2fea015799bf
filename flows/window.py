"""Many tasks, few at a time: memory stays flat however long the list is."""

from collections.abc import Callable, Iterable, Iterator
from queue import SimpleQueue
from typing import TypeVar

from prefect.futures import PrefectFuture

T = TypeVar("T")
R = TypeVar("R")


def completed(
    items: Iterable[T], submit: Callable[[T], PrefectFuture[R]], at_a_time: int
) -> Iterator[tuple[T, PrefectFuture[R]]]:
    """Submit items in order, keep `at_a_time` of them under way, and yield each with its future as it finishes."""
    done: SimpleQueue[tuple[T, PrefectFuture[R]]] = SimpleQueue()
    waiting = iter(items)
    running = 0

    def launch() -> bool:
        for item in waiting:
            submit(item).add_done_callback(lambda future, item=item: done.put((item, future)))
            return True
        return False

    for _ in range(at_a_time):
        running += launch()
    while running:
        finished = done.get()
        running += launch() - 1
        yield finished
