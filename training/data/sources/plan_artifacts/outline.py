"""A Markdown file as sections with their list items; fenced code is kept apart from prose.

Only what plans are made of is read: ATX headings, bullet and numbered lists with their nesting, check boxes, fences.
Line ends of any kind are accepted.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

_HEADING = re.compile(r" {0,3}(#{1,6})[ \t]+(.*)")
_FENCE = re.compile(r"\s*(?:[-*+] +|\d+[.)] +)?(`{3,}|~{3,})")
_ITEM = re.compile(r"(\s*)(?:[-*+]|(\d{1,4})[.)])[ \t]+(?:\[([ xX~!/-])\][ \t]+)?(.*)$")
_BOLD_LINE = re.compile(r"\s*(?:\*\*|__)(.+?)(?:\*\*|__)[: ]*$")

DEEPEST = 32
"""Levels of nested items that are kept apart: the items below them are children of the deepest."""


@dataclass
class Item:
    """A list item. `number` is that of a numbered list, `checked` is None without a box; `text` spans its lines."""

    text: str
    indent: int
    number: int | None = None
    checked: bool | None = None
    children: list["Item"] = field(default_factory=list)

    def all(self) -> Iterator["Item"]:
        """The item and all below it."""
        yield self
        for child in self.children:
            yield from child.all()

    @property
    def whole(self) -> str:
        """The text with that of the items below, indented."""
        lines = [self.text, *(f"- {line}" for child in self.children for line in child.whole.split("\n"))]
        return "\n".join(lines)


@dataclass
class Section:
    """A heading (level 0: before the first) with what comes before the next one. `prose` holds neither items nor
    code; `code` counts the lines in fences."""

    level: int
    title: str
    prose: list[str] = field(default_factory=list)
    items: list[Item] = field(default_factory=list)
    code: int = 0

    def all_items(self) -> Iterator[Item]:
        """Items at every depth, in order."""
        for item in self.items:
            yield from item.all()


def outline(text: str) -> list[Section]:
    """The sections of a text, in order, the part before the first heading first."""
    sections = [Section(0, "")]
    stack: list[Item] = []
    fence = ""
    for line in text.replace("\r\n", "\n").replace("\r", "\n").split("\n"):
        mark = _FENCE.match(line)
        if fence:
            sections[-1].code += 1
            if mark and mark[1].startswith(fence) and not line.strip().strip(fence[0]):
                fence = ""
        elif mark:
            fence = mark[1]
        elif heading := _HEADING.match(line):
            sections.append(Section(len(heading[1]), heading[2].rstrip(" \t").rstrip("#").strip()))
            stack = []
        else:
            stack = _add(sections[-1], stack, line)
    return sections


def _add(section: Section, stack: list[Item], line: str) -> list[Item]:
    """Add a line to a section; the open items after it, outermost first."""
    if match := _ITEM.match(line):
        indent = len(match[1].expandtabs(4))
        item = Item(
            match[4].strip(),
            indent,
            int(match[2]) if match[2] else None,
            None if match[3] is None else match[3] in "xX",
        )
        while stack and stack[-1].indent >= indent:
            stack.pop()
        del stack[DEEPEST:]
        (stack[-1].children if stack else section.items).append(item)
        return [*stack, item]
    if not line.strip():
        return stack
    if stack and line[:1] in " \t":
        stack[-1].text += " " + line.strip()
        return stack
    if stack and not section.prose and not _BOLD_LINE.match(line) and stack[-1].text and line[0].isalnum():
        stack[-1].text += " " + line.strip()  # a lazy continuation
        return stack
    section.prose.append(line.strip())
    return []
