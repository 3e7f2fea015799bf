"""Tables on terminals of any width: nothing is cut off, and no word is broken where that can be helped."""

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from cli import output

COLUMNS = ("metric", "old", "new", "threshold")
ROWS = [("relevant_recall *", "0.500", "0.700", "0.85 missed"), ("accuracy *", "0.400", "0.800", "0.75 met")]


def shown(width: int, columns: "tuple[str, ...]" = COLUMNS, rows: "list[tuple[str, ...]]" = ROWS) -> list[str]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(output, "console", Console(file=io.StringIO(), width=width))
        output.table("Title", columns, rows, right=columns[1:3])
        return str(output.console.file.getvalue()).splitlines()  # type: ignore[attr-defined]


def test_a_wide_terminal_gets_lines_and_a_narrower_one_none() -> None:
    wide, narrow = shown(80), shown(50)
    assert any("┃ metric" in line for line in wide)
    assert not any("┃" in line for line in narrow)
    for lines in (wide, narrow):
        assert any(all(cell in line for cell in ROWS[0]) for line in lines)


def test_where_words_would_be_cut_each_row_is_a_block() -> None:
    assert shown(30) == [
        "Title",
        "relevant_recall *",
        "  old        0.500",
        "  new        0.700",
        "  threshold  0.85 missed",
        "accuracy *",
        "  old        0.400",
        "  new        0.800",
        "  threshold  0.75 met",
    ]


def test_names_and_values_stay_beside_each_other() -> None:
    lines = shown(40, ("", "path"), [("dataset", "/a/" + "b" * 60), ("code", "1")])
    assert any("dataset" in line and "/a/bb" in line for line in lines)
    assert "".join(lines).count("b") == 60


def piped(monkeypatch: pytest.MonkeyPatch, rows: "list[tuple[str, ...]]", **variables: str) -> list[str]:
    """A table where standard output is no terminal and the environment holds `variables`."""
    monkeypatch.setattr(output, "console", Console(file=io.StringIO(), _environ=variables))
    output.table("A title that has more words than the table below it has columns", COLUMNS, rows, right=COLUMNS[1:3])
    return str(output.console.file.getvalue()).splitlines()  # type: ignore[attr-defined]


def test_a_piped_table_has_a_line_for_each_row_however_wide(monkeypatch: pytest.MonkeyPatch) -> None:
    long = ("word " * 60).strip()
    lines = piped(monkeypatch, [*ROWS, (long, "1", "2", "two\nlines")])
    assert lines[0].startswith("A title") and lines[0].endswith("columns")
    assert len([line for line in lines if line.startswith("│")]) == len(ROWS) + 1
    assert any(long in line and "two lines" in line for line in lines)


def test_a_width_that_was_asked_for_holds_for_a_pipe(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = piped(monkeypatch, [("word " * 60, "1", "2", "x")], COLUMNS="60")
    assert max(map(len, lines)) <= 60


CELL = st.text("abc xyz0123", max_size=30)


@given(st.lists(st.tuples(CELL, CELL, CELL, CELL), min_size=1, max_size=4), st.integers(20, 140))
def test_nothing_is_lost_at_any_width(rows: "list[tuple[str, ...]]", width: int) -> None:
    lines = shown(width, COLUMNS, rows)
    for letter in "abcxyz0123":
        told = sum(cell.count(letter) for row in rows for cell in row)
        assert "".join(lines).count(letter) >= told
