"""Running a recipe over what it is offered, in this process or in several: in order, and one defect costs one row."""

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field
from functools import partial
from multiprocessing import get_context
from typing import Protocol, TypeVar

from models.edits import EditFormat
from models.errors import InfrastructureError
from models.plans import Frozen
from models.training import Pair, PairSource
from training.data.sources.collections import Dropped, Offered

BUG = "bug"
_AHEAD = 4
"""Rows for each process that are read ahead."""


class RecipeSettings(Frozen):
    """What a recipe is told. `samples` examples or sequences of examples are made of each row at most."""

    recipe: PairSource
    samples: int = 5
    seed: int = 0
    edit_format: EditFormat = EditFormat.SEARCH_REPLACE


class Named(Protocol):
    """What a recipe is offered: a program, a commit."""

    @property
    def row(self) -> str:
        """Its name in its source."""
        ...


R = TypeVar("R", bound=Named)
Recipe = Callable[[R, RecipeSettings], "Made"]


@dataclass
class Made:
    """What came of one row: its examples, and how many states were linted for them."""

    examples: list[Offered] = field(default_factory=list)
    checked: int = 0

    @property
    def kept(self) -> bool:
        """Whether it gave any example."""
        return any(isinstance(example, Pair) for example in self.examples)


def run_recipe(
    recipe: Recipe[R],
    rows: Iterator[R | Dropped],
    settings: RecipeSettings,
    told: Callable[[Made], None],
    jobs: int = 1,
) -> Iterator[list[Offered]]:
    """The examples of each row in order, each told about; for the writer of collections.

    The result does not depend on `jobs`, the number of processes. Raises InfrastructureError if one of them is killed,
    and MemoryError and InfrastructureError of the recipe; any other defect is counted as `BUG`.
    """
    for made in _made_here(recipe, rows, settings) if jobs == 1 else _made_by_others(recipe, rows, settings, jobs):
        told(made)
        yield made.examples


def _made_here(recipe: Recipe[R], rows: Iterator[R | Dropped], settings: RecipeSettings) -> Iterator[Made]:
    for row in rows:
        yield _made(recipe, settings, row)


def _made_by_others(
    recipe: Recipe[R], rows: Iterator[R | Dropped], settings: RecipeSettings, jobs: int
) -> Iterator[Made]:
    waiting: deque[Future[Made]] = deque()
    with ProcessPoolExecutor(jobs, get_context("spawn")) as pool:
        try:
            for row in rows:
                waiting.append(pool.submit(partial(_made, recipe, settings), row))
                if len(waiting) >= _AHEAD * jobs:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        except BrokenProcessPool as error:
            raise InfrastructureError("a process of --jobs was killed; free memory, or run with --jobs 1") from error


def _made(recipe: Recipe[R], settings: RecipeSettings, row: R | Dropped) -> Made:
    if isinstance(row, Dropped):
        return Made([row])
    try:
        return recipe(row, settings)
    except (MemoryError, InfrastructureError):  # of the machine, not of the row
        raise
    except Exception as error:  # noqa: BLE001 - a defect here costs the row that shows it, and is counted as one
        return Made([Dropped(BUG, f"{row.row}: {type(error).__name__}: {error}")])
