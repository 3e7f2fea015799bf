"""A task as a query: weighted words, and explicit mentions: paths, symbols, places in tracebacks."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from agent.retrieve.words import STOP_WORDS, stemmed
from models.context import TaskAnalysis
from repos.index.words import subtokens

_WORD = re.compile(r"[^\W\d]\w*|\d+")
_DOTTED = re.compile(r"[^\W\d][\w]*(?:(?:\.|::|#)[^\W\d]\w*)*")
_CODE = re.compile(r"`+([^`\n]+)`+|```[^\n]*\n(.*?)```", re.DOTALL)
_CALLED = re.compile(r"([^\W\d][\w.]*)\(")
_PATH = re.compile(r"[\w.@~+-]*(?:[/\\][\w.@~+-]+)+|[\w-]+\.(?:pyi?|[cm]?[jt]sx?|toml|cfg|json|ya?ml|rst|md|txt)\b")
_FRAME = re.compile(r"File \"([^\"\n]+)\", line (\d+)(?:, in (\S+))?")
_SCRIPT_FRAME = re.compile(r"\bat (?:(?:async |new )?([\w.$]+) )?\(?(?:file://)?([^\s():]+):(\d+)(?::\d+)?\)?")
_SCOPE = re.compile(r"\s*(?:\w+\(([^)\n]+)\)!?:|\[([^\]\n]+)\]|([\w./-]+):)")
_NUMBER_OF_ISSUE = re.compile(
    r"(?:[\w.-]+/[\w.-]+)?#\d+|\bgh-\d+|https?://\S+/(?:issues|pull|commit)/\w+", re.IGNORECASE
)
_TRAILER = re.compile(r"^\s*[A-Z][a-z]+(?:-[A-Za-z]+)*-by: .*$", re.MULTILINE)
SUBJECT_WEIGHT, BODY_WEIGHT, MOST = 1.0, 0.5, 2.0
"""Weights of a word of the first line and of the others, and the most that a repeated word weighs."""
_LONGEST = 20_000
"""Characters of a task that are read; the rest of a longer one is most often a log."""


@dataclass(frozen=True)
class Query:
    """The terms and mentions to search for.

    `terms` are stemmed words with weights. `names` are identifiers that the task writes as code, `plain` its other
    words as written. `paths` are path-like strings, lower case and with `/`; `frames` are (path, line) of tracebacks.
    `subject` and `words` are the stemmed words of the first line and of all lines, `scope` those of a prefix
    (`fix(cache): `). `dotted` are dotted names in lower case, and the last two parts of longer ones.
    """

    text: str
    terms: Mapping[str, float]
    names: tuple[str, ...] = ()
    plain: tuple[str, ...] = ()
    paths: tuple[str, ...] = ()
    frames: tuple[tuple[str, int], ...] = ()
    subject: frozenset[str] = frozenset()
    words: frozenset[str] = frozenset()
    scope: frozenset[str] = frozenset()
    dotted: frozenset[str] = frozenset()


def parse_query(text: str, analysis: TaskAnalysis | None = None) -> Query:
    """The query of a task; a planner's analysis counts as part of the task's body."""
    text = _NUMBER_OF_ISSUE.sub(" ", _TRAILER.sub("", text[:_LONGEST])).strip()
    hints = _hints(analysis) if analysis else ""
    subject, _, body = text.partition("\n")
    names, plain = _names(f"{text}\n{hints}", marked=analysis.symbols if analysis else ())
    paths = [match.replace("\\", "/").strip("./").lower() for match in _PATH.findall(f"{text}\n{hints}")]
    return Query(
        text=text,
        terms=terms(subject, f"{body}\n{hints}"),
        names=names,
        plain=plain,
        paths=tuple(sorted({path for path in paths if path})),
        frames=tuple(sorted(_frames(text))),
        subject=frozenset(_stemmed_words(subject)),
        words=frozenset(_stemmed_words(text)),
        scope=_scope(text),
        dotted=_dotted((*names, *plain)),
    )


def terms(subject: str, body: str) -> dict[str, float]:
    """Stemmed words of a message with their weights, in the order of their first use."""
    weights: dict[str, float] = {}
    for text, weight in ((subject, SUBJECT_WEIGHT), (body, BODY_WEIGHT)):
        for term in _stemmed_words(text):
            if term not in STOP_WORDS and (len(term) > 1 or term.isdigit()):
                weights[term] = min(weights.get(term, 0.0) + weight, MOST)
    return weights


def message_terms(subject: str, body: str) -> dict[str, float]:
    """The terms of a past commit's message, without trailers and issue numbers."""
    clean = (_NUMBER_OF_ISSUE.sub(" ", _TRAILER.sub("", part)) for part in (subject, body[:2000]))
    return terms(*clean)


def _hints(analysis: TaskAnalysis) -> str:
    return "\n".join([analysis.summary, *analysis.terms, *analysis.files, *analysis.symbols])


def _stemmed_words(text: str) -> Iterable[str]:
    for word in _WORD.findall(text):
        yield from stemmed(word) if not word.isdigit() else (word,)


def _names(text: str, marked: Iterable[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Identifiers written as code (in backticks, called, dotted, of several subtokens), and the others."""
    ticked = [span for pair in _CODE.findall(text) for span in pair]
    code = {name for span in (*ticked, *marked) for name in _DOTTED.findall(span)} | set(_CALLED.findall(text))
    every = set(_DOTTED.findall(text)) | code
    names = {name for name in every if name in code or _looks_like_code(name)}
    return tuple(sorted(names)), tuple(sorted(every - names))


def _looks_like_code(name: str) -> bool:
    return len(subtokens(name)) > 1 or "_" in name or not name.isidentifier()


def _frames(text: str) -> set[tuple[str, int]]:
    found = {(path.replace("\\", "/"), int(line)) for path, line, _ in _FRAME.findall(text)}
    scripts = {(path, int(line)) for _, path, line in _SCRIPT_FRAME.findall(text) if "." in path}
    return found | scripts


def _scope(text: str) -> frozenset[str]:
    found = _SCOPE.match(text)
    return frozenset(_stemmed_words(next(group for group in found.groups() if group))) if found else frozenset()


def _dotted(names: Iterable[str]) -> frozenset[str]:
    parts = [re.split(r"\W+", name.lower()) for name in names]
    return frozenset(".".join(each[at : at + 2]) for each in parts for at in range(len(each) - 1))


def spellings(name: str) -> tuple[str, ...]:
    """A dotted name and its possible meanings: `pkg.Class.method` -> itself, Class.method, method."""
    parts = re.split(r"\W+", name)
    return tuple(dict.fromkeys([".".join(parts), ".".join(parts[-2:]), parts[-1]]))
