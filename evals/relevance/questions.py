"""Questions to the relevance classifier from a repository's history: features, and gold's answers.

A question is a commit's message asked of its parent's tree, as in `evals.retrieval_items`; gold judges the candidates
of the ranking and the symbols of the likely files. Features are kept in files, one per question, so that a run that was
stopped goes on where it was.
"""

import hashlib
import json
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from agent.retrieve import file_outlines
from agent.retrieve.query import parse_query
from agent.retrieve.ranking import propose
from agent.retrieve.relevance.features import OTHER_FEATURES, PRODUCTION_FEATURES, SYMBOL_FEATURES
from agent.retrieve.relevance.symbols import FileOfSymbols, symbol_features
from agent.retrieve.retrieval import JUDGED
from agent.retrieve.weights import WEIGHTS
from evals.retrieval import baseline
from evals.retrieval_items import RetrievalItem, items
from harness.packages.gold_patch import UnsupportedChange, read_gold_patch
from harness.planners.gold_judgements import GoldJudge
from models.context import Candidate, Relevance
from models.relevance import FILE_CLASSES, FORMAT, SYMBOL_CLASSES
from models.tokens import estimate_tokens
from repos.git import Git
from repos.index import IndexCache, RepositoryIndex, build_index
from repos.sources import GitSource

Floats = NDArray[np.float32]
Labels = NDArray[np.int8]
FILES_OF_SYMBOLS = 10
"""Candidates whose symbols are rows, best first, in addition to the files that changed."""
_RANKED = 10


@dataclass(frozen=True)
class Rows:
    """Features of `n` things, `n` x features, and gold's class of each by number."""

    features: Floats
    labels: Labels


@dataclass(frozen=True)
class LabelledQuestion:
    """One question. `production` and `other` are its candidates as a judge would see them, `symbols` those of its
    files; `kept` says which symbols lie in files that gold keeps.

    `ours` and `baseline` are the first ten production files by the ranking and by BM25, `changed` those to be found.
    `places` are the ranks of the production candidates, `files` counts production files.
    """

    repository: str
    commit: str
    production: Rows
    other: Rows
    symbols: Rows
    kept: NDArray[np.bool_]
    places: NDArray[np.int16]
    changed: tuple[str, ...]
    ours: tuple[str, ...]
    baseline: tuple[str, ...]
    paths: tuple[str, ...]
    files: int

    @property
    def labels(self) -> NDArray[np.int64]:
        """Gold's classes of all candidates, production files first."""
        return np.concatenate([self.production.labels, self.other.labels]).astype(np.int64)


def questions(
    name: str, git: Git, most: int, folder: Path, index_cache: IndexCache, notify: Callable[[int, int], None]
) -> Iterator[LabelledQuestion]:
    """The questions of a repository's latest `most` items, the latest first; `notify` hears how many are done, of all.

    Commits whose change no edit can make are passed over. Raises RepositoryError.
    """
    found = items(git, most)
    for done, item in enumerate(found):
        notify(done, len(found))
        kept = folder / f"{_key(name, item)}.npz"
        question = _read(name, kept)
        if question is None:
            try:
                question = ask(name, git, item, build_index(GitSource(git, item.parent), index_cache))
            except UnsupportedChange:
                continue
            _write(question, kept)
        yield question
    notify(len(found), len(found))


def ask(name: str, git: Git, item: RetrievalItem, index: RepositoryIndex) -> LabelledQuestion:
    """One item's question. Raises UnsupportedChange."""
    judge = GoldJudge(read_gold_patch(git, item.commit, item.parent))
    evidence, candidates = propose(item.task, index)
    judged = candidates[:JUDGED]
    classes = judge.scope(judged).files
    rows = evidence.features(judged)
    labels = {path: FILE_CLASSES.index(relevance.value) for path, relevance in classes.items()}
    production = [(c, features) for c, is_production, features in rows if is_production]
    other = [(c, features) for c, is_production, features in rows if not is_production]
    symbols, kept = _symbols(item, index, judge, candidates, labels)
    return LabelledQuestion(
        repository=name,
        commit=item.commit,
        production=_rows(
            PRODUCTION_FEATURES, [features for _, features in production], [labels[c.path] for c, _ in production]
        ),
        other=_rows(OTHER_FEATURES, [features for _, features in other], [labels[c.path] for c, _ in other]),
        symbols=symbols,
        kept=kept,
        places=np.array([c.rank for c, _ in production], dtype=np.int16),
        changed=item.gold,
        ours=tuple(evidence.corpus.paths[number] for number in evidence.order[:_RANKED]),
        baseline=tuple(baseline(item.task, index)[:_RANKED]),
        paths=tuple(c.path for c, _ in production),
        files=len(evidence.corpus.files),
    )


def _symbols(
    item: RetrievalItem,
    index: RepositoryIndex,
    judge: GoldJudge,
    candidates: Sequence[Candidate],
    labels: dict[str, int],
) -> tuple[Rows, NDArray[np.bool_]]:
    """Rows of the symbols of likely files and of those that changed, as if scope had kept each file."""
    query = parse_query(item.task)
    features: list[dict[str, float]] = []
    found: list[int] = []
    kept: list[bool] = []
    for candidate in candidates:
        if candidate.rank > FILES_OF_SYMBOLS and candidate.path not in item.gold:
            continue
        relevance = Relevance(FILE_CLASSES[labels.get(candidate.path, 0)])
        shown = Relevance.SUPPORTING if relevance is Relevance.IRRELEVANT else relevance
        for outline in file_outlines(index, [(candidate, shown)], {}, estimate_tokens):
            uses = judge.precision([outline]).symbols[outline.path]
            judged = FileOfSymbols(index.file(candidate.path), candidate.rank, candidate.score)
            features += symbol_features(query, judged)
            found += [SYMBOL_CLASSES.index(uses[symbol.name].value) for symbol in outline.symbols]
            kept += [relevance is not Relevance.IRRELEVANT] * len(outline.symbols)
    return _rows(SYMBOL_FEATURES, features, found), np.array(kept, dtype=np.bool_)


def _rows(names: Sequence[str], features: Sequence[dict[str, float]], labels: Sequence[int]) -> Rows:
    table = [[row[name] for name in names] for row in features]
    return Rows(np.array(table, dtype=np.float32).reshape(len(table), len(names)), np.array(labels, dtype=np.int8))


def _key(name: str, item: RetrievalItem) -> str:
    """Changes with whatever the features depend on, but the code that computes them: its version is the format."""
    parts = [FORMAT, name, item.commit, item.parent, item.task, PRODUCTION_FEATURES, OTHER_FEATURES, SYMBOL_FEATURES]
    return hashlib.sha256(json.dumps([*parts, WEIGHTS]).encode()).hexdigest()[:32]


_WORDS = ("commit", "changed", "ours", "baseline", "paths", "files")


def _write(question: LabelledQuestion, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    words = json.dumps({name: getattr(question, name) for name in _WORDS})
    arrays: dict[str, Any] = {"kept": question.kept, "places": question.places, "words": np.array(words)}
    for name in ("production", "other", "symbols"):
        rows: Rows = getattr(question, name)
        arrays |= {name: rows.features, f"{name}_labels": rows.labels}
    unfinished = path.with_name(f"{path.stem}.{os.getpid()}.part")
    with unfinished.open("wb") as file:
        np.savez_compressed(file, **arrays)
    unfinished.replace(path)


def _read(name: str, path: Path) -> LabelledQuestion | None:
    """A question that was kept; None for none, and for one that is damaged, which is then made again."""
    try:
        with np.load(path, allow_pickle=False) as stored:
            words = json.loads(str(stored["words"]))
            rows = {each: Rows(stored[each], stored[f"{each}_labels"]) for each in ("production", "other", "symbols")}
            kept, places = stored["kept"], stored["places"]
    except (FileNotFoundError, BadZipFile, KeyError, ValueError, EOFError):
        return None
    return LabelledQuestion(
        repository=name,
        commit=words["commit"],
        production=rows["production"],
        other=rows["other"],
        symbols=rows["symbols"],
        kept=kept,
        places=places,
        changed=tuple(words["changed"]),
        ours=tuple(words["ours"]),
        baseline=tuple(words["baseline"]),
        paths=tuple(words["paths"]),
        files=words["files"],
    )
