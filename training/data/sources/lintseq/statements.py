"""A Python program as statements that own whole lines, by its tokens.

A unit is a logical line with what belongs to it: decorators, the comments and blank lines before it, and the suite
below it. `else`, `elif`, `except` and `finally` are units of their own. Statements that share a line are one unit.
Comments that stand apart at the head of the module, and at its end, belong to no unit.
"""

import re
import tokenize
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from models.errors import CleanRoomError
from repos.text import BOM

MODULE = -1
"""The owner of lines that belong to no unit, and the suite of the top level."""
_LINE = re.compile(r"[^\r\n]*(?:\r\n|\r|\n)|[^\r\n]+\Z")
_CLAUSES = frozenset({"elif", "else", "except", "finally"})
_NO_CODE = frozenset({tokenize.COMMENT, tokenize.NL, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER})
_WORDS = 3  # `async def name`
_FOR_TOOLS = re.compile(r"#!|[ \t\f]*#.*?coding[:=]")


class UnreadableProgram(CleanRoomError):
    """A text whose lines cannot be told apart as Python does; the message says why."""


@dataclass(frozen=True)
class LogicalLine:
    """Lines `[start, end)` of one logical line, its depth of nesting, and its first three words."""

    start: int
    end: int
    depth: int
    words: tuple[str, ...]


@dataclass
class Unit:
    """A statement or clause. `first` is its first line, gap included; `[head, end)` its logical line and decorators.

    `suite` is the unit in whose suite it lies (MODULE: none); `stop` the number after its last descendant; `clause_of`
    the statement that a clause continues; `words` the first three words behind the decorators.
    """

    number: int
    suite: int
    depth: int
    head: int
    end: int
    words: tuple[str, ...]
    clause_of: int | None = None
    first: int = 0
    stop: int = 0
    children: list[int] = field(default_factory=list)
    clauses: list[int] = field(default_factory=list)

    @property
    def weight(self) -> int:
        """How often it is drawn, as in the reference: the depth of its indent, 1 at the top and at the first level."""
        return max(1, self.depth)


class Program:
    """A text, its units in the order of their lines, and the owner of each line. Raises UnreadableProgram."""

    def __init__(self, text: str) -> None:
        self.mark = BOM if text.startswith(BOM) else ""
        self.lines: list[str] = _LINE.findall(text.removeprefix(BOM))
        self.units = _units(list(_logical_lines(self.lines)))
        self.owner = _owners(self.lines, self.units)
        self._spaced = _spaced(self.lines, self.units)

    def kept(self, alive: Sequence[bool]) -> list[int]:
        """The numbers of the lines that are left when only these units are; none if no unit is.

        Blank lines before a unit are left out while it is the first one of its suite.
        """
        if not any(alive):
            return []
        hidden: set[int] = set()
        begun: set[int] = set()
        for unit in self.units:
            if alive[unit.number] and unit.clause_of is None and unit.suite not in begun:
                begun.add(unit.suite)
                hidden.update(self._spaced[unit.number])
        return [
            line
            for line, owner in enumerate(self.owner)
            if (owner == MODULE or alive[owner]) and (not hidden or line not in hidden)
        ]

    def text(self, kept: Sequence[int]) -> str:
        """The text of some lines; the byte order mark begins every text but the empty one."""
        return self.mark + "".join([self.lines[line] for line in kept]) if kept else ""


def _logical_lines(lines: Sequence[str]) -> Iterator[LogicalLine]:
    source = iter([line.rstrip("\r\n") + "\n" if line[-1] in "\r\n" else line for line in lines])
    depth = 0
    words: list[str] = []
    start: int | None = None
    try:
        for token in tokenize.generate_tokens(lambda: next(source, "")):
            if token.type == tokenize.INDENT:
                depth += 1
            elif token.type == tokenize.DEDENT:
                depth -= 1
            elif token.type == tokenize.NEWLINE and start is not None:
                yield LogicalLine(start, token.start[0], depth, tuple(words))
                start = None
            elif token.type not in _NO_CODE:
                if start is None:
                    start, words = token.start[0] - 1, []
                if len(words) < _WORDS:
                    words.append(token.string)
    except (tokenize.TokenError, SyntaxError, RecursionError) as error:
        raise UnreadableProgram(f"its tokens cannot be read ({error})") from error


def _units(found: Sequence[LogicalLine]) -> list[Unit]:
    units: list[Unit] = []
    open_: list[int] = []  # the last unit of each depth
    decorators: int | None = None
    for line in found:
        if line.words[0] == "@":
            decorators = line.start if decorators is None else decorators
            continue
        if line.depth > len(open_):
            raise UnreadableProgram(f"line {line.start + 1} is indented below nothing")
        number = len(units)
        suite = open_[line.depth - 1] if line.depth else MODULE
        head = line.start if decorators is None else decorators
        decorators = None
        unit = Unit(number, suite, line.depth, head, line.end, line.words)
        if line.words[0] in _CLAUSES and line.depth < len(open_):
            before = units[open_[line.depth]]
            unit.clause_of = before.number if before.clause_of is None else before.clause_of
            units[unit.clause_of].clauses.append(number)
        elif suite != MODULE:
            units[suite].children.append(number)
        units.append(unit)
        del open_[line.depth :]
        open_.append(number)
    if decorators is not None:
        raise UnreadableProgram("a decorator is before nothing")
    _close(units)
    return units


def _close(units: Sequence[Unit]) -> None:
    for unit in reversed(units):
        unit.stop = max([unit.number + 1, *(units[each].stop for each in (*unit.children, *unit.clauses))])


def _owners(lines: Sequence[str], units: Sequence[Unit]) -> list[int]:
    """The owner of each line. Sets the first line of each unit."""
    owner = [MODULE] * len(lines)
    for unit in units:
        owner[unit.head : unit.end] = [unit.number] * (unit.end - unit.head)
    if not units:
        return owner
    units[0].first = _module_head(lines, units[0].head)
    owner[units[0].first : units[0].head] = [0] * (units[0].head - units[0].first)
    for before, unit in pairwise(units):
        unit.first = _trailing(lines, units, owner, before, unit.head, _column(lines[unit.head]))
        owner[unit.first : unit.head] = [unit.number] * (unit.head - unit.first)
    _trailing(lines, units, owner, units[-1], len(lines), 0)
    return owner


def _module_head(lines: Sequence[str], head: int) -> int:
    """The first line of the comments that touch the first statement; those before a blank line are the module's."""
    start = head
    while start and lines[start - 1].strip() and not _FOR_TOOLS.match(lines[start - 1]):
        start -= 1
    return start


def _trailing(
    lines: Sequence[str], units: Sequence[Unit], owner: list[int], before: Unit, end: int, column: int
) -> int:
    """Give comments that are indented deeper than what follows to the statement whose suite they end; the line after
    them."""
    start = done = before.end
    for number in range(start, end):
        line = lines[number]
        if not line.strip() or not line.lstrip().startswith("#") or _column(line) <= column:
            continue
        holder = before
        while _column(lines[holder.head]) >= _column(line) and holder.suite != MODULE:
            holder = units[holder.suite]
        owner[done : number + 1] = [holder.number] * (number + 1 - done)
        done = number + 1
    return done


def _spaced(lines: Sequence[str], units: Sequence[Unit]) -> list[range]:
    """The blank lines that begin each unit, except for those that are the first of their suite in the program."""
    begun: set[int] = set()
    spaced = []
    for unit in units:
        end = unit.first
        if unit.clause_of is None and unit.suite in begun:
            while end < unit.head and not lines[end].strip():
                end += 1
        begun.add(unit.suite)
        spaced.append(range(unit.first, end))
    return spaced


def _column(line: str) -> int:
    blank = line[: len(line) - len(line.lstrip(" \t\f"))].rpartition("\f")[2]
    return len(blank.expandtabs(8))
