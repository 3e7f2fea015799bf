"""A teacher's answer as test modules: the fenced blocks that hold tests."""

import re

from models.errors import CleanRoomError

MOST_BYTES = 64 * 1024
"""Most bytes of one test module."""
MOST_MODULES = 4
_FENCE = re.compile(r"[ ]{0,3}(`{3,}|~{3,})[ \t]*([^`\n]*)")
_TEST = re.compile(r"^[ \t]*(?:async[ \t]+def|def)[ \t]+test|^class[ \t]+Test", re.MULTILINE)
_PYTHON = frozenset({"", "python", "py", "python3"})


class NoTests(CleanRoomError):
    """An answer without a test module; the message is shown to the teacher."""


def read_modules(answer: str) -> tuple[str, ...]:
    """The test modules of an answer, in order, each ending in one line end.

    A module is a fenced block of Python that defines tests; blocks without tests are part of the prose. An answer
    without any fence is taken as one module. Raises NoTests, also for an answer that was cut short inside a block and
    for modules that are too many, too long, or not text.
    """
    blocks = _blocks(answer.replace("\r\n", "\n"))
    modules = tuple(dict.fromkeys(block.strip("\n") + "\n" for block in blocks if _TEST.search(block)))
    if not modules:
        raise NoTests("the answer holds no test module: give it in one fenced block of Python that defines tests")
    if len(modules) > MOST_MODULES:
        raise NoTests(f"the answer holds {len(modules)} test modules; give at most {MOST_MODULES}, better one")
    for module in modules:
        _check(module)
    return modules


def _blocks(answer: str) -> list[str]:
    """Contents of the fenced blocks of Python, or the whole answer if nothing is fenced."""
    found: list[str] = []
    lines: list[str] = []
    fence, wanted = "", False
    for line in answer.split("\n"):
        opened = _FENCE.fullmatch(line.rstrip())
        if not fence and opened:
            fence, wanted, lines = opened[1], opened[2].split(" ")[0].strip().lower() in _PYTHON, []
        elif fence and opened and not opened[2] and opened[1].startswith(fence):
            if wanted:
                found.append("\n".join(lines))
            fence = ""
        elif fence:
            lines.append(line)
    if fence:
        raise NoTests("the answer ends inside a fenced block: it was cut short; write fewer or shorter tests")
    return found if "```" in answer or "~~~" in answer else [answer]


def _check(module: str) -> None:
    if "\0" in module:
        raise NoTests("a test module holds a NUL character; leave it out")
    try:
        size = len(module.encode())
    except UnicodeEncodeError as error:
        raise NoTests("a test module holds half a surrogate pair; write it as an escape") from error
    if size > MOST_BYTES:
        raise NoTests(f"a test module has {size} bytes, {MOST_BYTES} is the most; write fewer or shorter tests")
