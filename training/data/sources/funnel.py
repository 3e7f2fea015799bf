"""A funnel: counts of examples kept and dropped at each step, with the reason."""

from collections import Counter
from collections.abc import Callable, Iterable
from typing import Protocol, Self, TypeVar

from models.training import PairSource


class Sourced(Protocol):
    """A pair, a preference, or an example of one."""

    @property
    def source(self) -> PairSource:
        """Where it comes from."""
        ...


T = TypeVar("T", bound=Sourced)
FunnelRow = tuple[str, int, int]


class Funnel:
    """Rows of (name, kept, dropped), in the order of the steps; `sources` counts the drops by source and step."""

    def __init__(self, rows: Iterable[FunnelRow] = ()) -> None:
        self.rows: list[FunnelRow] = list(rows)
        self.sources: Counter[tuple[PairSource, str]] = Counter()

    def copy(self) -> Self:
        """The same counts, to go on with."""
        made = type(self)(self.rows)
        made.sources = self.sources.copy()
        return made

    def begin(self, name: str, count: int) -> None:
        """Record the initial count."""
        self.rows.append((name, count, 0))

    def reasons(self, order: Iterable[str], dropped: Counter[str], count: int) -> None:
        """A step for each reason, in a fixed order; `count` is the initial number."""
        for reason in order:
            count -= dropped[reason]
            self.rows.append((reason, count, dropped[reason]))

    def keep(self, name: str, items: list[T], good: Callable[[T], bool]) -> list[T]:
        """The good items; the others are counted under a name."""
        return self.kept(name, items, [item for item in items if good(item)])

    def kept(self, name: str, before: list[T], after: list[T]) -> list[T]:
        """Record a step that reduced `before` to `after`; returns `after`."""
        self.rows.append((name, len(after), len(before) - len(after)))
        if len(after) < len(before):
            left = {id(item) for item in after}
            self.lost(name, (item for item in before if id(item) not in left))
        return after

    def lost(self, name: str, items: Iterable[Sourced]) -> None:
        """Count items as dropped at a step, by their sources alone."""
        self.sources.update((item.source, name) for item in items)

    def summary(self) -> str:
        """The drops in one line, for an error."""
        drops = [f"{name} {dropped}" for name, _, dropped in self.rows if dropped]
        first = self.rows[0] if self.rows else ("examples", 0, 0)
        return f"{first[1]} {first[0]}; dropped: {', '.join(drops) or 'none'}"
