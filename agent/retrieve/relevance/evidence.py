"""What a query's ranking knows of each file, as numbers: the features of production and of other files."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import PurePosixPath

from agent.retrieve.corpus import Corpus
from agent.retrieve.query import Query
from agent.retrieve.signals import Signals
from models.context import Candidate, CandidateTier

Features = dict[str, float]
_LEAST = 1e-6
_HINGES = (-6.0, -4.5, -3.0, -2.0, -1.0, 0.0, 1.5)
"""Knots of the piecewise linear effect of a file's log odds in the ranking."""
_TIERS = (CandidateTier.MENTIONED, CandidateTier.IMPORTS, CandidateTier.COCHANGE)
COUNTED = 30
"""Most candidates that are counted: those that a judge sees, on which the classifier is fitted."""
_SMALL = 200
"""Characters up to which a file is as good as empty."""


@dataclass(frozen=True)
class Evidence:
    """A query's signals and ranking. `chances` are the ranking's probabilities of production files, by number, and
    `order` their numbers, best first."""

    query: Query
    corpus: Corpus
    signals: Signals
    chances: Sequence[float]
    order: Sequence[int]

    def features(self, candidates: Sequence[Candidate]) -> list[tuple[Candidate, bool, Features]]:
        """Each candidate, whether it is a production file, and its features; candidates are in the ranking's order."""
        shared = self._of_the_query(min(len(candidates), COUNTED))
        others = 0
        found = []
        for place, candidate in enumerate(candidates, start=1):
            number = self.corpus.numbers.get(candidate.path)
            own = {**shared, **_of_the_candidate(candidate, place)}
            if number is None:
                others += 1
                found.append((candidate, False, own | self._other(candidate, others)))
            else:
                found.append((candidate, True, own | self._production(number)))
        return found

    def _of_the_query(self, candidates: int) -> Features:
        """How sure the ranking is, and how much the task says."""
        size = len(self.chances)
        entropy = -sum(chance * math.log(chance + 1e-12) for chance in self.chances)
        return {
            "candidates": math.log1p(candidates),
            "production files": math.log1p(size),
            "entropy": entropy,
            "entropy/most": entropy / math.log(size) if size > 1 else 0.0,
            "log odds of the best": _log_odds(max(self.chances, default=0.0)),
            "words of the task": math.log1p(len(self.query.terms)),
            "names in the task": math.log1p(len(self.query.names)),
            "paths in the task": math.log1p(len(self.query.paths)),
        }

    def _production(self, number: int) -> Features:
        corpus, chance, place = self.corpus, self.chances[number], self._places[number]
        best = self.chances[self.order[0]]
        log_odds = _log_odds(chance)
        file = corpus.files[number]
        found = {
            "log odds": log_odds,
            **{f"log odds above {knot:g}": max(0.0, log_odds - knot) for knot in _HINGES},
            "log share of the best": math.log((chance + 1e-9) / (best + 1e-9)),
            "log times the mean": math.log(chance * len(self.chances) + 1e-9),
            "mass before": self._before[number],
            "log odds x files": log_odds * math.log1p(len(self.chances)),
            **{f"place {least}": float(place == least) for least in (1, 2, 3)},
            **{f"place up to {most}": float(place <= most) for most in (5, 10)},
            "characters": math.log1p(len(file.text)),
            "almost empty": float(len(file.text) < _SMALL),
            "symbols": math.log1p(len(file.symbols)),
            "past changes": math.log1p(corpus.past.count[number]),
            "never changed": float(not corpus.past.count[number]),
            "imports": math.log1p(len(corpus.imports[number])),
            "importers": math.log1p(len(self._importers.get(number, ()))),
            **self._neighbours(number),
        }
        return found | {f"signal {name}": values[number] for name, values in self.signals.items()}

    def _neighbours(self, number: int) -> Features:
        """Whether a file that is likely to change imports it, or is imported by it (noisy or)."""
        needed = _any_of(self.chances[other] for other in self._importers.get(number, ()))
        needs = _any_of(self.chances[other] for other in self.corpus.imports[number])
        return {
            "needed": needed,
            "log needed": math.log(needed + 0.01),
            "needs": needs,
            "imported by the first": float(bool(self.order) and number in self.corpus.imports[self.order[0]]),
            "imported by the second": float(len(self.order) > 1 and number in self.corpus.imports[self.order[1]]),
        }

    def _other(self, candidate: Candidate, place: int) -> Features:
        """Of a test: how well it matches, and how likely what it exercises; of documentation and settings: names."""
        corpus, path = self.corpus, candidate.path
        score = self._tests.get(path)
        tested = max((self.chances[number] for number in self._exercised(path)), default=0.0)
        name = PurePosixPath(path).name.partition(".")[0].lower()
        stem = name.removeprefix("tests_").removeprefix("test_").removesuffix("_tests").removesuffix("_test")
        likely = [corpus.stems[number] for number in self.order[:3]]
        return {
            "is a test": float(score is not None),
            "likeness of a test": score or 0.0,
            "most alike test": float(score is not None and score >= 1.0),
            "chance of what it tests": tested,
            "log chance of what it tests": math.log(tested + 1e-3),
            "named after the first": float(bool(likely) and stem.strip("_") == likely[0]),
            "named after one of three": float(stem.strip("_") in likely),
            "place among others": math.log(place),
            "tests": math.log1p(len(corpus.tests)),
            "conftest": float(name == "conftest"),
        }

    def _exercised(self, test: str) -> list[int]:
        return [self.corpus.numbers[path] for path in self.corpus.exercised(test) if path in self.corpus.numbers]

    @cached_property
    def _tests(self) -> Mapping[str, float]:
        """The likeness of each test to the task, as a share of the highest."""
        scores = self.corpus.test_code.scores(self.query.terms)
        most = max(scores, default=0.0) or 1.0
        return {test.path: score / most for test, score in zip(self.corpus.tests, scores, strict=True)}

    @cached_property
    def _places(self) -> Mapping[int, int]:
        return {number: place for place, number in enumerate(self.order, start=1)}

    @cached_property
    def _before(self) -> Mapping[int, float]:
        """For each file, the probability of all better ones."""
        found, mass = {}, 0.0
        for number in self.order:
            found[number] = mass
            mass += self.chances[number]
        return found

    @cached_property
    def _importers(self) -> Mapping[int, list[int]]:
        found: dict[int, list[int]] = {}
        for number, others in enumerate(self.corpus.imports):
            for other in others:
                found.setdefault(other, []).append(number)
        return found


def _of_the_candidate(candidate: Candidate, place: int) -> Features:
    name = PurePosixPath(candidate.path).name
    entry = name.startswith(("__init__.", "index."))
    return {
        "log rank": math.log(place),
        **{f"tier {tier.value}": float(candidate.tier is tier) for tier in _TIERS},
        "entry module": float(entry),
        "private module": float(name.startswith("_") and not entry),
        "depth": float(candidate.path.count("/")),
        "Python": float(name.endswith((".py", ".pyi"))),
    }


def _log_odds(chance: float) -> float:
    return math.log((chance + 1e-9) / (1 - chance + _LEAST))


def _any_of(chances: Iterable[float]) -> float:
    """The probability that at least one of independent events occurs."""
    none = 1.0
    for chance in chances:
        none *= 1 - chance
    return 1 - none
