"""Thinking traces that a server leaves in the answer.

Tags inside the answer's own content are content: without an opening tag, a closing one ends a trace only before the
first header of an edit and outside code fences; a trace that quotes a closing tag in a code fence goes on after it.
"""

import re
from bisect import bisect_right
from collections.abc import Iterator
from typing import NamedTuple

_NAMES = "think|thinking|thoughts?|reasoning|seed:think"
_TAGS = (
    (rf"<(?:{_NAMES})>", rf"</(?:{_NAMES})>"),
    (r"<\|begin_of_thought\|>", r"<\|end_of_thought\|>"),
    (r"<\|START_THINKING\|>", r"<\|END_THINKING\|>"),
    (r"\[THINK\]", r"\[/THINK\]"),
    ("◁think▷", "◁/think▷"),
)
_OPENINGS = "|".join(opening for opening, _ in _TAGS)
_CLOSINGS = "|".join(closing for _, closing in _TAGS)
_OPENING = re.compile(rf"\s*({_OPENINGS})", re.IGNORECASE)
_ANY = re.compile(rf"(?P<opening>{_OPENINGS})|(?P<closing>{_CLOSINGS})", re.IGNORECASE)
_AT_AN_END = re.compile(rf"[ \t]*(?P<first>{_CLOSINGS})|.*(?P<last>{_CLOSINGS})[ \t\r]*$", re.IGNORECASE)
_FENCE = re.compile(r" {0,3}(`{3,}(?=[^`]*$)|~{3,})(.*)$")
_EDIT = re.compile(r"### +(?:edit|create|replace|insert-after|insert-before|delete|rename) +\S|### no change[ \t\r]*$")


class _Line(NamedTuple):
    """A line of an answer, where it starts, and whether it lies in a code fence or delimits one."""

    start: int
    text: str
    fenced: bool


def is_tag(text: str) -> bool:
    """Whether a text is a tag that opens or closes a trace."""
    return _ANY.fullmatch(text.strip()) is not None


def split_trace(text: str) -> tuple[str, str]:
    """(answer, trace): splits off the leading traces, such as `<think>...</think>`; several are joined.

    A trace that is never closed was cut off during thinking: all of it is trace and the answer is empty. A closing tag
    at the start or end of its line, without an opening one, ends a trace whose opening tag was in the prompt.
    """
    traces: list[str] = []
    while (opening := _OPENING.match(text)) is not None:
        end = _end_of_trace(text, opening)
        if end is None:
            traces.append(text[opening.end() :].strip())
            return "", "\n".join(filter(None, traces))
        traces.append(text[opening.end() : end.start()].strip())
        text = text[end.end() :].lstrip()
    closing = None if traces else _closing_without_opening(text)
    if closing is not None:
        start, stop = closing
        answer, more = split_trace(text[stop:].lstrip()) if _OPENING.match(text, stop) else (text[stop:].lstrip(), "")
        return answer, "\n".join(filter(None, (text[:start].strip(), more)))
    return text, "\n".join(filter(None, traces))


def _end_of_trace(text: str, opening: re.Match[str]) -> re.Match[str] | None:
    """The tag that closes a trace: the one of the same nesting outside code fences, else the first of its kind."""
    tags = list(_ANY.finditer(text, opening.end()))
    same = [tag for tag in tags if _kind(tag[0]) == _kind(opening[1])]
    if any(tag["closing"] for tag in same):
        tags = same
    closings = [tag for tag in tags if tag["closing"]]
    if not closings:
        return None
    lines = list(_lines(text))
    depth = 1
    for tag in tags:
        if lines[bisect_right(lines, tag.start(), key=lambda line: line.start) - 1].fenced:
            continue
        depth += -1 if tag["closing"] else 1
        if depth == 0:
            between = text[closings[0].end() : tag.start()]
            answered = any(_EDIT.match(line) for line in between.split("\n")[1:])
            return closings[0] if answered else tag
    return closings[0]


def _kind(tag: str) -> str:
    """What the opening and closing tag of a trace have in common."""
    return re.sub(r"[^a-z]|begin|start|end", "", tag.lower())


def _closing_without_opening(text: str) -> tuple[int, int] | None:
    """Start and end of the first closing tag at an end of its line, before the first edit and outside code fences."""
    for line in _lines(text):
        if line.fenced:
            continue
        if _EDIT.match(line.text):
            return None
        if (tag := _AT_AN_END.match(line.text)) is not None:
            group = "first" if tag["first"] else "last"
            return line.start + tag.start(group), line.start + tag.end(group)
    return None


def _lines(text: str) -> Iterator[_Line]:
    start, ticks = 0, ""
    for line in text.split("\n"):
        fence = _FENCE.match(line)
        inside = bool(ticks)
        if fence and not ticks:
            ticks = fence[1]
        elif fence and fence[1].startswith(ticks) and not fence[2].strip():
            ticks = ""
        yield _Line(start, line, inside or bool(fence))
        start += len(line) + 1
