"""Output for people (tables, one line of progress) and for programs (JSON on standard output)."""

import json
import re
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Any

from rich import box
from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text

console = Console(highlight=False)
errors = Console(stderr=True, highlight=False)
_NAME_AND_VALUE = 2
_PROSE = 24
"""Columns of a table that have more than so many characters may be folded."""


def print_json(value: Any) -> None:
    """Print a value as JSON; paths, tuples and pydantic models become what JSON has."""
    sys.stdout.write(json.dumps(value, indent=2, default=_plain) + "\n")


def _plain(value: Any) -> Any:
    if isinstance(value, Path):
        return str(value)
    if hasattr(value, "model_dump"):
        return value.model_dump(mode="json")
    raise TypeError(f"{type(value).__name__} has no JSON form")


def spinner(what: str) -> AbstractContextManager[object]:
    """Show on a terminal, on standard error, what is waited for; nothing where standard error is piped."""
    return errors.status(Text(what)) if errors.is_terminal else nullcontext()


@contextmanager
def waiting(what: str) -> Iterator[None]:
    """Show what is waited for, as `spinner` does; where standard error is piped, as a line."""
    if not errors.is_terminal:
        errors.print(what, markup=False, soft_wrap=True)
    with spinner(what):
        yield


def printable(text: str) -> str:
    """Untrusted text with control and bidirectional characters as escapes, so that a terminal does not act on them."""
    return re.sub(
        r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]", lambda m: ascii(m[0])[1:-1], text
    )


def counted(number: int, one: str, many: str = "") -> str:
    """A number with its noun: `1 item`, `2 items`."""
    return f"{number} {one if number == 1 else many or one + 's'}"


def table(title: str, columns: Sequence[str], rows: Iterable[Sequence[object]], *, right: Sequence[str] = ()) -> None:
    """Print a table; columns named in `right` are aligned right (numbers).

    Where it is too wide for the terminal it goes without lines, and where words would have to be cut, each row becomes
    a block of its own; of two columns, names and values, the values are folded. Where standard output is no terminal,
    and COLUMNS is not set, each row is one line, as wide as its text.
    """
    rows = list(rows)
    if not rows:
        console.print(Text.assemble((title, "bold"), ": none"))
        return
    cells = [[cell if isinstance(cell, Text) else Text(str(cell)) for cell in row] for row in rows]
    if unbounded():
        _piped(title, columns, cells, right)
        return
    longest, whole, full = _widths(columns, cells)
    available, gaps = console.width, 2 * len(columns)
    cut = sum(longest) + gaps > available
    if cut and cells and len(columns) > _NAME_AND_VALUE:
        _records(title, columns, cells)
        return
    lined = sum(whole) + gaps + len(columns) + 1 <= available
    free = available - gaps - (len(columns) + 1 if lined else 0)
    least = whole if sum(whole) <= free else longest
    widths = [None] * len(columns) if cut else _spread(least, full, free)
    console.print(_grid(title, columns, cells, widths, right, lined=lined))


def unbounded() -> bool:
    """Whether lines may be as wide as their text: standard output is no terminal, and no width was asked for (COLUMNS,
    or the console's own)."""
    return console._width is None and not console.file.isatty()


def _grid(
    title: str | None,
    columns: Sequence[str],
    rows: Sequence[Sequence[Text]],
    widths: Sequence[int | None],
    right: Sequence[str],
    *,
    lined: bool,
) -> Table:
    grid = Table(
        title=title,
        title_justify="left",
        title_style="bold",
        header_style="bold",
        box=box.HEAVY_HEAD if lined else box.SIMPLE_HEAD,
        pad_edge=lined,
        padding=(0, 1) if lined else (0, 0, 0, 1),
    )
    for name, width in zip(columns, widths, strict=True):
        grid.add_column(name, justify="right" if name in right else "left", overflow="fold", width=width)
    for row in rows:
        grid.add_row(*row)
    return grid


def _piped(title: str, columns: Sequence[str], rows: Sequence[Sequence[Text]], right: Sequence[str]) -> None:
    """A table whose every row is one line: line ends within cells are shown as spaces."""
    flat = [[Text(" ").join(cell.split("\n")) for cell in row] for row in rows]
    _, _, full = _widths(columns, flat)
    wide = Console(file=console.file, width=sum(full) + 3 * len(columns) + 1, highlight=False)
    wide.print(Text(title, style="bold"), soft_wrap=True)
    wide.print(_grid(None, columns, flat, [None] * len(columns), right, lined=True))


def _widths(columns: Sequence[str], rows: Sequence[Sequence[Text]]) -> tuple[list[int], list[int], list[int]]:
    """Of each column its longest word, what it should have (less than all of it for prose), and all of it."""
    longest, full = [], []
    for name, *column in zip(columns, *rows, strict=True):
        texts = [str(text) for text in (name, *column)]
        longest.append(max((cell_len(word) for text in texts for word in text.split()), default=0))
        full.append(max(cell_len(line) for text in texts for line in text.split("\n")))
    whole = [min(most, max(word, _PROSE)) for word, most in zip(longest, full, strict=True)]
    return longest, whole, full


def _spread(least: Sequence[int], full: Sequence[int], free: int) -> list[int | None]:
    """Widths from `least` on, as much as is free, none beyond what it can use; the one that lacks most first."""
    widths = list(least)
    while sum(widths) < free and any(most > width for most, width in zip(full, widths, strict=True)):
        poorest = max(range(len(widths)), key=lambda each: full[each] - widths[each])
        widths[poorest] += 1
    return [*widths]


def _records(title: str, columns: Sequence[str], rows: Sequence[Sequence[Text]]) -> None:
    """Rows one below the other, a line for each cell that holds something."""
    console.print(Text(title, style="bold"))
    margin = max(map(len, columns)) + 2
    for first, *rest in rows:
        console.print(first, style="bold", soft_wrap=True)
        for name, cell in zip(columns[1:], rest, strict=True):
            if cell.plain:
                console.print(Text(f"  {name:{margin}}").append_text(cell), soft_wrap=True)
