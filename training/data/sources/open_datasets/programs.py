"""Programs in the answers of models: the one Python fence of a text, and whether a text is code at all."""

import re
from collections.abc import Iterator
from typing import NamedTuple

from repos.syntax import parse_python
from repos.text import lines_of

MOST_CHARACTERS = 50_000
"""Limit of a program and of a task, that of CommitPackFT."""
MOST_LINES = 5000
"""Limit of a program: comparing two of as many equal lines takes half a minute."""
NO_FENCE, NO_LANGUAGE, SEVERAL = "no code fence", "code fence without a language", "several programs"
OTHER_LANGUAGE, UNCLOSED = "another language", "code fence without an end"
_PYTHON = ("python", "py", "python3")
_OPEN = re.compile(r" {0,3}(`{3,}+|~{3,}+)[ \t]*+\{?+\.?+([^\s`,}]*+)[^`\n]*+$")
_CODE = re.compile(
    r"^(?:```|~~~|@@ -\d|diff --git )|"
    r"^[ \t]*(?:def \w+\(|class \w+[(:]|import \w+|from [\w.]+ import |return\b|#include|(?:if|for|while) .*[:{]$|"
    r"[\w.\[\]]+ = \S|\w+\(.*\)$)",
    re.MULTILINE,
)


class Fence(NamedTuple):
    """A fenced block of a text: the language after its opening marks, lower case, and its lines."""

    language: str
    content: str
    closed: bool


def fences(text: str) -> Iterator[Fence]:
    """The fenced blocks of a text in Markdown."""
    lines = iter(lines_of(text))
    for line in lines:
        opening = _OPEN.match(line.rstrip("\r\n"))
        if opening is None:
            continue
        mark = opening[1]
        end = re.compile(rf" {{0,3}}{re.escape(mark[0])}{{{len(mark)},}}[ \t\r]*$")
        content: list[str] = []
        closed = False
        for inner in lines:
            closed = end.match(inner.rstrip("\n")) is not None
            if closed:
                break
            content.append(inner)
        yield Fence(opening[2].lower(), "".join(content), closed)


def program_in(answer: str) -> tuple[str, str]:
    """The program in an answer's one Python fence, or an empty text and the reason why there is none.

    Blocks of other languages beside it (commands, output) do not count.
    """
    found = list(fences(answer))
    python = [fence for fence in found if fence.language in _PYTHON]
    if not found:
        return "", NO_FENCE
    if not python:
        return "", NO_LANGUAGE if all(not fence.language for fence in found) else OTHER_LANGUAGE
    if len(python) > 1:
        return "", SEVERAL
    return (python[0].content, "") if python[0].closed else ("", UNCLOSED)


def is_python(text: str) -> bool:
    """Whether a text is a program of Python."""
    try:
        parse_python(text)
    except (SyntaxError, ValueError):
        return False
    return True


def looks_like_code(text: str) -> bool:
    """Whether some line of a text reads like code or opens a fence, in any language."""
    return _CODE.search(text) is not None
