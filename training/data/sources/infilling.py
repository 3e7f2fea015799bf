"""Search and replace as infilling: a place in a file is marked, and the edit finds it and fills it.

After "search-and-replace infilling" (arXiv 2601.13384), from real commits: what a commit added to a file is taken out
of the file after it, a marker is left, and the answer is one block of about ten lines that holds the marker and is
written verbatim before it is replaced. The task is the commit's message, without trailers and references.
"""

import random
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from agent.edits.format import format_edits
from agent.prompts.render import render
from harness.mining import task_text
from harness.mining.fail_fast import GENERATED
from models.edits import EditFormat, SearchReplace
from models.errors import EditError
from models.manifest import Commit
from models.protocols import Stage
from models.tokens import WINDOWS, estimate_tokens
from models.training import Pair, Provenance
from repos.diffs import opcodes
from repos.git import Git
from repos.index.parse import declares_generated
from repos.index.paths import is_generated
from repos.text import decode, indent_of, line_end, lines_of
from training.data.sources.coding import NOT_TEXT, REPLAY, code_request, replayed
from training.data.sources.collections import Dropped, Offered, recipe_provenance
from training.data.sources.lintseq.programs import MOST_CHARACTERS, SUFFIX, TOO_LONG, Origin
from training.data.sources.lintseq.states import generator_of
from training.data.sources.reading import is_text
from training.data.sources.recipes import Made, RecipeSettings

MARKER = "# MIDDLE CODE TO COMPLETE"
REGION = 10
"""Lines of the searched region, marker included."""
MOST_LINES = 60
"""Lines of a hole."""
STEP = f"Write the code that belongs at the comment `{MARKER}`, in its place."
NO_CHANGE, NO_HOLE, MARKED = "no Python file changed", "nothing of a fitting size added", "holds the marker already"


@dataclass(frozen=True)
class SourceCommit:
    """A commit with the Python files that it changed: path, text before, text after; `refused` are those left out
    for a reason of their own."""

    row: str
    origin: Origin
    sha: str
    parent: str
    task: str
    files: tuple[tuple[str, str, str], ...]
    refused: tuple[Dropped, ...] = ()


def commits_of_repository(git: Git, origin: Origin, commits: Iterable[Commit]) -> Iterator[SourceCommit | Dropped]:
    """Commits with the production files that they changed; those that are new, or no text, are left out.

    Generated and vendored files are refused by name.
    """
    for commit in commits:
        row = f"{origin.name}@{commit.sha}"
        files: list[tuple[str, str, str]] = []
        refused: list[Dropped] = []
        for change in commit.changes:
            if change.old_path is None or not change.path.endswith(SUFFIX):
                continue
            if is_generated(change.path):
                refused.append(Dropped(GENERATED, f"{row}:{change.path}"))
                continue
            if change.kind != "production":
                continue
            before, after = git.read(commit.parent, change.old_path), git.read(commit.sha, change.path)
            if before is None or after is None or len(after) > 4 * MOST_CHARACTERS:
                continue
            try:
                old, new = decode(before, change.path), decode(after, change.path)
            except EditError:
                continue
            if declares_generated(new):
                refused.append(Dropped(GENERATED, f"{row}:{change.path}"))
            else:
                files.append((change.path, old, new))
        if files or refused:
            task = task_text(commit.message)
            yield SourceCommit(row, origin, commit.sha, commit.parent, task, tuple(files), tuple(refused))
        else:
            yield Dropped(NO_CHANGE, row)


def infillings_of(commit: SourceCommit, settings: RecipeSettings) -> Made:
    """At most `samples` examples of a commit, drawn from the places where it added lines."""
    found: list[tuple[str, str, range]] = []
    refused: list[Offered] = [*commit.refused]
    for path, before, after in commit.files:
        row = f"{commit.row}:{path}"
        if len(after) > MOST_CHARACTERS:
            refused.append(Dropped(TOO_LONG, row))
        elif MARKER in after:
            refused.append(Dropped(MARKED, row))
        else:
            found += [(path, after, hole) for hole in holes(before, after)]
    if not found:
        return Made(refused or [Dropped(NO_HOLE, commit.row)])
    drawn = _drawn(len(found), settings, generator_of(settings.seed, 0, commit.row))
    return Made([*refused, *(_pair(commit, settings, number, *found[number]) for number in drawn)])


def holes(before: str, after: str) -> list[range]:
    """The runs of lines, numbered in the text after, that a change added, of a size to be written at once."""
    lines = lines_of(after)
    spans = [range(a0, a1) for _, _, a0, a1 in opcodes(lines_of(before), lines)]
    return [span for span in spans if 0 < len(span) <= MOST_LINES and "".join(lines[span.start : span.stop]).strip()]


def _drawn(count: int, settings: RecipeSettings, generator: random.Random) -> list[int]:
    return sorted(generator.sample(range(count), min(count, settings.samples)))


def infilling(path: str, after: str, hole: range) -> tuple[str, SearchReplace]:
    """The file with a marker in place of a hole, and the block that fills it."""
    lines = lines_of(after)
    filled = lines[hole.start : hole.stop]
    first = next(line for line in filled if line.strip())
    end = line_end(lines) if filled[-1].endswith("\n") else ""
    marked = [*lines[: hole.start], f"{indent_of(first)}{MARKER}{end}", *lines[hole.stop :]]
    start = max(0, min(hole.start - (REGION - 1) // 2, len(marked) - REGION))
    region = marked[start : start + REGION]
    search = "".join(region)
    replace = "".join([*marked[start : hole.start], *filled, *marked[hole.start + 1 : start + len(region)]])
    return "".join(marked), SearchReplace(path=path, search=search, replace=replace)


def _pair(
    commit: SourceCommit, settings: RecipeSettings, number: int, path: str, after: str, hole: range
) -> Pair | Dropped:
    before, edit = infilling(path, after, hole)
    provenance: Provenance = recipe_provenance(
        settings.recipe,
        f"{commit.row}:{path}#{number}",
        repository=commit.origin.name,
        organisation=commit.origin.organisation,
        domain=commit.origin.domain,
        license=commit.origin.license,
        commit=commit.sha,
        base_commit=commit.parent,
    )
    answer = format_edits([edit])
    if replayed(answer, path, before) != after:
        return Dropped(REPLAY, provenance.trajectory)
    request = code_request(commit.task, STEP, path, before, provenance, EditFormat.SEARCH_REPLACE)
    messages = render(request, WINDOWS[Stage.CODE], estimate_tokens)
    if not is_text(*(message.content for message in messages), answer):
        return Dropped(NOT_TEXT, provenance.trajectory)
    return Pair(stage=Stage.CODE, source=settings.recipe, messages=messages, answer=answer, provenance=provenance)
