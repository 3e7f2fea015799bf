"""The collection of fail-fast examples over several repositories."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from harness.mining import mine
from models.content import RepositoryContent
from models.errors import RepositoryError
from models.mining import MiningRules
from models.training import PairSource
from repos.clones import cached_clone
from training.data.sources.collections import UNREADABLE, CollectionCard, Dropped, Offered, write_collection
from training.data.sources.fail_fast import MinedRepository, Spread, offers
from training.data.sources.repository_origin import origin_of_clone

Progress = Callable[[str, int, int], None]
"""Called with a repository's name, its commits (once, as it is opened), and commits done since."""


@dataclass
class _Build:
    places: Sequence[Path]
    cache: Path
    rules: MiningRules
    progress: Progress
    spread: Spread = field(default_factory=Spread)
    made_from: dict[str, Any] = field(default_factory=dict)
    contents: dict[str, RepositoryContent] = field(default_factory=dict)
    """Both are complete when all repositories were read."""

    def offers(self) -> Iterator[list[Offered]]:
        heads: dict[str, str] = {}
        known: set[str] = set()
        for place in self.places:
            try:
                yield from self._of(place, heads, known)
            except RepositoryError as error:
                yield [Dropped(UNREADABLE, str(error))]
        self.made_from.update(
            recipe="fail-fast", rules=self.rules.model_dump(), repositories=heads, **self.spread.described()
        )

    def _of(self, place: Path, heads: dict[str, str], known: set[str]) -> Iterator[list[Offered]]:
        with cached_clone(place, self.cache) as git:
            origin = origin_of_clone(git, place)
            mined = mine(git, self.rules, with_symbols=False)
            heads[origin.name] = origin.commit
            self.contents[origin.name] = origin.content
            self.progress(origin.name, mined.funnel.total, 0)
            for row in offers(MinedRepository(git, origin, mined), self.spread, known):
                yield row
                self.progress(origin.name, 0, 1)


def build_corpus(
    places: Sequence[Path], data_dir: Path, cache: Path, rules: MiningRules, progress: Progress
) -> tuple[Path, CollectionCard]:
    """Write the collection of the examples in the histories of repositories.

    What its card is `made_from` names the repositories with their commits, the pairs by kind, domain and organisation,
    and the rules for a corpus that they break. A repository that cannot be read is counted as dropped. Raises
    TrainingError if there is no example, InfrastructureError if the disk is full.
    """
    build = _Build(places, cache, rules, progress)
    return write_collection(data_dir, PairSource.FAIL_FAST, build.made_from, build.offers(), contents=build.contents)
