"""Why a file is a candidate: its strongest signal, in one line."""

from collections import Counter
from collections.abc import Sequence
from pathlib import PurePosixPath

from agent.retrieve.corpus import Corpus
from agent.retrieve.query import Query, spellings
from agent.retrieve.signals import RARE, Signals, mention, traced
from agent.retrieve.weights import WEIGHTS
from models.context import CandidateTier
from repos.index.symbols import base_name

_LEXICAL = ("code", "words", "path", "symbols", "called", "scope", "names", "tests")
_IMPORTS = ("imported", "importing")
_MESSAGES = ("messages", "alike")
_WORDS_SHOWN = 5
_SUBJECT = 60


class Reasons:
    """Reasons of one query's candidates."""

    def __init__(self, query: Query, corpus: Corpus, found: Signals, chances: Sequence[float]) -> None:
        self._query, self._corpus, self._chances = query, corpus, chances
        self._gains = {
            group: _gain(found, names, len(chances))
            for group, names in (("lexical", _LEXICAL), ("imports", _IMPORTS), ("messages", _MESSAGES),
                                 ("together", ("together",)), ("changes", ("changes", "recency")))
        }  # fmt: skip
        self._alike = corpus.past.alike(dict(query.terms))

    def of(self, number: int) -> tuple[CandidateTier, str]:
        """The tier and the reason: what the task names, else the largest part of the file's score."""
        if named := self._named(number):
            return CandidateTier.MENTIONED, named
        ways = {
            "imports": (CandidateTier.IMPORTS, self._by_imports),
            "together": (CandidateTier.COCHANGE, self._by_company),
            "messages": (CandidateTier.COCHANGE, self._by_messages),
            "lexical": (CandidateTier.LEXICAL, self._by_words),
        }
        for way in sorted(ways, key=lambda way: -self._gains[way][number]):
            tier, notify = ways[way]
            if self._gains[way][number] > 0 and (reason := notify(number)):
                return tier, reason
        count = self._corpus.past.count[number]
        return (
            CandidateTier.LEXICAL,
            f"changed by {count} past commits" if count else "nothing speaks for it but its form",
        )

    def symbols(self, number: int) -> list[str]:
        """Symbols of a file that the task names."""
        named = {spelling for name in (*self._query.names, *self._query.plain) for spelling in spellings(name)}
        names = [symbol.name for symbol in self._corpus.files[number].symbols]
        return [name for name in names if base_name(name) in named or base_name(name).rpartition(".")[2] in named]

    def _named(self, number: int) -> str:
        path = self._corpus.paths[number]
        if traced(self._query, path):
            return "a traceback in the task leads through it"
        if mention(self._query, self._corpus, number):
            return f"the task names {PurePosixPath(path).name}"
        for name in self._query.names:
            for known in spellings(name):
                files = self._corpus.defined.get(known, ())
                if number in files and len(files) <= RARE and len(known) > 2:
                    return f"defines `{known}`, which the task names"
        return ""

    def _by_imports(self, number: int) -> str:
        likely = sorted(range(len(self._chances)), key=lambda other: (-self._chances[other], other))
        for other in likely[:10]:
            if number in self._corpus.imports[other]:
                return f"imported by {self._corpus.paths[other]}"
            if other in self._corpus.imports[number]:
                return f"imports {self._corpus.paths[other]}"
        return ""

    def _by_company(self, number: int) -> str:
        past = self._corpus.past
        company = past.together.get(number) or Counter[int]()
        best = max(sorted(company), key=lambda other: self._chances[other] * company[other], default=None)
        if best is None:
            return ""
        return f"changed with {self._corpus.paths[best]} in {company[best]} of {past.count[best]} commits"

    def _by_messages(self, number: int) -> str:
        changes = self._corpus.past.changes
        places = [(place, cosine) for place, cosine in self._alike if number in changes[place].files]
        if not places:
            return ""
        place, _ = max(places, key=lambda pair: (pair[1], -pair[0]))
        subject = changes[place].subject
        shown = subject if len(subject) <= _SUBJECT else subject[: _SUBJECT - 3] + "..."
        return f'changed by "{shown}"' + (f" and {len(places) - 1} others like the task" if len(places) > 1 else "")

    def _by_words(self, number: int) -> str:
        gains: dict[str, float] = {}
        for field in (self._corpus.code, self._corpus.words, self._corpus.path, self._corpus.symbols):
            for term, weight in self._query.terms.items():
                if any(number == holder for holder, _ in field.holding(term)):
                    gains[term] = gains.get(term, 0.0) + weight * field.weight(term)
        best = sorted(gains, key=lambda term: (-gains[term], term))[:_WORDS_SHOWN]
        return f"shares words with the task: {', '.join(best)}" if best else ""


def _gain(found: Signals, names: Sequence[str], size: int) -> list[float]:
    """What a group of signals adds to each file's score, above its mean over files."""
    gains = [0.0] * size
    for name, values in found.items():
        stem = name.partition("/")[0]
        if stem in names or stem.rstrip("-0123456789") in names:
            weight = WEIGHTS.get(name, 0.0)
            mean = sum(values) / size if size else 0.0
            for number, value in enumerate(values):
                gains[number] += weight * (value - mean)
    return gains
