"""Whether a judgement of a passing run covers what the commit changes.

A run may pass although a judge missed a file, thanks to the ranking or luck. Such a judgement is a bad example. The
expected files and symbols are those of the gold planner in the same instance, and of the instance's own data.
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from agent.answers import read_answer
from agent.retrieve.judgements import SymbolKey, read_precision, read_scope
from models.context import Relevance, SymbolUse, TaskAnalysis
from models.manifest import Instance
from models.protocols import Stage
from repos.index.symbols import base_name
from store.runs.closed_runs import ClosedRun

LEAST = 0.1
"""Least weight of a judgement that names many unchanged files or symbols."""


@dataclass
class ExpectedScope:
    """What a judge of an instance must find: files, files for the analysis, and symbols by file."""

    files: set[str] = field(default_factory=set)
    named: set[str] = field(default_factory=set)
    symbols: set[SymbolKey] = field(default_factory=set)

    @classmethod
    def of(cls, instance: Instance, gold: Sequence[tuple[Stage, str, str]]) -> "ExpectedScope":
        """From an instance and the gold planner's answers about it, each with its stage and its request as JSON."""
        wanted = cls(files=set(instance.production_files))
        for symbol in instance.symbols:
            path, _, name = symbol.partition("::")
            wanted.symbols.add((path, base_name(name)))
        for stage, text, request in gold:
            if stage is Stage.TASK_ANALYSIS:
                wanted.named |= set(read_answer(TaskAnalysis, text, "summary").files)
            elif stage is Stage.SCOPE:
                wanted.files |= set(_relevant(text, request))
            elif stage is Stage.PRECISION:
                wanted.symbols |= set(_primary(text, request))
        wanted.named = wanted.named or set(instance.production_files)
        return wanted


def worth(stage: Stage, answer: str, request: str, wanted: ExpectedScope) -> float | None:
    """The precision of a judgement against the commit's changes, at least `LEAST`; None if it missed anything.

    `request` is the request as JSON: only what was shown could be found. Raises PlanError for an unparsable answer.
    """
    if stage is Stage.TASK_ANALYSIS:
        return _share(set(read_answer(TaskAnalysis, answer, "summary").files), wanted.named)
    if stage is Stage.SCOPE:
        return _share(set(_relevant(answer, request)), wanted.files & set(_paths(request)))
    places = {(path, base_name(name)) for path, name in _symbols(request)}
    return _share(set(_primary(answer, request)), wanted.symbols & places)


def known_by_gold(run: ClosedRun) -> bool:
    """Whether a run is gold's, which is right by construction."""
    return run.planner == "gold"


def _share(named: set[str] | set[SymbolKey], needed: Iterable[object]) -> float | None:
    needed = set(needed)
    if needed - named:
        return None
    return max(LEAST, len(needed) / len(named)) if named else 1.0


def _paths(request: str) -> list[str]:
    return [candidate["path"] for candidate in json.loads(request)["candidates"]]


def _symbols(request: str) -> list[SymbolKey]:
    return [(outline["path"], s["name"]) for outline in json.loads(request)["outlines"] for s in outline["symbols"]]


def _relevant(text: str, request: str) -> list[str]:
    judged = read_scope(text, _paths(request))
    return [path for path, relevance in judged.items() if relevance is Relevance.RELEVANT]


def _primary(text: str, request: str) -> list[SymbolKey]:
    judged = read_precision(text, _symbols(request))
    return [(path, base_name(name)) for (path, name), use in judged.items() if use is SymbolUse.PRIMARY]
