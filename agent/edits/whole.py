"""Edits of whole symbols: their lines, decorators included, are replaced, deleted, or followed by new ones."""

import difflib

from agent.edits.indents import shift
from models.edits import Rung, SymbolEdit
from models.errors import EditError
from repos import text as texts
from repos.index.symbols import IMPORTS, MODULE, Symbol, base_name, import_block, language_of, symbols


def edit_symbol(text: str, edit: SymbolEdit) -> tuple[str, Rung]:
    """The text after the edit, and its rung: `file` for `<module>`, `indent-shift` for a re-indented body.

    Deleting a symbol also deletes the blank lines right before it. A body takes the indent and the line ends of the
    symbol. Raises EditError for a name that is unknown or ambiguous and for a symbol that shares its lines with other
    code.
    """
    mark = texts.BOM if text.startswith(texts.BOM) else ""
    lines = texts.lines_of(text.removeprefix(mark))
    if edit.op != "delete" and not edit.body.strip() and edit.symbol != MODULE:
        raise EditError(f"{edit.path}: the body for {edit.symbol!r} is empty; to remove the symbol, delete it")
    if edit.symbol == MODULE:
        return mark + _edit_module(lines, edit), Rung.FILE
    symbol = find_symbol(text, edit.path, edit.symbol)
    first, last = symbol.start_line - 1, symbol.end_line
    if edit.op == "delete":
        while first > 0 and not lines[first - 1].strip():
            first -= 1
        return mark + "".join(lines[:first] + lines[last:]), Rung.SYMBOL
    place = last if edit.op == "insert-after" else first
    after = first if edit.op == "insert-before" else last
    around = mark + "".join(lines[:place]), "".join(lines[after:])
    body, rung = _indented(edit, texts.indent_of(lines[first]), around)
    end = texts.line_end(lines)
    if "\r" not in text and texts.all_crlf(body):
        body = body.replace("\r\n", "\n")
    if "\r" not in body:
        body = texts.with_ends(body, end)
    if edit.op == "insert-before":
        last = first
    elif edit.op == "insert-after":
        first = last
        if not lines[last - 1].endswith("\n"):
            lines[last - 1] += end
    if last < len(lines) and not body.endswith("\n"):
        body += end
    return mark + "".join([*lines[:first], body, *lines[last:]]), rung


def _edit_module(lines: list[str], edit: SymbolEdit) -> str:
    end = texts.line_end(lines)
    body = edit.body if "\r" in edit.body else texts.with_ends(edit.body, end)
    if edit.op == "replace":
        return body.removeprefix(texts.BOM)
    if edit.op == "delete":
        raise EditError(f"{edit.path}: {MODULE} is the whole file; delete the file instead")
    first, second = (body, "".join(lines)) if edit.op == "insert-before" else ("".join(lines), body)
    return first + (end if first and second and not first.endswith("\n") else "") + second


def find_symbol(text: str, path: str, name: str) -> Symbol:
    """The symbol of that name, if it occupies whole lines; otherwise raises EditError with the candidates."""
    if language_of(path) is None:
        raise EditError(f"{path}: no symbols are known in files of this kind; edit {MODULE}")
    known = symbols(text, path)
    imports = import_block(text, path)
    if imports is not None:
        known.append(imports)
    found = next((symbol for symbol in known if symbol.name == name), None)
    if found is None:
        same = [symbol for symbol in known if base_name(symbol.name) == name]
        if same:
            choices = ", ".join(f"{symbol.name} (line {symbol.start_line})" for symbol in same)
            raise EditError(f"{path}: {name!r} is defined {len(same)} times; name one of {choices}")
        close = difflib.get_close_matches(name, [symbol.name for symbol in known], n=3)
        hint = f"nearest are {', '.join(close)}" if close else f"it has {len(known)} symbols, none like it"
        raise EditError(f"{path}: no symbol {name!r}; {hint}")
    if not found.own_lines:
        outer = name.rpartition(".")[0] or MODULE
        raise EditError(f"{path}: {name!r} shares a line with other code; edit {outer!r} instead")
    return found


def _indented(edit: SymbolEdit, indent: str, around: tuple[str, str]) -> tuple[str, Rung]:
    """The body under the symbol's indent, measured at its first line that is not blank."""
    first = next(line for line in texts.lines_of(edit.body) if line.strip())
    old = texts.indent_of(first)
    if old == indent or edit.symbol == IMPORTS:
        return edit.body, Rung.SYMBOL
    what = f"the body for {edit.symbol!r}"
    return shift(edit.body, (old, indent), what, (edit.path, *around)), Rung.INDENT_SHIFT
