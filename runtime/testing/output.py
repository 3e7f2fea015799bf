"""Exceptions in what a Python program printed."""

import re

from models.suite import Fault

_LONGEST = 300
_NAME = r"(?:[A-Za-z_]\w*\.)*[A-Z]\w*"
_EXCEPTION = re.compile(
    rf"^(?:E\s+)?(?P<type>{_NAME}(?:Error|Exception|Warning|Exit|Interrupt|Failure|Fault|Group|NotFound|Conflict|Mark)|"
    rf"(?:[A-Za-z_]\w*\.)+(?:Failed|Skipped)|error: subprocess-exited-with-error)(?::\s*(?P<text>.*))?$"
)
_FRAME = re.compile(r"^\s*File \"(?P<file>[^\"]+)\", line \d+")
_TRACEBACK = re.compile(r"^\s*Traceback \(most recent call last\):")


def exceptions_in(text: str) -> list[Fault]:
    """The exceptions of printed tracebacks, in order: of a chain, the one it began with comes first.

    Lines count that stand where a traceback ends, or that a test runner marks by an E. `module` is the stem of the
    innermost file, as far as it is printed.
    """
    found: list[Fault] = []
    inside, module = False, ""
    for line in text.splitlines():
        if _TRACEBACK.match(line):
            inside, module = True, ""
        elif frame := _FRAME.match(line):
            inside = True  # a syntax error is printed without a head
            module = re.sub(r"\.\w+$", "", frame["file"].rpartition("/")[2])
        elif (match := _EXCEPTION.match(line.strip() if line.startswith("E ") else line)) and (
            inside or line.startswith("E ")
        ):
            found.append(Fault(error=match["type"], text=(match["text"] or "").strip()[:_LONGEST], module=module))
            inside = False
    return found


def first_fault(text: str) -> Fault | None:
    """The exception that the first printed traceback began with, and what it led to; None if there is none."""
    found = exceptions_in(text)
    if not found:
        return None
    last = found[-1]
    then = f"{last.error}: {last.text}" if last.text else last.error
    return found[0] if last == found[0] else found[0].model_copy(update={"then": then[:_LONGEST]})


def last_line(text: str) -> str:
    """The last line that is not empty, of at most 300 characters; "no message" if there is none."""
    lines = [line for line in text.strip().splitlines() if line.strip()]
    return lines[-1].strip()[:_LONGEST] if lines else "no message"


def first_line(text: str) -> str:
    """The first line that is not empty, of at most 300 characters; "no message" if there is none."""
    lines = [line for line in text.strip().splitlines() if line.strip()]
    return lines[0].strip()[:_LONGEST] if lines else "no message"
