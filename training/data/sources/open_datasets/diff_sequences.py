"""D3: a program's start and a sequence of diffs, applied exactly to give the program after them.

The diffs are of LintSeq: hunks without context, without the headers of files, `<|diff|>` between them. They were made
between texts without outer blank lines, cut wherever Python cuts lines; a text that has other line ends than LF cannot
be applied to with certainty and is left out.
"""

import hashlib
import re
from collections.abc import Mapping
from typing import Any

from models.training import Pair
from training.data.sources.collections import Dropped
from training.data.sources.open_datasets.commits import checked_path
from training.data.sources.open_datasets.conversion import NEW_FILE, Conversion, NotKept
from training.data.sources.open_datasets.licences import row_license
from training.data.sources.open_datasets.schema import Column, Kind, Schema, texts

DIFF, END = "<|diff|>", "<|endoftext|>"
MALFORMED, MISMATCH = "diffs cannot be read", "diffs do not apply"
LINE_ENDS, INDENTED = "line ends other than LF", "first line is indented"
_HUNK = re.compile(r"@@ -(\d{1,9})(?:,(\d{1,9}))? \+(\d{1,9})(?:,(\d{1,9}))? @@(?: .*)?$")


def after_diffs(start: str, completion: str) -> str:
    """The program after all diffs of a completion. Raises NotKept if one cannot be read or does not apply exactly."""
    core = start.strip()
    lead = start[: len(start) - len(start.lstrip())] if core else ""
    tail = start[len(start.rstrip()) :] if core else "\n"
    if lead.rpartition("\n")[2]:
        raise NotKept(INDENTED)
    if start.splitlines() != (start.removesuffix("\n").split("\n") if start else []):
        raise NotKept(LINE_ENDS)
    lines = core.split("\n") if core else []
    told = completion.strip("\n").removesuffix(END).removesuffix("\n").split("\n")
    position, drift = 0, 0
    while position < len(told):
        line = told[position]
        bare = line.removeprefix(DIFF).strip()
        if line.startswith(DIFF):
            drift = 0
        if not bare:
            position += 1
            continue
        hunk = _HUNK.match(bare)
        if hunk is None:
            raise NotKept(MALFORMED)
        position, drift = _apply(lines, told, position + 1, hunk, drift)
    return lead + "\n".join(lines) + tail


def _apply(lines: list[str], told: list[str], position: int, hunk: re.Match[str], drift: int) -> tuple[int, int]:
    """Apply the hunk whose body begins at a position of the text; the position after it, and by how many lines what
    follows has moved."""
    old_count, new_count = (1 if hunk[group] is None else int(hunk[group]) for group in (2, 4))
    removed: list[str] = []
    added: list[str] = []
    while len(removed) < old_count or len(added) < new_count:
        if position == len(told):
            raise NotKept(MALFORMED)
        mark, text = told[position][:1], told[position][1:]
        if mark not in ("-", "+", " ", ""):
            raise NotKept(MALFORMED)
        if mark != "+":
            removed.append(text)
        if mark != "-":
            added.append(text)
        position += 1
    if len(removed) != old_count or len(added) != new_count:
        raise NotKept(MALFORMED)
    begin = int(hunk[1]) - (1 if old_count else 0) + drift
    told_begin = int(hunk[3]) - (1 if new_count else 0)
    if begin != told_begin or not 0 <= begin <= len(lines):
        raise NotKept(MISMATCH)
    if lines[begin : begin + old_count] != removed:
        raise NotKept(MISMATCH)
    lines[begin : begin + old_count] = added
    return position, drift + new_count - old_count


_METADATA = (
    *texts("max_stars_repo_name", "max_stars_repo_path", required=False),
    Column("max_stars_repo_licenses", Kind.TEXTS, required=False),
)


def diff_sequence(values: Mapping[str, Any], conversion: Conversion) -> Pair | Dropped:
    """A row as the change from its start to the program after its diffs. Raises NotKept, Misfit."""
    metadata = values["metadata"]
    for fault in (fault for column in _METADATA if (fault := column.fault(metadata)) is not None):
        raise fault
    license = row_license(metadata.get("max_stars_repo_licenses"))
    repository = metadata.get("max_stars_repo_name") or None
    path = metadata.get("max_stars_repo_path") or NEW_FILE
    checked_path(path)
    start, task = values["program_start"], values["prompt"]
    after = after_diffs(start, values["completion"])
    digest = hashlib.sha256("\0".join((task, start, values["completion"])).encode()).hexdigest()[:16]
    return conversion.change(
        f"{conversion.source.value}:{values['source_program_id']}-{digest}",
        task,
        task.strip().partition("\n")[0],
        path,
        start or None,
        after,
        repository=repository,
        license=license,
    )


D3 = Schema(
    (
        *texts("prompt", "completion", "program_start"),
        Column("lines_changed", Kind.INTEGER),
        Column("source_program_id", Kind.INTEGER),
        Column("metadata", Kind.OBJECT),
    ),
    prose="prompt", code="completion", convert=diff_sequence,
)  # fmt: skip
