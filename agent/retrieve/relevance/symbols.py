"""Features of a file's symbols: their match with the task, their form, and what they use and are used by."""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from agent.retrieve.bm25 import Field
from agent.retrieve.precision import symbol_scores
from agent.retrieve.query import Query, spellings
from agent.retrieve.relevance.evidence import Features
from agent.retrieve.words import stem_counts
from repos.index import IndexedFile
from repos.index.symbols import SymbolKind, base_name
from repos.index.words import prose_subtokens

_SHARP = 4.0
"""Sharpness of the softmax over a file's symbols by their share of the best score."""


@dataclass(frozen=True)
class FileOfSymbols:
    """A file whose symbols are judged, its place among the candidates, from 1, and its score in the ranking."""

    file: IndexedFile
    place: int
    score: float


def symbol_features(query: Query, judged: FileOfSymbols) -> list[Features]:
    """The features of a file's symbols, in source order."""
    table = _Table(query, judged.file)
    shared = {
        "score of the file": judged.score,
        "log score of the file": math.log(judged.score + 1e-4),
        "log place of the file": math.log(judged.place),
        "symbols of the file": math.log1p(len(judged.file.symbols)),
    }
    found = []
    for number in range(len(judged.file.symbols)):
        own = {**table.match(number), **table.form(number), **table.company(number)}
        crossed = {
            "share x score of the file": own["share"] * judged.score,
            "share x log score of the file": own["share"] * shared["log score of the file"],
            "softmax x score of the file": own["softmax"] * judged.score,
        }
        found.append(shared | own | crossed)
    return found


class _Table:
    """The symbols of one file, by number."""

    def __init__(self, query: Query, file: IndexedFile) -> None:
        self.symbols, self.file = file.symbols, file
        self.names = [base_name(symbol.name) for symbol in file.symbols]
        self.lasts = [name.rpartition(".")[2] for name in self.names]
        self.outer = _outer([symbol.name for symbol in file.symbols])
        scores = symbol_scores(query, file)
        most = max(scores, default=0.0) or 1.0
        self.shares = [score / most for score in scores]
        order = sorted(range(len(scores)), key=lambda number: (-scores[number], number))
        self.places = {number: place for place, number in enumerate(order, start=1)}
        raised = [math.exp(_SHARP * share) for share in self.shares]
        self.softmax = [each / sum(raised) for each in raised]
        self.fields = _field_shares(query, file)
        self.named = {spelling for name in query.names for spelling in spellings(name)}
        self.plain, self.frames = set(query.plain), query.frames
        self.lines = [symbol.end_line - symbol.start_line + 1 for symbol in file.symbols]
        self.uses, self.users = self._edges()
        self.inner: dict[int, list[int]] = {}
        for number, outer in enumerate(self.outer):
            if outer is not None:
                self.inner.setdefault(outer, []).append(number)

    def _edges(self) -> tuple[list[list[int]], list[list[int]]]:
        """For each symbol, those of the file whose names its text uses, and those whose text uses its name."""
        by_last: dict[str, list[int]] = {}
        for number, last in enumerate(self.lasts):
            by_last.setdefault(last, []).append(number)
        uses: list[list[int]] = [[] for _ in self.symbols]
        users: list[list[int]] = [[] for _ in self.symbols]
        for number, symbol in enumerate(self.symbols):
            for word in self.file.uses.get(symbol.name, ()):
                for other in by_last.get(word, ()):
                    if other != number:
                        uses[number].append(other)
                        users[other].append(number)
        return uses, users

    def match(self, number: int) -> Features:
        """How well a symbol matches the task."""
        share, place = self.shares[number], self.places[number]
        name, last = self.names[number], self.lasts[number]
        return {
            "share": share,
            "share squared": share * share,
            "no score": float(share == 0),
            "softmax": self.softmax[number],
            "log softmax": math.log(self.softmax[number] * len(self.symbols)),
            "log place": math.log(place),
            **{f"place up to {most}": float(place <= most) for most in (1, 3, 6)},
            **{f"match of {field}": values[number] for field, values in self.fields.items()},
            "named": float(name in self.named or (last in self.named and len(last) > 2)),
            "a plain word of the task": float(last in self.plain and len(last) > 3),
        }

    def form(self, number: int) -> Features:
        """A symbol's kind, size and place, whatever the task."""
        symbol, last = self.symbols[number], self.lasts[number]
        return {
            "log lines": math.log(self.lines[number]),
            "share of lines": self.lines[number] / sum(self.lines),
            "private": float(last.startswith("_") and not last.startswith("__")),
            "dunder": float(last.startswith("__")),
            "documented": float(bool(symbol.doc)),
            "nesting": float(symbol.name.count(".")),
            "defined again": float("#" in symbol.name),
            "position": number / len(self.symbols),
            "log words": math.log1p(len(self.file.uses.get(symbol.name, ()))),
            **{f"kind {kind.value}": float(symbol.kind is kind) for kind in SymbolKind if kind != "imports"},
            **{
                f"share as {kind.value}": float(symbol.kind is kind) * self.shares[number]
                for kind in (SymbolKind.CLASS, SymbolKind.METHOD, SymbolKind.CONSTANT)
            },
        }

    def company(self, number: int) -> Features:
        """The matches of what a symbol uses, is used by, is in, contains, and stands beside."""
        outer = self.outer[number]
        beside = [other for other in self.inner.get(outer, ()) if other != number] if outer is not None else []
        return {
            "best user": self._best(self.users[number]),
            "users": math.log1p(len(self.users[number])),
            "shares of users": math.log1p(sum(self.shares[other] for other in self.users[number])),
            "best used": self._best(self.uses[number]),
            "used": math.log1p(len(self.uses[number])),
            "share of the class": 0.0 if outer is None else self.shares[outer],
            "best inside": self._best(self.inner.get(number, ())),
            "holds others": float(number in self.inner),
            "best beside": self._best(beside),
        }

    def _best(self, numbers: Sequence[int]) -> float:
        return max((self.shares[number] for number in numbers), default=0.0)


def _outer(names: Sequence[str]) -> list[int | None]:
    numbers = {name: number for number, name in enumerate(names)}
    return [numbers.get(name.rpartition(".")[0]) for name in names]


def _field_shares(query: Query, file: IndexedFile) -> dict[str, list[float]]:
    """For name, text and docstring, each symbol's BM25 score as a share of the file's highest."""
    symbols = file.symbols
    fields = {
        "name": Field([stem_counts(Counter([base_name(s.name).rpartition(".")[2]])) for s in symbols], length=0.3),
        "text": Field([stem_counts(Counter(dict.fromkeys(file.uses.get(s.name, ()), 1))) for s in symbols]),
        "docstring": Field([stem_counts(prose_subtokens([s.doc])) for s in symbols], length=0.5),
    }
    found = {}
    for name, field in fields.items():
        scores = field.scores(query.terms)
        most = max(scores, default=0.0) or 1.0
        found[name] = [score / most for score in scores]
    return found
