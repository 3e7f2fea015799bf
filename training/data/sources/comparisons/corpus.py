"""The collection of comparisons from the histories of several repositories, and from campaigns."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from evals.critic.parts import part_of
from harness.mining import mine
from models.comparisons import Comparison
from models.content import RepositoryContent
from models.errors import RepositoryError
from models.mining import MiningRules
from models.training import PairSource
from repos.clones import cached_clone
from training.data.sources.collections import UNREADABLE, CollectionCard, Dropped, Offered, write_collection
from training.data.sources.comparisons.attempts import attempt_offers
from training.data.sources.comparisons.histories import ComparedRepository, offers
from training.data.sources.fail_fast import MinedRepository
from training.data.sources.repository_origin import origin_of_clone

if TYPE_CHECKING:
    from store.database import Engine

Progress = Callable[[str, int, int], None]
"""Called with a repository's name, its commits (once, as it is opened), and commits done since."""


@dataclass
class _Build:
    places: Sequence[Path]
    cache: Path
    rules: MiningRules
    limit: int | None
    progress: Progress
    raw: "Engine | None" = None
    campaigns: Sequence[str] = ()
    made_from: dict[str, Any] = field(default_factory=dict)
    contents: dict[str, RepositoryContent] = field(default_factory=dict)
    """Both are complete when all repositories were read."""
    counts: dict[str, Counter[str]] = field(default_factory=dict)

    def offers(self) -> Iterator[list[Offered]]:
        heads: dict[str, dict[str, str]] = {}
        known: set[str] = set()
        for place in self.places:
            try:
                yield from map(self._counted, self._of(place, heads, known))
            except RepositoryError as error:
                yield [Dropped(UNREADABLE, str(error))]
        if self.raw is not None and self.campaigns:
            yield from map(self._counted, attempt_offers(self.raw, self.campaigns, self.contents))
        self.made_from.update(
            recipe="comparisons",
            rules=self.rules.model_dump(),
            limit=self.limit,
            campaigns=sorted(self.campaigns),
            repositories=heads,
            comparisons={name: dict(sorted(counts.items())) for name, counts in sorted(self.counts.items())},
        )

    def _of(self, place: Path, heads: dict[str, dict[str, str]], known: set[str]) -> Iterator[list[Offered]]:
        with cached_clone(place, self.cache) as git:
            origin = origin_of_clone(git, place)
            mined = mine(git, self.rules, with_symbols=False)
            part = part_of({origin.name, place.resolve().name.removesuffix(".git")}, origin.content.roots)
            heads[origin.name] = {"commit": origin.commit, "part": part.value}
            self.contents[origin.name] = origin.content
            read = len(mined.commits[: self.limit])
            self.progress(origin.name, read, 0)
            for row in offers(ComparedRepository(MinedRepository(git, origin, mined), part, self.limit), known):
                yield row
                self.progress(origin.name, 0, 1)

    def _counted(self, row: list[Offered]) -> list[Offered]:
        for each in row:
            if isinstance(each, Comparison):
                self.counts.setdefault(each.part.value, Counter())[each.criterion.value] += 1
        return row


def build_comparisons(
    places: Sequence[Path],
    data_dir: Path,
    cache: Path,
    rules: MiningRules,
    limit: int | None,
    progress: Progress,
    raw: "Engine | None" = None,
    campaigns: Sequence[str] = (),
) -> tuple[Path, CollectionCard]:
    """Write the collection of the comparisons in the histories of repositories, of the newest `limit` kept commits of
    each, and of the attempts in `campaigns` (labels or keys) of the raw database.

    What its card is `made_from` names each repository's commit and part, and the comparisons by part and criterion. A
    repository that cannot be read is counted as dropped. Raises TrainingError if there is no comparison,
    InfrastructureError if the disk is full, UsageError for a campaign that was not run.
    """
    build = _Build(places, cache, rules, limit, progress, raw, campaigns)
    return write_collection(data_dir, PairSource.COMPARISONS, build.made_from, build.offers(), contents=build.contents)
