"""Evidence from past commits: how often and how recently each file changed, with which, and under which words."""

import math
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import chain

from agent.retrieve.query import message_terms
from repos.index import PastCommit
from repos.index.history import History

MOST_FILES = 15
"""Commits that change more production files than this are weak evidence about each."""
MEMORIES = (20, 100)
"""Decay lengths in commits, after which a change counts 1/e, from short to long."""
_FADING = 300.0
_FLOOR = 0.3
"""Share of its weight that even the oldest commit keeps when commits are compared with a task."""


@dataclass(frozen=True)
class PastChange:
    """A past commit: the production files (by number) and tests it changed, and each file's share of it."""

    files: tuple[int, ...]
    tests: tuple[str, ...]
    terms: dict[str, float]
    share: float
    subject: str


@lru_cache(maxsize=8)
def _fading(count: int, memory: float) -> list[float]:
    return [math.exp(-place / memory) for place in range(count)]


class PastChanges:
    """Past commits that changed production files, the latest first."""

    def __init__(self, commits: Sequence[PastCommit], history: History, numbers: dict[str, int]) -> None:
        self.changes = list(_changes(commits, history, numbers))
        self._size = len(numbers)
        self._weights = {
            term: self._rarity(holding)
            for term, holding in Counter(chain.from_iterable(change.terms for change in self.changes)).items()
        }
        self._lengths = [self._length(change.terms) for change in self.changes]
        self.count = Counter(file for change in self.changes for file in change.files)
        self._together: dict[int, Counter[int]] | None = None

    def weight(self, term: str) -> float:
        """Inverse frequency of a term among messages."""
        found = self._weights.get(term)
        return self._rarity(0) if found is None else found

    def _rarity(self, holding: int) -> float:
        return math.log(1 + (len(self.changes) - holding + 0.5) / (holding + 0.5))

    def _length(self, terms: dict[str, float]) -> float:
        known, unknown = self._weights, self._rarity(0)
        return math.sqrt(sum((weight * known.get(term, unknown)) ** 2 for term, weight in terms.items())) or 1.0

    def messages(self) -> list[dict[str, float]]:
        """For each file, the words of the commits that changed it, each by the file's share in its commit."""
        documents: list[dict[str, float]] = [{} for _ in range(self._size)]
        for change in self.changes:
            for file in change.files:
                document = documents[file]
                for term, weight in change.terms.items():
                    document[term] = document.get(term, 0.0) + weight * change.share
        return documents

    def alike(self, terms: dict[str, float]) -> list[tuple[int, float]]:
        """Past commits whose messages share words with `terms`, with the cosine similarity, in order of time."""
        dots: dict[int, float] = defaultdict(float)
        for term, weight in terms.items():
            gain = weight * self.weight(term) ** 2
            for place, change in enumerate(self.changes) if term in self._weights else ():
                if term in change.terms:
                    dots[place] += gain * change.terms[term]
        length = self._length(terms)
        return [(place, dots[place] / (length * self._lengths[place])) for place in sorted(dots)]

    def by_likeness(self, terms: dict[str, float]) -> list[float]:
        """For each file, the similarity of its commits' messages to `terms`; old commits count less."""
        scores = [0.0] * self._size
        for place, cosine in self.alike(terms):
            gain = cosine**2 * self.changes[place].share * (_FLOOR + (1 - _FLOOR) * math.exp(-place / _FADING))
            for file in self.changes[place].files:
                scores[file] += gain
        return scores

    def frequencies(self, memory: int) -> list[float]:
        """How often each file changed, with weight 1/e for a change `memory` commits ago."""
        counts = [0.0] * self._size
        for place, change in enumerate(self.changes):
            for file in change.files:
                counts[file] += change.share * math.exp(-place / memory)
        return counts

    def recency(self) -> list[float]:
        """1 for a file that the latest commit changed, falling with age, 0 for one that was never changed."""
        scores = [0.0] * self._size
        for place in range(len(self.changes) - 1, -1, -1):
            for file in self.changes[place].files:
                scores[file] = 1 / math.sqrt(1 + place)
        return scores

    @property
    def together(self) -> dict[int, Counter[int]]:
        """For each file, how often others changed in the same commit."""
        if self._together is None:
            self._together = defaultdict(Counter)
            for change in self.changes:
                for file in change.files:
                    self._together[file].update(other for other in change.files if other != file)
        return self._together


def _changes(commits: Sequence[PastCommit], history: History, numbers: dict[str, int]) -> list[PastChange]:
    found = []
    for place, commit in enumerate(commits):
        paths = history.files(place)
        files = tuple(numbers[path] for path in paths if path in numbers)
        if files and len(commit.paths) <= MOST_FILES:
            tests = tuple(path for path in paths if path not in numbers)
            found.append(
                PastChange(files, tests, _terms(commit.subject, commit.body), 1 / math.sqrt(len(files)), commit.subject)
            )
    return found


@lru_cache(maxsize=1 << 14)
def _terms(subject: str, body: str) -> dict[str, float]:
    return message_terms(subject, body)
