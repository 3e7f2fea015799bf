"""A section of a page: text, a picture or none, and a table with the figures of the picture."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from cli.output import printable

Draw = Callable[[str, str], str]
"""Draws a picture as SVG, under a title and a description for screen readers."""
_ROWS_SAID = 40
_NOTHING = ("", "-", "none", "0", "0%", "0.0000")


@dataclass(frozen=True)
class Section:
    """A part of a page. `notes` are paragraphs, `draw` makes its picture, `columns` and `rows` are its table.

    Columns named in `right` are numbers. `folded`: the table is hidden until it is asked for.
    """

    key: str
    title: str
    notes: tuple[str, ...]
    columns: tuple[str, ...] = ()
    rows: tuple[tuple[str, ...], ...] = ()
    right: tuple[str, ...] = ()
    draw: Draw | None = None
    folded: bool = False

    def in_words(self) -> str:
        """The table's rows as sentences, at most 40; cells that hold nothing are left out."""
        said = [_sentence(self.columns, row) for row in self.rows[:_ROWS_SAID]]
        if (more := len(self.rows) - len(said)) > 0:
            said.append(f"{more} more rows are in the table")
        return ". ".join(said) + "." if said else "There is nothing to show."


def drawn(section: Section, any_figures: bool, draw: Draw) -> Section:
    """The section with its picture, if there are figures to draw."""
    return replace(section, draw=draw) if any_figures else section


def make_rows(rows: Sequence[Sequence[object]]) -> tuple[tuple[str, ...], ...]:
    """Cells as text without control characters and line ends."""
    return tuple(tuple(printable(" ".join(str(cell).split())) for cell in row) for row in rows)


def _sentence(columns: Sequence[str], row: Sequence[str]) -> str:
    first, *rest = zip(columns, row, strict=True)
    told = [f"{name} {cell}" for name, cell in rest if cell not in _NOTHING]
    return f"{first[1]}: {', '.join(told) or 'nothing'}"
