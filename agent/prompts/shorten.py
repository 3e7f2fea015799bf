"""Long texts of a prompt, cut to the head, the tail, and in between the lines that report a failure."""

import re

MOST = 6000
"""Characters of a failure or a patch in a prompt."""
_TELLING = re.compile(r"^E\s|^(>|---|\+\+\+|@@)|Error\b|FAILED|assert|^\S+\.(?:py|[jt]sx?):\d+")


def shorten(text: str, most: int = MOST) -> str:
    """`text` in at most about `most` characters; a line in brackets gives the number of lines left out."""
    if len(text) <= most:
        return text
    lines = text.split("\n")
    kept: set[int] = set()
    used = 0
    for index in _by_worth(lines):
        size = min(len(lines[index]), most // 4) + 1
        if used + size > most:
            continue
        kept.add(index)
        used += size
    out: list[str] = []
    skipped = 0
    for index, line in enumerate(lines):
        if index not in kept:
            skipped += 1
            continue
        if skipped:
            out.append(f"[{skipped} lines left out]")
            skipped = 0
        out.append(line if len(line) <= most // 4 else line[: most // 4] + " [cut]")
    if skipped:
        out.append(f"[{skipped} lines left out]")
    return "\n".join(out)


def one_line(text: str, most: int = 200) -> str:
    """`text` with its white space folded, cut at `most` characters."""
    folded = " ".join(text.split())
    return folded if len(folded) <= most else folded[: most - 1] + "…"


def _by_worth(lines: list[str]) -> list[int]:
    """Line numbers by priority: a few of the head, the lines about failures, then from both ends inwards."""
    count = len(lines)
    head = list(range(min(5, count)))
    telling = [index for index, line in enumerate(lines) if _TELLING.search(line)]
    inwards = sorted(range(count), key=lambda index: min(index, count - 1 - index))
    return list(dict.fromkeys([*head, *telling, *inwards]))
