"""Thinking traces that a server leaves in the answer."""

import re

_OPENING = re.compile(r"\s*<(think|thinking|thought)>", re.IGNORECASE)
_LONE_CLOSING = re.compile(r"^[ \t]*</think>[ \t]*$", re.IGNORECASE | re.MULTILINE)


def split_trace(text: str) -> tuple[str, str]:
    """(answer, trace): splits off a leading `<think>...</think>`.

    A trace that is never closed was cut off during thinking: all of it is trace and the answer is empty. A closing tag
    alone on its line without an opening one ends a trace whose opening tag was in the prompt.
    """
    opening = _OPENING.match(text)
    if opening is None:
        closing = _LONE_CLOSING.search(text)
        return (text[closing.end() :].lstrip(), text[: closing.start()].strip()) if closing else (text, "")
    rest = text[opening.end() :]
    end = re.search(rf"</{opening.group(1)}>", rest, re.IGNORECASE)
    return (rest[end.end() :].lstrip(), rest[: end.start()].strip()) if end else ("", rest.strip())
