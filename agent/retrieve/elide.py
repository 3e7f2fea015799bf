"""A file with irrelevant bodies left out: whole lines only, so that the shown text can be searched and edited."""

from collections.abc import Collection, Iterable, Iterator, Sequence

from agent.retrieve.parts import SymbolRows, parts_of
from repos.index.symbols import SymbolKind, base_name

LEFT_OUT = "..."
"""Placeholder, indented, for lines left out."""
_WORTH = 3
"""Fewest lines worth leaving out."""


def elide(text: str, path: str, keep: Collection[str], signatures: Collection[str]) -> str:
    """The text with `...` for the bodies of symbols that are not needed.

    Symbols in `keep` are whole, with everything inside them. For those in `signatures` head and docstring are shown,
    for others the head. Code outside symbols stays. Each line but the `...` ones is a line of the text, byte for byte.
    Text in a language without a grammar here is returned unchanged.
    """
    parts = parts_of(text, path)
    return _without(text, _gaps(parts, _chosen(parts, keep), _chosen(parts, signatures)))


def heads(text: str, path: str, wanted: Collection[str]) -> str:
    """Only the heads and docstrings of the wanted symbols, and those of their enclosing classes; empty without any."""
    parts = parts_of(text, path)
    shown: set[int] = set()
    for number in _chosen(parts, wanted):
        part = parts[number]
        shown.update(range(part.start, max(part.doc, part.start + 1)))
        for outer in _around(parts, number):
            shown.update(range(parts[outer].start, max(parts[outer].body, parts[outer].start + 1)))
    if not shown:
        return ""
    gaps, start = [], 0
    for row in (*sorted(shown), _rows(text)):
        if row > start:
            gaps.append((start, row))
        start = row + 1
    return _without(text, gaps)


def _chosen(parts: Sequence[SymbolRows], names: Collection[str]) -> set[int]:
    """Numbers of the parts with these names; a name without number means all of a numbered name."""
    wanted = set(names)
    return {number for number, part in enumerate(parts) if part.name in wanted or base_name(part.name) in wanted}


def _around(parts: Sequence[SymbolRows], number: int) -> Iterator[int]:
    inside = parts[number].inside
    while inside is not None:
        yield inside
        inside = parts[inside].inside


def _gaps(parts: Sequence[SymbolRows], keep: set[int], signatures: set[int]) -> Iterator[tuple[int, int]]:
    """Ranges of rows to leave out, in order, none inside another."""
    outer = {around for number in keep | signatures for around in _around(parts, number)}
    whole: set[int | None] = set()
    closed: set[int | None] = set()
    for number, part in enumerate(parts):
        if number in keep or part.inside in whole:
            whole.add(number)
        elif part.inside in closed:
            closed.add(number)
        else:
            start = part.doc if number in signatures else part.body
            has_inner = any(other.inside == number for other in parts[number + 1 :])
            if part.kind is SymbolKind.CLASS and (has_inner or number in signatures):
                if part.doc - start >= _WORTH:
                    yield start, part.doc
            elif number not in outer:
                closed.add(number)
                if part.close - start >= _WORTH:
                    yield start, part.close


def _without(text: str, gaps: Iterable[tuple[int, int]]) -> str:
    lines = text.split("\n")
    shown: list[str] = []
    row = 0
    for start, end in gaps:
        if start < row:
            continue
        shown += lines[row:start]
        first = next((line for line in lines[start:end] if line.strip()), "")
        shown.append(first[: len(first) - len(first.lstrip())] + LEFT_OUT)
        row = end
    return "\n".join(shown + lines[row:])


def _rows(text: str) -> int:
    """Rows of a text, without the empty one after its last line break."""
    return text.count("\n") + (not text.endswith("\n"))
