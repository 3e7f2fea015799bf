"""The day of a commit's parent, which dates the releases that the commit's tests run with.

Committers' clocks may be wrong. A date is bounded by its neighbours in the history: it is no later than the commit
itself and the median of the next descendants, and no earlier than the median of the last ancestors (a median, so that
one wrong clock has no effect). If the bounds contradict each other the earlier one applies: an early lock can only lack
something, while a late one may contain the answer.
"""

import statistics
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from functools import lru_cache
from itertools import islice
from pathlib import Path

from repos.git import Git

_NEIGHBOURS = 9
LAST_SECOND = 253_402_300_799
"""The end of the year 9999, the latest moment with a `date`."""


@dataclass(frozen=True)
class CommitDates:
    """Commit times of a history as recorded (seconds of Unix time), and the parents of each commit."""

    times: Mapping[str, int]
    parents: Mapping[str, tuple[str, ...]]
    children: Mapping[str, tuple[str, ...]]

    def day(self, commit: str, before: int | None = None) -> date:
        """The day (UTC) of a commit, corrected by its neighbours; never after the moment `before` nor after today.

        Raises KeyError for a commit that is not in the history.
        """
        bounds = [before] if before is not None else []
        descendants = self._near(commit, self.children)
        latest = min([*bounds, int(statistics.median_low(descendants))] if descendants else [*bounds, LAST_SECOND])
        ancestors = self._near(commit, self.parents)
        earliest = int(statistics.median_low(ancestors)) if ancestors else 0
        believed = min(max(self.times[commit], earliest), latest)
        return min(day_of(believed), datetime.now(UTC).date())

    def _near(self, commit: str, step: Mapping[str, tuple[str, ...]]) -> list[int]:
        return [self.times[each] for each in islice(_breadth_first(commit, lambda c: step.get(c, ())), _NEIGHBOURS)]


def _breadth_first(start: str, step: Callable[[str], Iterable[str]]) -> Iterable[str]:
    seen, pending = {start}, [start]
    for current in pending:
        for each in step(current):
            if each not in seen:
                seen.add(each)
                pending.append(each)
                yield each


def day_of(moment: int) -> date:
    """The day (UTC) of a moment in seconds; before 1970 or after 9999 the nearest day within."""
    return datetime.fromtimestamp(min(max(moment, 0), LAST_SECOND), UTC).date()


def calendar_of(git: Git) -> CommitDates:
    """The commit dates of a clone's history."""
    return _calendar(git.directory, git.text("rev-parse", "HEAD", "--all"))


@lru_cache(maxsize=4)
def _calendar(directory: Path, tips: str) -> CommitDates:
    times: dict[str, int] = {}
    parents: dict[str, tuple[str, ...]] = {}
    children: dict[str, tuple[str, ...]] = {}
    assert tips, "a clone has commits"
    listed = Git(directory).text("rev-list", "--timestamp", "--parents", "HEAD", "--all")
    for line in listed.splitlines():
        moment, commit, *above = line.split()
        times[commit], parents[commit] = int(moment), tuple(above)
        for each in above:
            children[each] = (*children.get(each, ()), commit)
    return CommitDates(times, parents, children)
