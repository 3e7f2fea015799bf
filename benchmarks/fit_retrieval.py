"""Fit the weights of the ranking, and say how good they are on repositories that they were not fitted on.

    uv run python benchmarks/fit_retrieval.py [--items N] [--jobs N] REPOSITORY_PATH...

Each repository's latest N (100) commits are questions (`evals/retrieval_items.py`). A file's score is a weighted sum of
signals; the weights minimise, over all questions, the negative log likelihood that a file that changed is drawn before
those that did not (ListNet's top-one loss, Cao et al. 2007, each changed file against the unchanged ones) plus an L2
penalty on weights of standardised signals, every repository counting the same. Signals of neighbours need a ranking
first, so the fit is repeated with those that the weights before it give.

Printed are recall@1, @5, @10, reciprocal rank and all-in-ten of each repository by weights fitted on the others (six
folds of repositories), and last the weights fitted on all, as `agent/retrieve/weights.py` holds them.
"""

import argparse
import pprint
import tempfile
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from agent.retrieve.corpus import Corpus, corpus_of
from agent.retrieve.query import parse_query
from agent.retrieve.ranking import softmax
from agent.retrieve.signals import neighbours, signals
from evals.retrieval import MeanScores, RankingScores
from evals.retrieval_items import items
from repos.git import clone
from repos.index import IndexCache, build_index
from repos.sources import GitSource

Array = NDArray[np.float64]
PENALTY = 0.02
ROUNDS = 3
FOLDS = 6


@dataclass
class Question:
    """One commit's files with their signals by name; what is needed of the corpus to find neighbours."""

    paths: list[str]
    changed: tuple[str, ...]
    signals: dict[str, list[float]]
    corpus: Corpus

    def matrix(self, names: Sequence[str], weights: dict[str, float]) -> Array:
        """Files by signals, the neighbours' by the ranking of some weights."""
        scores = [0.0] * len(self.paths)
        for name, values in self.signals.items():
            scores = [score + weights.get(name, 0.0) * value for score, value in zip(scores, values, strict=True)]
        found = self.signals | neighbours(softmax(scores), self.corpus)
        return np.array([found[name] for name in names]).T


class Slim:
    """The part of a corpus that neighbours are found by: small enough to be sent between processes."""

    def __init__(self, corpus: Corpus) -> None:
        self.files = corpus.paths
        self.imports = corpus.imports
        self.past = Together({n: dict(v) for n, v in corpus.past.together.items()}, dict(corpus.past.count))


@dataclass
class Together:
    together: dict[int, dict[int, int]]
    count: dict[int, int]

    def __post_init__(self) -> None:
        self.count = {number: self.count.get(number, 0) for number in {*self.count, *self.together}}


def questions(most: int, source: str) -> list[Question]:
    """The questions of one repository."""
    found = []
    with tempfile.TemporaryDirectory() as directory:
        git = clone(source, Path(directory) / "repo")
        cache = IndexCache(Path(directory) / "index")
        for item in items(git, most):
            corpus = corpus_of(build_index(GitSource(git, item.parent), cache))
            known = signals(parse_query(item.task), corpus)
            found.append(Question(corpus.paths, item.gold, known, Slim(corpus)))  # type: ignore[arg-type]
    print(f"{Path(source).parent.name:32} {len(found)} questions", flush=True)
    return found


def fit(groups: Sequence[Sequence[Question]], names: Sequence[str]) -> dict[str, float]:
    """Weights for all questions; each group, a repository's, counts the same."""
    weights: dict[str, float] = {}
    for _ in range(ROUNDS):
        data = [(q.matrix(names, weights), q, 1 / len(group)) for group in groups for q in group]
        data = [(x, q, share) for x, q, share in data if set(q.changed) & set(q.paths)]
        weights = dict(zip(names, _minimum(data), strict=True))
    return weights


def _minimum(data: Sequence[tuple[Array, Question, float]]) -> Array:
    every = np.concatenate([x for x, _, _ in data])
    scale = every.std(0) + 1e-6
    starts = np.cumsum([0, *(len(x) for x, _, _ in data)])[:-1]
    owner = np.repeat(np.arange(len(data)), [len(x) for x, _, _ in data])
    gold = np.concatenate([np.isin(q.paths, q.changed) for _, q, _ in data])
    share = np.array([share for _, _, share in data])
    each = (share / np.add.reduceat(gold.astype(float), starts))[owner]
    scaled = every / scale

    def loss(w: Array) -> tuple[float, Array]:
        scores = scaled @ w
        raised = np.exp(scores - np.maximum.reduceat(scores, starts)[owner])
        others = np.add.reduceat(np.where(gold, 0, raised), starts)[owner]
        whole = raised + others
        value = np.where(gold, each * (np.log(whole + 1e-300) - np.log(raised + 1e-300)), 0).sum()
        pull = np.add.reduceat(np.where(gold, each / whole, 0), starts)[owner]
        slope = np.where(gold, each * (raised / whole - 1), raised * pull)
        return value / share.sum() + PENALTY * w @ w, scaled.T @ slope / share.sum() + 2 * PENALTY * w

    found = minimize(loss, np.zeros(every.shape[1]), jac=True, method="L-BFGS-B", options={"maxiter": 500})
    return np.asarray(found.x / scale)


def score(question: Question, names: Sequence[str], weights: dict[str, float]) -> RankingScores:
    """How good some weights are for a question."""
    worth = question.matrix(names, weights) @ np.array([weights[name] for name in names])
    order = sorted(range(len(question.paths)), key=lambda n: (-worth[n], question.paths[n]))
    return RankingScores.of([question.paths[n] for n in order], question.changed)


def main() -> None:
    """Fit, cross-validate, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("repositories", nargs="+")
    parser.add_argument("--items", type=int, default=100)
    parser.add_argument("--jobs", type=int, default=2)
    given = parser.parse_args()
    with ProcessPoolExecutor(given.jobs) as pool:
        groups = list(pool.map(partial(questions, given.items), sorted(given.repositories)))
    first = groups[0][0]
    names = sorted({*first.signals, *neighbours([0.0] * len(first.paths), first.corpus)})
    means: dict[int, MeanScores] = {}
    for stem in range(FOLDS):
        held = range(stem, len(groups), FOLDS)
        weights = fit([group for number, group in enumerate(groups) if number not in held], names)
        means |= {number: MeanScores.of([score(q, names, weights) for q in groups[number]]) for number in held}
    for number, source in enumerate(sorted(given.repositories)):
        print(f"{Path(source).parent.name:32} {_line(means[number])}")
    print(f"{'mean':32} {_line(MeanScores.of(list(means.values())))}")
    pprint.pprint({name: round(float(weight), 3) for name, weight in fit(groups, names).items()})


def _line(means: MeanScores) -> str:
    return " ".join(f"{value:.3f}" for value in (*means.recalls, means.reciprocal, means.all_of_ten))


if __name__ == "__main__":
    main()
