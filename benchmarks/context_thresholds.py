"""Contexts without a model at other thresholds: what they hold, and in how many tokens.

    uv run python benchmarks/context_thresholds.py [--items N] [--vary FIELD=VALUE,VALUE]... REPOSITORY_PATH...

Each repository's latest N (40) commits are questions (`evals/retrieval_items.py`), asked of the commit's parent. Every
combination of the values given is a row; fields of `agent/retrieve/thresholds.py` that are not named stay as they are
in use. Columns: share of the contexts that hold all changed files; median and ninth decile of tokens; mean share of the
changed symbols that are shown whole; share of the contexts that show every changed symbol whole. The figures are the
same for the same repositories and code. Repositories that are held out (`evals/study/split.toml`) are refused, by name
and, under other names, by their first commits.
"""

import argparse
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import fields, replace
from itertools import product
from pathlib import Path
from statistics import fmean, median, quantiles
from typing import Any

from agent.retrieve.ranking import rank
from agent.retrieve.relevance.estimates import SymbolEstimates
from agent.retrieve.thresholds import IN_USE, ContextThresholds
from agent.retrieve.unjudged import BUDGET, context, estimate_symbols
from evals.retrieval import Context, compared
from evals.retrieval_items import gold_symbols, items
from evals.study.plan import SPLIT, default_split, held_out_name
from models.context import Candidate
from models.tokens import estimate_tokens
from repos.git import clone
from repos.index import IndexCache, build_index
from repos.sources import GitSource

_KINDS = {field.name: type(getattr(IN_USE, field.name)) for field in fields(ContextThresholds)}


def varied(given: Sequence[str]) -> list[ContextThresholds]:
    """Every combination of the values given as `FIELD=VALUE,VALUE`, in their order."""
    choices: dict[str, list[Any]] = {}
    for each in given:
        name, _, values = each.partition("=")
        if name not in _KINDS:
            raise SystemExit(f"--vary {each}: {name!r} is no threshold; name one of {', '.join(_KINDS)}")
        choices[name] = [_KINDS[name](value) for value in values.split(",")]
    return [replace(IN_USE, **dict(zip(choices, values, strict=True))) for values in product(*choices.values())]


def asked(source: str, most: int, points: Sequence[ContextThresholds]) -> Iterator[list[Context]]:
    """The contexts of each question of a repository, one for each of the thresholds.

    Ends the program at a clone of a repository held out.
    """
    with tempfile.TemporaryDirectory() as directory:
        git = clone(source, Path(directory) / "repo")
        if name := held_out_name(git):
            raise _refused(name, source)
        cache = IndexCache(Path(directory) / "index")
        for item in items(git, most):
            index = build_index(GitSource(git, item.parent), cache)
            candidates = rank(item.task, index)
            every = estimate_symbols(item.task, index, candidates)
            changed = gold_symbols(git, item)

            def known(kept: Sequence[Candidate], every: SymbolEstimates = every) -> SymbolEstimates:
                return {each.path: every[each.path] for each in kept if each.path in every}

            packages = [context(index, candidates, known, BUDGET, estimate_tokens, each).package for each in points]
            yield [compared(package, index, changed) for package in packages]


def described(found: Sequence[Context]) -> str:
    """The figures of some contexts, as columns."""
    symbols = [context.symbols for context in found if context.symbols is not None]
    tokens = [context.tokens for context in found]
    complete = fmean(context.holds_all for context in found)
    return (
        f"{complete:8.1%} {median(tokens):8.0f} {quantiles(tokens, n=10)[-1]:8.0f} "
        f"{fmean(symbols):8.1%} {fmean(share == 1 for share in symbols):8.1%}"
    )


def main() -> None:
    """Ask all questions, print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("repositories", nargs="+")
    parser.add_argument("--items", type=int, default=40)
    parser.add_argument("--vary", action="append", default=[], metavar="FIELD=VALUE,VALUE")
    given = parser.parse_args()
    _refuse_held_out(given.repositories)
    points = varied(given.vary)
    contexts: list[list[Context]] = [[] for _ in points]
    for source in given.repositories:
        for question in asked(source, given.items, points):
            for found, each in zip(contexts, question, strict=True):
                found.append(each)
    names = list(_KINDS)
    print(" ".join(f"{name:>8}" for name in [*names, "complete", "median", "p90", "symbols", "all"]))
    for point, found in zip(points, contexts, strict=True):
        print(" ".join(f"{getattr(point, name):8g}" for name in names), described(found), flush=True)


def _refuse_held_out(sources: Sequence[str]) -> None:
    """End the program, before anything is cloned, at a path with the name of a repository held out."""
    for source in sources:
        name = Path(source).resolve().name.removesuffix(".git")
        if name in default_split().held_out:
            raise _refused(name, source)


def _refused(name: str, source: str) -> SystemExit:
    return SystemExit(
        f"{source}: {name} is held out, and nothing is tuned on it; name validation repositories of {SPLIT.name}"
    )


if __name__ == "__main__":
    main()
