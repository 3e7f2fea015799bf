"""Evaluation of retrieval without a model: does it find the files that a commit changes, compared with a baseline?

Every query runs on the parent's tree with the history up to the parent, so that the answer cannot leak.
"""

import resource
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

from agent.retrieve import retrieve_by_rank
from agent.retrieve.bm25 import Field
from agent.retrieve.corpus import Corpus, corpus_of
from agent.retrieve.query import parse_query
from agent.retrieve.ranking import in_order, weighed
from agent.retrieve.weights import WEIGHTS
from evals.retrieval_items import RetrievalItem, gold_symbols, items
from models.context import ContextPackage
from models.tokens import estimate_tokens
from repos.git import Git
from repos.index import IndexCache, IndexedFile, RepositoryIndex, build_index
from repos.index.words import prose_subtokens
from repos.sources import GitSource

INGREDIENTS: Mapping[str, tuple[str, ...]] = {
    "words of code": ("code", "words"),
    "path": ("path", "called", "scope"),
    "names of symbols": ("symbols", "defines", "names"),
    "paths named": ("mentioned",),
    "messages of commits": ("messages", "alike"),
    "how often changed": ("changes", "recency"),
    "tests": ("tests",),
    "co-change": ("together",),
    "imports": ("imported", "importing"),
    "examples and tools aside": ("aside",),
}
"""Signals by their source, for the ablation."""
_PLACES = (1, 5, 10)


@dataclass(frozen=True)
class RankingScores:
    """Scores of one ranking of files against the files that changed.

    `recalls` are recall@1, @5 and @10; `reciprocal` is the reciprocal rank of the first changed file; `all_of_ten` says
    whether the first ten hold all.
    """

    recalls: tuple[float, ...]
    reciprocal: float
    all_of_ten: bool

    @classmethod
    def of(cls, order: Sequence[str], gold: Collection[str]) -> "RankingScores":
        """Score a ranking; gold files that it lacks count as not found."""
        recalls = tuple(len(set(order[:places]) & set(gold)) / len(gold) for places in _PLACES)
        first = next((place for place, path in enumerate(order, 1) if path in gold), None)
        return cls(recalls, 1 / first if first else 0.0, set(gold) <= set(order[:10]))


@dataclass(frozen=True)
class Context:
    """A context package compared with the change: tokens, whether all changed files are in it, and the share of changed
    symbols shown with their bodies (None if the commit changed no existing symbol)."""

    tokens: int
    holds_all: bool
    symbols: float | None


@dataclass(frozen=True)
class ItemResult:
    """One item's results. `seconds` is the time of the ranking on an existing corpus, `preparing` that of building it.

    Both are processor time, including git's: what a query takes on an idle machine.
    """

    item: RetrievalItem
    files: int
    ours: RankingScores
    baseline: RankingScores
    without: Mapping[str, RankingScores]
    context: Context | None
    seconds: float
    preparing: float


@dataclass(frozen=True)
class MeanScores:
    """Averages over items, or over repositories: recall@1, @5, @10, mean reciprocal rank, all gold files in ten."""

    recalls: tuple[float, ...]
    reciprocal: float
    all_of_ten: float

    @classmethod
    def of(cls, found: "Sequence[RankingScores | MeanScores]") -> "MeanScores":
        """The plain average."""
        recalls = tuple(fmean(each.recalls[place] for each in found) for place in range(len(_PLACES)))
        return cls(recalls, fmean(each.reciprocal for each in found), fmean(each.all_of_ten for each in found))


def ask(git: Git, cache: IndexCache, most: int, *, contexts: bool, ablation: bool) -> Iterator[ItemResult]:
    """Results of a repository's latest `most` items."""
    for item in items(git, most):
        index = build_index(GitSource(git, item.parent), cache)
        yield ask_one(git, index, item, contexts=contexts, ablation=ablation)


def ask_one(git: Git, index: RepositoryIndex, item: RetrievalItem, *, contexts: bool, ablation: bool) -> ItemResult:
    """Run one item's query on an index, optionally with the resulting context and with an ablation of each signal."""
    started = _spent()
    corpus = corpus_of(index)
    query = parse_query(item.task)
    weighed(query, corpus)
    preparing = _spent() - started
    started = _spent()
    order = ranked(item.task, corpus, WEIGHTS)
    seconds = _spent() - started
    without = {}
    for name in INGREDIENTS if ablation else ():
        without[name] = RankingScores.of(ranked(item.task, corpus, less(WEIGHTS, INGREDIENTS[name])), item.gold)
    return ItemResult(
        item=item,
        files=len(corpus.files),
        ours=RankingScores.of(order, item.gold),
        baseline=RankingScores.of(baseline(item.task, index), item.gold),
        without=without,
        context=context_of(git, index, item) if contexts else None,
        seconds=seconds,
        preparing=preparing,
    )


def _spent() -> float:
    """Seconds of processor time used by this process and its ended child processes."""
    used = [resource.getrusage(whose) for whose in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(each.ru_utime + each.ru_stime for each in used)


def ranked(task: str, corpus: Corpus, weights: Mapping[str, float]) -> list[str]:
    """Production files, best first."""
    _, chances = weighed(parse_query(task), corpus, weights)
    return [corpus.paths[number] for number in in_order(chances, corpus)]


def less(weights: Mapping[str, float], signals: Collection[str]) -> dict[str, float]:
    """Weights without some signals, including their scaled (`name/most`) and windowed (`name-20`) variants."""

    def kind(name: str) -> str:
        stem = name.partition("/")[0]
        return stem if stem in signals else stem.rstrip("-0123456789").removesuffix("-most")

    return {name: weight for name, weight in weights.items() if kind(name) not in signals}


def baseline(task: str, index: RepositoryIndex) -> list[str]:
    """BM25 (k1 1.2, b 0.75) over subtokens of path and content of the production files, without tests and docs."""
    files = [index.file(path) for path in index.paths() if index.file(path).kind == "production"]
    documents = [_content_terms(file) for file in files]
    terms = Counter(prose_subtokens([task]))
    scores = Field(documents).scores({term: float(times) for term, times in terms.items()})
    order = sorted(range(len(files)), key=lambda number: (-scores[number], files[number].path))
    return [files[number].path for number in order]


_contents: dict[tuple[str, str], Counter[str]] = {}


def _content_terms(file: IndexedFile) -> Counter[str]:
    key = (file.blob, file.path)
    if key not in _contents:
        _contents[key] = prose_subtokens([file.path, file.text])
    return _contents[key]


def context_of(git: Git, index: RepositoryIndex, item: RetrievalItem) -> Context:
    """How much of an item's change its deterministic context holds."""
    package = retrieve_by_rank(item.task, index, count=estimate_tokens).package
    return compared(package, index, gold_symbols(git, item))


def compared(package: ContextPackage, index: RepositoryIndex, changed: Mapping[str, Collection[str]]) -> Context:
    """A context compared with the symbols that change, by the path of each file that changes."""
    shown = {file.path: file for file in package.files}
    wanted = hit = 0
    for path, names in changed.items():
        wanted += len(names)
        if path in shown:
            hit += sum(shown[path].whole or _body(index, path, name) in shown[path].text for name in names)
    return Context(package.tokens, set(changed) <= set(shown), hit / wanted if wanted else None)


def _body(index: RepositoryIndex, path: str, name: str) -> str:
    """The whole text of a symbol; of one that the index does not know, a text that occurs nowhere."""
    symbol = index.file(path).symbol(name)
    return "\0" if symbol is None else index.file(path).text_of(symbol)
