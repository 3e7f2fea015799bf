"""A funnel: how many came in, and why how many were dropped at each step."""

from collections import Counter
from collections.abc import Callable, Iterable
from typing import TypeVar

T = TypeVar("T")
FunnelRow = tuple[str, int, int]


class Funnel:
    """Rows of (name, kept, dropped), in the order in which the steps were taken."""

    def __init__(self, rows: Iterable[FunnelRow] = ()) -> None:
        self.rows: list[FunnelRow] = list(rows)

    def begin(self, name: str, count: int) -> None:
        """Say how many came in."""
        self.rows.append((name, count, 0))

    def reasons(self, order: Iterable[str], dropped: Counter[str], count: int) -> None:
        """A step for each reason, in a fixed order; `count` came in."""
        for reason in order:
            count -= dropped[reason]
            self.rows.append((reason, count, dropped[reason]))

    def keep(self, name: str, items: list[T], good: Callable[[T], bool]) -> list[T]:
        """Those items that are good; the others are counted under a name."""
        return self.kept(name, items, [item for item in items if good(item)])

    def kept(self, name: str, before: list[T], after: list[T]) -> list[T]:
        """`after`, which is what a step left of `before`."""
        self.rows.append((name, len(after), len(before) - len(after)))
        return after

    def said(self) -> str:
        """The drops in a line, for an error."""
        drops = [f"{name} {dropped}" for name, _, dropped in self.rows if dropped]
        first = self.rows[0] if self.rows else ("examples", 0, 0)
        return f"{first[1]} {first[0]}; dropped: {', '.join(drops) or 'none'}"
