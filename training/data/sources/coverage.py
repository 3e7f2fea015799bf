"""Whether a judgement of a passing run covers what the commit changes.

A run may pass although a judge missed a file, thanks to the ranking or luck. Such a judgement is a bad example. The
expected files and symbols are those of the gold planner in the same instance, and of the instance's own data.
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from agent.answers import read_answer
from models.context import PrecisionJudgement, Relevance, ScopeJudgement, SymbolUse, TaskAnalysis
from models.manifest import Instance
from models.protocols import Stage
from repos.index.symbols import base_name
from store.runs.closed_runs import ClosedRun

LEAST = 0.1
"""Least weight of a judgement that names many unchanged files or symbols."""
CodeKey = tuple[str, str]


@dataclass
class ExpectedScope:
    """What a judge of an instance must find: files, files for the analysis, and symbols by file."""

    files: set[str] = field(default_factory=set)
    named: set[str] = field(default_factory=set)
    symbols: set[CodeKey] = field(default_factory=set)

    @classmethod
    def of(cls, instance: Instance, gold: Sequence[tuple[Stage, str]]) -> "ExpectedScope":
        """From an instance and the gold planner's answers about it, each with its stage."""
        wanted = cls(files=set(instance.production_files))
        for symbol in instance.symbols:
            path, _, name = symbol.partition("::")
            wanted.symbols.add((path, base_name(name)))
        for stage, text in gold:
            if stage is Stage.TASK_ANALYSIS:
                wanted.named |= set(read_answer(TaskAnalysis, text, "summary").files)
            elif stage is Stage.SCOPE:
                wanted.files |= set(_relevant(text))
            elif stage is Stage.PRECISION:
                wanted.symbols |= set(_primary(text))
        wanted.named = wanted.named or set(instance.production_files)
        return wanted


def worth(stage: Stage, answer: str, request: str, wanted: ExpectedScope) -> float | None:
    """The precision of a judgement against the commit's changes, at least `LEAST`; None if it missed anything.

    `request` is the request as JSON: only what was shown could be found. Raises PlanError for an unparsable answer.
    """
    question = json.loads(request)
    if stage is Stage.TASK_ANALYSIS:
        return _share(set(read_answer(TaskAnalysis, answer, "summary").files), wanted.named)
    if stage is Stage.SCOPE:
        shown = {candidate["path"] for candidate in question["candidates"]}
        return _share(set(_relevant(answer)), wanted.files & shown)
    places = {(outline["path"], base_name(s["name"])) for outline in question["outlines"] for s in outline["symbols"]}
    return _share(set(_primary(answer)), wanted.symbols & places)


def known_by_gold(run: ClosedRun) -> bool:
    """Whether a run is gold's, which is right by construction."""
    return run.planner == "gold"


def _share(named: set[str] | set[CodeKey], needed: Iterable[object]) -> float | None:
    needed = set(needed)
    if needed - named:
        return None
    return max(LEAST, len(needed) / len(named)) if named else 1.0


def _relevant(text: str) -> list[str]:
    judged = read_answer(ScopeJudgement, text, "files").files
    return [path for path, relevance in judged.items() if relevance is Relevance.RELEVANT]


def _primary(text: str) -> list[CodeKey]:
    judged = read_answer(PrecisionJudgement, text, "symbols").symbols
    uses = [(path, name, use) for path, judgements in judged.items() for name, use in judgements.items()]
    return [(path, base_name(name)) for path, name, use in uses if use is SymbolUse.PRIMARY]
