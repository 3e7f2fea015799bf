"""Signals of a query, each a number per file. The ranking is their weighted sum."""

import math
import re
from collections.abc import Callable, Sequence
from pathlib import PurePosixPath

from agent.retrieve.corpus import Corpus, path_terms
from agent.retrieve.query import Query, spellings
from agent.retrieve.words import stem, stemmed

Signals = dict[str, list[float]]
RARE = 5
"""A symbol that more files define than this does not locate anything."""
SHORTEST = 3
"""Fewest letters of a symbol's name that locates a file."""
_READ = 8
"""Number of tests most similar to the task whose exercised files score."""
_ASIDE = frozenset({"example", "examples", "benchmark", "benchmarks", "bench", "tools", "scripts", "script"})


def lexical(query: Query, corpus: Corpus) -> Signals:
    """Shared words: with code, prose, path, and the names of symbols."""
    found: Signals = {}
    for name, field in (
        ("code", corpus.code), ("words", corpus.words), ("path", corpus.path), ("symbols", corpus.symbols),
    ):  # fmt: skip
        found |= _scaled(name, field.scores(query.terms), query)
    return found


def named(query: Query, corpus: Corpus) -> Signals:
    """Explicit mentions in the task: paths, modules, symbols, identifiers."""
    size = len(corpus.files)
    names = {part: 1.0 for name in query.names for part in re.split(r"\W+", name) if part}
    return {
        "mentioned": [mention(query, corpus, number) for number in range(size)],
        "called": [_called(query, corpus.stems[number]) for number in range(size)],
        "scope": [float(_in_scope(query, path)) for path in corpus.paths],
        "defines": _defining(query.names, corpus),
        **_scaled("names", corpus.names.scores(names), query),
    }


def mention(query: Query, corpus: Corpus, number: int) -> float:
    """3 for a whole path, 2 for a file's name (shared among those of that name), 1.5 for a dotted module, else 0."""
    path = corpus.paths[number].lower()
    pure = PurePosixPath(path)
    if traced(query, path) or any(path == given or given.endswith("/" + path) for given in query.paths):
        return 3.0
    if any(given == pure.name or path.endswith("/" + given) for given in query.paths):
        return 2.0 / max(1, corpus.file_names[pure.name])
    module = ".".join(pure.with_suffix("").parts[-2:])
    return 1.5 if len(pure.parts) > 1 and module in query.dotted else 0.0


def traced(query: Query, path: str) -> bool:
    """Whether a traceback in the task leads through a file: an installed copy ends in the same folder and name."""
    end = "/" + "/".join(PurePosixPath(path.lower()).parts[-2:])
    return any(f"/{place.lower().lstrip('./')}".endswith(end) for place, _ in query.frames)


def _called(query: Query, name: str) -> float:
    parts = stemmed(name)
    if not parts:
        return 0.0
    whole = {name, stem(name)}
    if whole & query.subject or (len(parts) > 1 and set(parts) <= query.subject):
        return 1.0
    return 0.5 if whole & query.words or (len(parts) > 1 and set(parts) <= query.words) else 0.0


def _in_scope(query: Query, path: str) -> bool:
    return bool(query.scope) and query.scope <= set(path_terms(path))


def _defining(names: Sequence[str], corpus: Corpus) -> list[float]:
    """For each file, how many of the names it defines; a name that several files define is shared among them."""
    scores = [0.0] * len(corpus.files)
    for name in names:
        for known in spellings(name):
            files = corpus.defined.get(known, ())
            if files and len(known) >= SHORTEST:
                for number in files if len(files) <= RARE else ():
                    scores[number] += 1 / len(files)
                break
    return [math.log1p(score) for score in scores]


def remembered(query: Query, corpus: Corpus) -> Signals:
    """Evidence from past commits: their messages, and the files they changed."""
    terms = dict(query.terms)
    found = _scaled("messages", corpus.messages.scores(terms), query)
    alike = corpus.past.by_likeness(terms)
    found |= {"alike": alike, "alike/most": _over_most(alike)}
    for memory, counts in corpus.frequencies.items():
        total = sum(counts) or 1.0
        found[f"changes-{memory}/most"] = _over_most([math.log1p(count) for count in counts])
        found[f"changes-{memory}/all"] = [count / total for count in counts]
    found["recency"] = corpus.recency
    return found


def placed(query: Query, corpus: Corpus) -> Signals:
    """A file's location, independent of the task: examples, tools and benchmarks are seldom meant."""
    folders = [PurePosixPath(path).parts[:-1] for path in corpus.paths]
    return {"aside": [float(not _ASIDE.isdisjoint(part.lower() for part in parts)) for parts in folders]}


def bridged(query: Query, corpus: Corpus) -> Signals:
    """Files exercised by tests that share words with the task."""
    scores = [0.0] * len(corpus.files)
    likeness = corpus.test_code.scores(query.terms)
    most = max(likeness, default=0.0)
    best = sorted(range(len(likeness)), key=lambda number: (-likeness[number], corpus.tests[number].path))[:_READ]
    for test in best:
        for number, weight in corpus.bridges[test] if likeness[test] > 0 else ():
            scores[number] += weight * likeness[test] / most
    return {"tests": scores, "tests/most": _over_most(scores)}


def neighbours(chances: Sequence[float], corpus: Corpus) -> Signals:
    """Files that the likely files change with, import, and are imported by; `chances` are their probabilities."""
    size = len(corpus.files)
    together, imported, importing = ([0.0] * size for _ in range(3))
    for number, chance in enumerate(chances):
        if chance >= _LIKELY:
            for other, count in sorted(corpus.past.together.get(number, {}).items()):
                together[other] += chance * count / (corpus.past.count[number] + 2)
            for other in corpus.imports[number]:
                imported[other] += chance
    for number, others in enumerate(corpus.imports):
        importing[number] = sum(chances[other] for other in others if chances[other] >= _LIKELY)
    return {"together": together, "imported": imported, "importing": importing}


_LIKELY = 0.02
FIRST: tuple[Callable[[Query, Corpus], Signals], ...] = (lexical, named, remembered, placed, bridged)


def signals(query: Query, corpus: Corpus) -> Signals:
    """All signals that need no ranking."""
    found: Signals = {}
    for group in FIRST:
        found |= group(query, corpus)
    return found


def _scaled(name: str, scores: list[float], query: Query) -> Signals:
    """A score in two scales: relative to the best file's, and to the most that the query could give."""
    weight = 5 * max(1.0, float(len(query.terms)))
    return {f"{name}/most": _over_most(scores), f"{name}/query": [score / weight for score in scores]}


def _over_most(scores: list[float]) -> list[float]:
    most = max(scores, default=0.0)
    return [score / most for score in scores] if most > 0 else scores
