"""Contexts without a judge, for questions from history: do they hold what a commit changes, and in how many tokens?"""

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import fmean, median

from agent.retrieve.relevance.classifier import in_force
from agent.retrieve.thresholds import IN_USE
from evals.retrieval import Context, context_of
from evals.retrieval_items import RetrievalItem, items
from repos.git import Git
from repos.index import IndexCache, build_index
from repos.sources import GitSource

_VERSION = "context-2"


@dataclass(frozen=True)
class ContextFigures:
    """Contexts of some questions: the share that holds all changed files, median tokens, and the mean share of changed
    symbols shown with their bodies (None if no question changes an existing symbol)."""

    questions: int
    complete: float
    median_tokens: float
    symbols: float | None


def contexts(
    name: str, git: Git, most: int, folder: Path, index_cache: IndexCache, notify: Callable[[int, int], None]
) -> Iterator[Context]:
    """The contexts of a repository's latest `most` items by the classifier in force; those that were kept are read."""
    found = items(git, most)
    for done, item in enumerate(found):
        notify(done, len(found))
        kept = folder / f"{_key(name, item)}.json"
        if (context := _read(kept)) is None:
            context = context_of(git, build_index(GitSource(git, item.parent), index_cache), item)
            kept.parent.mkdir(parents=True, exist_ok=True)
            unfinished = kept.with_suffix(".part")
            unfinished.write_text(json.dumps(asdict(context)), encoding="utf-8")
            unfinished.replace(kept)
        yield context
    notify(len(found), len(found))


def context_figures(found: Sequence[Context]) -> ContextFigures:
    """The figures of at least one context."""
    symbols = [context.symbols for context in found if context.symbols is not None]
    return ContextFigures(
        questions=len(found),
        complete=fmean(context.holds_all for context in found),
        median_tokens=median(context.tokens for context in found),
        symbols=fmean(symbols) if symbols else None,
    )


def _key(name: str, item: RetrievalItem) -> str:
    parts = [_VERSION, in_force().content, asdict(IN_USE), name, item.commit, item.parent, item.task]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:32]


def _read(path: Path) -> Context | None:
    """A context that was kept; None for none, and for one that is damaged."""
    try:
        return Context(**json.loads(path.read_text(encoding="utf-8")))
    except (FileNotFoundError, ValueError, TypeError):
        return None
