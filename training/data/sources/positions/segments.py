"""Source files cut into short segments, each with the facts that can be asked about it."""

import ast
import re
from collections.abc import Callable, Iterator
from enum import StrEnum
from typing import NamedTuple

from evals.positions.functions import held_lines, parsed
from models.tokens import estimate_tokens

LONGEST_VALUE = 60
"""Characters of a constant's value that is asked for."""
SHORTEST_NAME = 3
"""Characters of a name that is asked about."""


class FactKind(StrEnum):
    """What a fact says: which function holds a line, what a constant equals, from which module a name comes."""

    LINE = "line"
    CONSTANT = "constant"
    IMPORT = "import"


class Fact(NamedTuple):
    """A fact about a segment. `key` is what the question names: a line without its indent, or an identifier."""

    kind: FactKind
    key: str
    answer: str


class Segment(NamedTuple):
    """Lines `start` to `end` of a file, numbered from 1, with the facts that they alone suffice to know."""

    path: str
    start: int
    end: int
    text: str
    facts: tuple[Fact, ...]

    @property
    def shown(self) -> str:
        """The segment as a prompt shows it."""
        return f"### {self.path}, lines {self.start} to {self.end}\n{self.text}"


class _Placed(NamedTuple):
    """A fact with the lines that are needed to know it."""

    fact: Fact
    first: int
    last: int


def segments_of(
    path: str, text: str, tokens: int, count: Callable[[str], int] = estimate_tokens
) -> list[Segment] | None:
    """A file cut at its line ends into segments of at most about `tokens` tokens; None if it does not parse.

    A single line that is longer is a segment of its own.
    """
    module = parsed(text)
    if module is None:
        return None
    lines = text.split("\n")
    placed = [*_lines(module, lines), *_constants(module, text), *_imports(module)]
    found = []
    for start, end in _cuts([count(line + "\n") for line in lines], tokens):
        content = "\n".join(lines[start - 1 : end])
        facts = tuple(each.fact for each in placed if start <= each.first and each.last <= end)
        if content.strip():
            found.append(Segment(path, start, end, content, facts))
    return found


def _cuts(sizes: list[int], tokens: int) -> Iterator[tuple[int, int]]:
    """First and last line of each segment."""
    start, total = 1, 0
    for number, size in enumerate(sizes, 1):
        if total and total + size > tokens:
            yield start, number - 1
            start, total = number, 0
        total += size
    yield start, len(sizes)


def _lines(module: ast.Module, lines: list[str]) -> Iterator[_Placed]:
    for held in held_lines(module, lines):
        yield _Placed(Fact(FactKind.LINE, held.text, held.function), held.defined, held.line)


def _constants(module: ast.Module, text: str) -> Iterator[_Placed]:
    """Names of modules and classes that are given a number or a short string on one line."""
    bodies = [module.body, *(node.body for node in ast.walk(module) if isinstance(node, ast.ClassDef))]
    for statement in (each for body in bodies for each in body):
        if isinstance(statement, ast.Assign) and len(statement.targets) == 1:
            target: ast.expr = statement.targets[0]
        elif isinstance(statement, ast.AnnAssign) and statement.value is not None:
            target = statement.target
        else:
            continue
        value = statement.value
        if not isinstance(target, ast.Name) or not isinstance(value, ast.Constant):
            continue
        shown = ast.get_source_segment(text, value) or ""
        plain = isinstance(value.value, int | float | str) and not isinstance(value.value, bool)
        if plain and 0 < len(shown) <= LONGEST_VALUE and "\n" not in shown and shown not in ("''", '""'):
            yield _Placed(Fact(FactKind.CONSTANT, target.id, shown), statement.lineno, statement.end_lineno or 0)


def _imports(module: ast.Module) -> Iterator[_Placed]:
    for node in ast.walk(module):
        if not isinstance(node, ast.ImportFrom) or node.module is None:
            continue
        for alias in node.names:
            if alias.name != "*":
                fact = Fact(FactKind.IMPORT, alias.asname or alias.name, "." * node.level + node.module)
                yield _Placed(fact, node.lineno, node.end_lineno or node.lineno)


def names(fact: Fact, text: str) -> int:
    """How often a text has what a fact is asked by: its line among the lines, or its identifier as a whole word."""
    if fact.kind is FactKind.LINE:
        return sum(line.strip() == fact.key for line in text.split("\n"))
    return len(re.findall(rf"(?<!\w){re.escape(fact.key)}(?!\w)", text))


def is_told_once(fact: Fact, segment: Segment) -> bool:
    """Whether a segment gives one answer: one fact has this key, and its line, or its identifier as a word, occurs
    nowhere else in it. An identifier that occurs again may be bound again: as an argument, attribute, or keyword."""
    if sum(each.key == fact.key for each in segment.facts) != 1 or len(fact.key) < SHORTEST_NAME:
        return False
    return names(fact, segment.text) == 1
