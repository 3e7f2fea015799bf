"""Edits parsed from the text of a coder's answer; `agent.edits.markup` describes the format.

Strict inside the blocks, tolerant of prose around them.
"""

import re
from dataclasses import dataclass, field

from agent.edits import markup
from models.edits import CreateFile, DeleteFile, Edit, RenameFile, SearchReplace, SymbolEdit
from models.errors import EditError


@dataclass(frozen=True)
class CodeAnswer:
    """The content of a coder's answer: the edits in order, and the prose around them."""

    edits: list[Edit]
    reasoning: str


def parse_edits(text: str) -> list[Edit]:
    """The edits of an answer, in order. Raises EditError that names the line and what was expected there."""
    return parse_answer(text).edits


def parse_answer(text: str) -> CodeAnswer:
    """The edits of an answer and the prose around them. An answer without edits must say `### no change`.

    Raises EditError that names the line and what was expected there.
    """
    reader = _Reader(text.split("\n"))
    while reader.position < len(reader.lines):
        reader.item()
    if not reader.edits and not reader.unchanged:
        raise EditError(f"the answer holds no edit; write edits, or the line {markup.NO_CHANGE!r} to change nothing")
    if reader.edits and reader.unchanged:
        raise EditError(f"the answer holds edits and the line {markup.NO_CHANGE!r}; leave one of them out")
    return CodeAnswer(reader.edits, "\n".join(reader.prose).strip())


@dataclass
class _Reader:
    lines: list[str]
    position: int = 0
    file: str | None = None
    unchanged: bool = False
    edits: list[Edit] = field(default_factory=list)
    prose: list[str] = field(default_factory=list)
    quoted: str | None = None
    """The opening marks of a fence in the prose, as around a whole answer."""
    body: tuple[int, str] | None = None
    """Line and opening marks of the fenced content after the last header."""

    def fail(self, problem: str, line: int | None = None) -> EditError:
        return EditError(f"line {(self.position if line is None else line) + 1} of the answer: {problem}")

    def next_line(self) -> str | None:
        self.position += 1
        return self.lines[self.position] if self.position < len(self.lines) else None

    def item(self) -> None:
        """Read one header with its body, one block, or one line of prose."""
        line = self.lines[self.position]
        if line.rstrip(" \t\r") == markup.NO_CHANGE:
            self.unchanged = True
            self.position += 1
        elif header := markup.HEADER.match(line):
            self.header(header[1], header[2])
        elif marker := markup.SEARCH.match(line):
            self.block(len(marker[1]))
        elif re.match(r">{7,} REPLACE[ \t\r]*$", line):
            raise self.fail("'>>>>>>> REPLACE' ends a block that never began with '<<<<<<< SEARCH'")
        else:
            self.prose.append(line)
            if fence := markup.FENCE.match(line):
                self.fence_in_prose(fence[1], fence[2].strip())
            self.position += 1

    def fence_in_prose(self, marks: str, info: str) -> None:
        """Pair the fences in the prose. Raises EditError for one that a content which holds fences has left over."""
        if self.quoted is not None:
            if marks.startswith(self.quoted) and not info:
                self.quoted = None
            return
        if self.body is not None and self.body[1] == marks and not info:
            longer = f"if the content holds such lines, give its fence {_longer(marks)}"
            raise self.fail(f"a '{marks}' is left over after the fence of line {self.body[0] + 1}; {longer}")
        self.quoted = marks

    def header(self, verb: str, rest: str) -> None:
        start = self.position
        try:
            words = markup.tokens(rest)
        except ValueError as error:
            raise self.fail(f"{error}; quote a name with spaces as a JSON string") from error
        self.position += 1
        self.file = self.body = None
        match verb, words:
            case "edit", [path]:
                self.file = path
                if not self.block_follows():
                    raise self.fail(f"'### edit {path}' has no '<<<<<<< SEARCH' block after it", start)
            case "create", [path] | [path, "executable"]:
                content = self.fenced()
                self.edits.append(CreateFile(path=path, content=content, executable=len(words) == 2))
            case "delete", [path]:
                self.edits.append(DeleteFile(path=path))
            case "rename", [path, "->", new_path]:
                self.edits.append(RenameFile(path=path, new_path=new_path))
            case "delete", [path, "::", symbol]:
                self.edits.append(SymbolEdit(path=path, symbol=symbol, op="delete"))
            case ("replace" | "insert-after" | "insert-before") as op, [path, "::", symbol]:
                body = self.fenced()
                self.edits.append(SymbolEdit(path=path, symbol=symbol, op=op, body=body))
            case _:
                raise self.fail(f"'### {verb} {rest[:100]}' is not a header; expected {_USAGE[verb]}", start)

    def block_follows(self) -> bool:
        """Whether a block comes before the next header or the end."""
        for line in self.lines[self.position :]:
            if markup.SEARCH.match(line) or markup.HEADER.match(line):
                return markup.SEARCH.match(line) is not None
        return False

    def block(self, length: int) -> None:
        """Read a search/replace block whose markers have `length` characters."""
        if self.file is None:
            raise self.fail("a '<<<<<<< SEARCH' block needs a header '### edit PATH' before it")
        start, middle, end = self.position, markup.divider(length), markup.closing(length)
        crlf = self.lines[start].endswith("\r")
        parts: list[list[str]] = [[]]
        while (line := self.next_line()) is not None:
            again = markup.SEARCH.match(line)
            if again and len(again[1]) == length:
                raise self.fail(f"a new block begins inside the one of line {start + 1}; end that first")
            if end.match(line):
                if len(parts) == 1:
                    raise self.fail(f"the block of line {start + 1} has no '{'=' * length}' line")
                search, replace = (markup.decode(_without_cr(part) if crlf else part) for part in parts)
                self.edits.append(SearchReplace(path=self.file, search=search, replace=replace))
                self.position += 1
                return
            if middle.match(line):
                if len(parts) == 2:
                    longer = f"if it is content, write the block with markers of {length + 1} characters"
                    raise self.fail(f"a second '{'=' * length}' in the block of line {start + 1}; {longer}")
                parts.append([])
            else:
                parts[-1].append(line)
        raise self.fail(f"the block is never ended by '{'>' * length} REPLACE'", start)

    def fenced(self) -> str:
        """Read the fence that follows a header: its content."""
        while self.position < len(self.lines) and not self.lines[self.position].strip():
            self.position += 1
        opening = markup.FENCE.match(self.lines[self.position]) if self.position < len(self.lines) else None
        if opening is None:
            raise self.fail("expected a ``` fence with the content right after its header")
        start, marks = self.position, opening[1]
        end, nested = markup.fence_end(len(marks), marks[0]), markup.fence_start(len(marks), marks[0])
        while (line := self.next_line()) is not None:
            if end.match(line):
                content = self.lines[start + 1 : self.position]
                self.body = start, marks
                self.position += 1
                return markup.decode(_without_cr(content) if opening[0].endswith("\r") else content)
            if nested.match(line):
                raise self.fail(f"a fence inside the one of line {start + 1}; give that one {_longer(marks)}")
        raise self.fail(f"the fence is never closed by a line '{marks}'", start)


def _longer(marks: str) -> str:
    return f"{len(marks) + 1} {'backticks' if marks[0] == '`' else 'tildes'}"


def _without_cr(lines: list[str]) -> list[str]:
    """The lines of an answer that is written with CR LF."""
    return [line.removesuffix("\r") for line in lines]


_USAGE = {
    "edit": "'### edit PATH'",
    "create": "'### create PATH' or '### create PATH executable'",
    "delete": "'### delete PATH' or '### delete PATH :: SYMBOL'",
    "rename": "'### rename PATH -> NEW_PATH'",
    "replace": "'### replace PATH :: SYMBOL'",
    "insert-after": "'### insert-after PATH :: SYMBOL'",
    "insert-before": "'### insert-before PATH :: SYMBOL'",
}
