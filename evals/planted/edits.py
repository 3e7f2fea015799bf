"""Corrupted edits."""

import re
from collections.abc import Iterator

from models.edits import CreateFile, Edit, SearchReplace
from repos.text import lines_of

_SWAPS = (
    (r" == ", " != "),
    (r" is not ", " is "),
    (r" not in ", " in "),
    (r"\bTrue\b", "False"),
    (r"\bFalse\b", "True"),
    (r" < ", " > "),
    (r"\band\b", "or"),
    (r"\bif not ", "if "),
    (r"\bif (?!not )", "if not "),
    (r" \+ ", " - "),
    (r"\breturn \S.*", "return None"),
    (r"\bself\.(\w+)", r"self.\1_"),
    (r"\bdef (\w+)\(", r"def \1_("),
    (r" = \S.*", " = None"),
    (r"\braise \S.*", "pass"),
)


def broken(edits: list[Edit]) -> Iterator[list[Edit]]:
    """The edits with one added line corrupted, in each known way, those of the last lines first."""
    for number, edit in reversed(list(enumerate(edits))):
        for text in _broken_texts(edit):
            field = "content" if isinstance(edit, CreateFile) else "replace"
            yield [*edits[:number], edit.model_copy(update={field: text}), *edits[number + 1 :]]


def _broken_texts(edit: Edit) -> Iterator[str]:
    if isinstance(edit, SearchReplace):
        old, new = set(lines_of(edit.search)), lines_of(edit.replace)
    elif isinstance(edit, CreateFile):
        old, new = set(), lines_of(edit.content)
    else:
        return
    for index, line in reversed(list(enumerate(new))):
        code = line.split("#")[0]
        if line in old or not code.strip() or code.lstrip().startswith(("import ", "from ", '"""')):
            continue
        for pattern, wrong in _SWAPS:
            changed = re.sub(pattern, wrong, code, count=1)
            if changed != code:
                yield "".join([*new[:index], changed if changed.endswith("\n") else changed + "\n", *new[index + 1 :]])


def misquoted(edits: list[Edit]) -> list[Edit]:
    """The edits with search texts that occur nowhere."""
    return [
        edit.model_copy(update={"search": "# as it was remembered, not as it is\n" + edit.search})
        if isinstance(edit, SearchReplace)
        else edit
        for edit in edits
    ]


def halved(edits: list[Edit]) -> list[Edit]:
    """The first half of the edits."""
    return edits[: len(edits) // 2]
