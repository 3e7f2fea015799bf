"""Retrieval judgements from a gold patch: the files and symbols that a planner has to see to make the change."""

import re
from collections.abc import Callable, Collection, Iterable, Iterator
from functools import cached_property, lru_cache

from agent.retrieve.words import STOP_WORDS
from harness.packages.gold_patch import GoldFileChange, GoldPatch
from harness.planners.hunks import FileHunks
from harness.planners.imports import imported
from harness.planners.pieces import WORD
from models.context import (
    Candidate,
    FileOutline,
    PrecisionJudgement,
    Relevance,
    ScopeJudgement,
    SymbolOutline,
    SymbolUse,
    TaskAnalysis,
)
from repos.index.overview import overview_paths
from repos.index.symbols import IMPORTS, MODULE, SymbolKind, base_name, symbols
from repos.text import lines_of

_MOST_NAMES = 16
_KINDS = (
    ("fix", r"fix\w*|bug\w*|correct\w*|prevent\w*|avoid\w*|handl\w+|crash\w*|regress\w*|wrong\w*|broken"),
    ("performance", r"perf\w*|speed\w*|fast\w*|optimi[sz]\w*|cach(?:e|ing)"),
    ("refactoring", r"refactor\w*|simplif\w+|clean\w*|renam\w+|mov(?:e|es|ed|ing)|extract\w*|inline\w*"),
)
_TYPES = (SymbolKind.CLASS.value, SymbolKind.TYPE.value)


class GoldJudge:
    """Answers the stages of retrieval from a gold patch, by the files and symbols that it changes and mentions."""

    def __init__(self, gold: GoldPatch) -> None:
        self.gold = gold
        self._changed = {path for change in gold.production for path in _old_paths(change)}
        self._tested = {path for change in gold.tests for path in _old_paths(change)}

    def analysis(self, task: str, overview: str = "") -> TaskAnalysis:
        """The analysis of a task: of what changes, only what can be known from the prompt: files that the overview of
        the repository lists or the task names, symbols whose names occur in either, words that task and code share."""
        changes = self.gold.production or self.gold.tests
        touched = dict.fromkeys(name for change in changes for name in sorted(_touched(change)))
        shown = set(WORD.findall(f"{task}\n{overview}"))
        symbols = dict.fromkeys(found for name in touched if (found := _shown_name(name, shown)))
        listed = overview_paths(overview)
        files = [path for change in changes for path in _old_paths(change) if path in listed or path in task]
        return TaskAnalysis(
            kind=self._kind(task),
            summary=next((line.strip() for line in task.splitlines() if line.strip()), ""),
            terms=tuple(self._terms(task, symbols))[:_MOST_NAMES],
            files=tuple(files[:_MOST_NAMES]),
            symbols=tuple(symbols)[:_MOST_NAMES],
        )

    def _terms(self, task: str, symbols: Iterable[str]) -> list[str]:
        """Words to look for: the parts of the symbols named, and the task's words that the changed lines contain."""
        parts = [part for name in symbols for part in name.split(".")]
        changed = {word.lower() for word in self._mentioned}
        shared = [word for word in WORD.findall(task) if word.lower() in changed and word.lower() not in STOP_WORDS]
        return list(dict.fromkeys([*parts, *shared]))

    def scope(self, candidates: Iterable[Candidate]) -> ScopeJudgement:
        """Relevant are files that change; supporting those they import, and the tests that change with them."""
        candidates = list(candidates)
        paths = [candidate.path for candidate in candidates]
        needed = {
            path
            for change in self.gold.production
            for side in (change.before, change.after)
            if side is not None
            for path in imported(change.path, side.text, paths)
        }

        def judgement(path: str) -> Relevance:
            if path in self._changed:
                return Relevance.RELEVANT
            return Relevance.SUPPORTING if path in self._tested or path in needed else Relevance.IRRELEVANT

        return ScopeJudgement(files={path: judgement(path) for path in paths})

    def precision(self, outlines: Iterable[FileOutline]) -> PrecisionJudgement:
        """Primary are symbols that change, supporting those that the changed lines mention; for types, and for others
        that the changed symbols mention or are in, the signature is enough."""
        return PrecisionJudgement(symbols={outline.path: self._uses(outline) for outline in outlines})

    def _uses(self, outline: FileOutline) -> dict[str, SymbolUse]:
        change = next((c for c in self.gold.production if outline.path in _old_paths(c)), None)
        touched = _touched(change) if change is not None else frozenset()
        around = {name.rpartition(".")[0] for name in touched}
        mentioned = self._mentioned if outline.relevance is not Relevance.IRRELEVANT else frozenset()

        def use(symbol: SymbolOutline) -> SymbolUse:
            name = base_name(symbol.name)
            outer, _, last = name.rpartition(".")
            if name in touched:
                return SymbolUse.PRIMARY
            if last in mentioned and not last.startswith("__") and symbol.kind not in _TYPES:
                return SymbolUse.SUPPORTING
            near = outer in around if outer else name in around
            if near or last in mentioned or last in self._surrounding:
                return SymbolUse.TYPE_CONTEXT
            return SymbolUse.EXCLUDED

        return {symbol.name: use(symbol) for symbol in outline.symbols}

    def _kind(self, task: str) -> str:
        if not self.gold.production:
            return "tests"
        if all(change.side == "other" for change in self.gold.production):
            return "documentation" if all(_is_prose(change.path) for change in self.gold.production) else "maintenance"
        for kind, words in _KINDS:
            if re.search(rf"\b(?:{words})\b", task, re.IGNORECASE):
                return kind
        return "feature" if any(_created(change) for change in self.gold.production) else "fix"

    @cached_property
    def _mentioned(self) -> frozenset[str]:
        """Words of the lines that the production side removes and adds."""
        return _words(self.gold, _changed_lines)

    @cached_property
    def _surrounding(self) -> frozenset[str]:
        """Words of the whole symbols that the production side changes."""
        return _words(self.gold, _touched_texts)


def _old_paths(change: GoldFileChange) -> list[str]:
    """The file's path before the change; none if it is new."""
    return [change.old_path or change.path] if change.before is not None else []


def _shown_name(name: str, shown: Collection[str]) -> str | None:
    """As much of a qualified name as can be known from the words that are shown: all of it, its last part, or the
    symbol around it; None if none of these is shown."""
    parts = name.split(".")
    if all(part in shown for part in parts):
        return name
    if parts[-1] in shown:
        return parts[-1]
    return _shown_name(name.rpartition(".")[0], shown) if len(parts) > 1 else None


@lru_cache(maxsize=64)
def _touched(change: GoldFileChange) -> frozenset[str]:
    """Names of the symbols that a change touches, new ones included; all of a file that is created or removed."""
    if change.before is None or change.after is None:
        side = change.before or change.after
        return frozenset(base_name(symbol.name) for symbol in symbols(side.text, change.path)) if side else frozenset()
    hunks = FileHunks(change.path, change.before.text, change.after.text).hunks
    return frozenset(name for hunk in hunks for name in hunk.names) - {MODULE, IMPORTS}


def _created(change: GoldFileChange) -> frozenset[str]:
    before = change.before.text if change.before else ""
    return _touched(change) - {base_name(symbol.name) for symbol in symbols(before, change.path)}


def _words(gold: GoldPatch, texts: Callable[[GoldFileChange], Iterable[str]]) -> frozenset[str]:
    return frozenset(word for change in gold.production for text in texts(change) for word in WORD.findall(text))


def _changed_lines(change: GoldFileChange) -> Iterator[str]:
    old, new = (lines_of(side.text) if side else [] for side in (change.before, change.after))
    for hunk in FileHunks(change.path, "".join(old), "".join(new)).hunks:
        yield from old[hunk.b0 : hunk.b1]
        yield from new[hunk.a0 : hunk.a1]


def _touched_texts(change: GoldFileChange) -> Iterator[str]:
    touched = _touched(change)
    if change.before is not None:
        lines = lines_of(change.before.text)
        for symbol in symbols(change.before.text, change.path):
            if base_name(symbol.name) in touched:
                yield "".join(lines[symbol.start_line - 1 : symbol.end_line])


def _is_prose(path: str) -> bool:
    return path.endswith((".md", ".rst", ".txt")) or path.startswith(("docs/", "changelog"))
