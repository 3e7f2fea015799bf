"""A sample of comparisons that no repository or criterion fills alone."""

from collections.abc import Iterable, Sequence

from models.comparisons import Comparison, Part
from models.training import content_hash_of


def choose(
    comparisons: Iterable[Comparison], part: Part, number: int | None, seed: int = 0, *, balanced: bool = False
) -> list[Comparison]:
    """`number` comparisons of a part (None: all), drawn in turns from each repository and, there, from each criterion.

    `balanced`: in as many the better version is longer as it is not, so that length says nothing about them; fewer come
    where there are not enough of either. The draw depends on the seed and the comparisons alone, not on their order;
    each comes once.
    """
    found = list({each.id: each for each in comparisons if each.part is part}.values())
    if not balanced:
        return _in_turns_by_repository(found, seed)[:number]
    halves = [
        _in_turns_by_repository([each for each in found if each.better_is_longer is longer], seed)
        for longer in (True, False)
    ]
    most = min(map(len, halves)) if number is None else min(*map(len, halves), number // 2)
    return in_turns([half[:most] for half in halves])


def _in_turns_by_repository(comparisons: Iterable[Comparison], seed: int) -> list[Comparison]:
    groups: dict[str, dict[str, list[tuple[str, Comparison]]]] = {}
    for each in comparisons:
        criteria = groups.setdefault(each.repository, {})
        criteria.setdefault(each.criterion.value, []).append((content_hash_of([seed, each.id]), each))
    queues = [in_turns([_drawn(rows) for _, rows in sorted(kinds.items())]) for _, kinds in sorted(groups.items())]
    return in_turns(queues)


def _drawn(rows: list[tuple[str, Comparison]]) -> list[Comparison]:
    return [each for _, each in sorted(rows, key=lambda row: row[0])]


def in_turns(queues: Sequence[Sequence[Comparison]]) -> list[Comparison]:
    """The first of each queue, then the second of each, and so on."""
    longest = max(map(len, queues), default=0)
    return [queue[turn] for turn in range(longest) for queue in queues if turn < len(queue)]
