"""Comparisons from a repository's history: the changed function at the parent against the one at the commit.

After CodeFavor's Commit-Instruct (Liu et al., arXiv 2410.03837), without a teacher: the task is the commit's message,
and the criterion is the one for which the commit itself is evidence. Nothing is run.
"""

import re
from collections.abc import Iterator, MutableSet
from dataclasses import dataclass

from harness.mining import task_text
from models.comparisons import Comparison, Criterion, Part
from models.errors import EditError
from models.manifest import Change, Commit
from models.training import PairSource, content_hash_of
from repos.index.error_handling import UnreadableCode
from repos.index.error_improvements import compare_files
from repos.index.parse import declares_generated
from repos.text import decode
from training.data.sources.collections import Dropped, Offered, recipe_provenance
from training.data.sources.commit_files import before_and_after, is_revert, reverted
from training.data.sources.comparisons.functions import ChangedFunction, changed_functions, same_code
from training.data.sources.comparisons.shown import shown_sides
from training.data.sources.fail_fast import MinedRepository
from training.data.sources.reading import is_text

MOST_FUNCTIONS = 3
"""With more of them changed, most have little to do with what the message says."""
_FIX = re.compile(
    r"\b(?:fix(?:e[sd]|ing)?|bug(?:s|fix)?|regression|crash(?:es|ed)?|incorrect(?:ly)?|wrong(?:ly)?)\b", re.I
)
_NO_FAULT_OF_CODE = re.compile(
    r"\b(?:typos?|spelling|docs?|docstrings?|documentation|readme|changelog|lint(?:er|ing)?|flake8|mypy|ruff|pylint"
    r"|pre-commit|formatting|style|ci|tests?|warnings?|types?|typing|annotations?|comments?)\b",
    re.I,
)


@dataclass(frozen=True)
class ComparedRepository:
    """A mined clone, its part of the split, and how many of its kept commits are read (None: all)."""

    mined: MinedRepository
    part: Part
    limit: int | None = None


def offers(repository: ComparedRepository, known: MutableSet[str]) -> Iterator[list[Offered]]:
    """What each kept commit gives, the newest first. `known` are keys of the versions that were given already."""
    git, commits = repository.mined.git, repository.mined.mined.commits
    taken_back = reverted(git)
    for commit in commits[: repository.limit]:
        if is_revert(commit) or commit.sha.startswith(taken_back):
            yield [_lost(repository, commit, "commit: a revert, or reverted")]
        else:
            yield _of_commit(repository, commit, known)


def mends_a_fault(subject: str) -> bool:
    """Whether a subject says that a fault of the code is mended, not one of tests, types, documentation or style."""
    return _FIX.search(subject) is not None and _NO_FAULT_OF_CODE.search(subject) is None


def _lost(repository: ComparedRepository, commit: Commit, reason: str, place: str = "") -> Dropped:
    return Dropped(reason, f"{repository.mined.origin.name} {commit.sha[:12]} {place}".rstrip())


def _of_commit(repository: ComparedRepository, commit: Commit, known: MutableSet[str]) -> list[Offered]:
    task = task_text(commit.message)
    if not task or not is_text(task):
        return [_lost(repository, commit, "commit: its message is not text")]
    modified = [
        change
        for change in commit.changes
        if change.kind == "production" and change.path.endswith(".py") and change.old_path == change.path
    ]
    if not modified:
        return [_lost(repository, commit, "commit: no Python file is modified")]
    contents = before_and_after(repository.mined.git, commit, [change.path for change in modified])
    found: list[Offered] = []
    changed: list[tuple[Change, ChangedFunction, str]] = []
    for change in modified:
        of_file = _of_file(repository, commit, change, contents[change.path])
        if isinstance(of_file, Dropped):
            found.append(of_file)
        else:
            changed += [(change, function, improved) for function, improved in of_file]
    if len(changed) > MOST_FUNCTIONS:
        return [*found, _lost(repository, commit, f"commit: over {MOST_FUNCTIONS} functions change")]
    return found + [_compared(repository, commit, task, *each, known) for each in changed]


def _of_file(
    repository: ComparedRepository, commit: Commit, change: Change, sides: tuple[bytes | None, bytes | None]
) -> list[tuple[ChangedFunction, str]] | Dropped:
    """The changed functions of a file, each with the kinds of its improvements in error handling, or why there are
    none."""

    def lost(reason: str) -> Dropped:
        return _lost(repository, commit, reason, change.path)

    old, new = sides
    if old is None or new is None:
        return lost("file deleted, or too large")
    try:
        before, after = decode(old, change.path), decode(new, change.path)
    except EditError:
        return lost("file not UTF-8 text")
    if declares_generated(after):
        return lost("file generated")
    try:
        compared = compare_files(before, after)
    except UnreadableCode:
        return lost("file does not parse by this Python")
    functions = changed_functions(before, after, change.path)
    if not functions:
        return lost("file: no function is there before and after, and differs")
    improved: dict[str, list[str]] = {}
    if compared.better and not compared.new_faults:
        for each in compared.improvements:
            improved.setdefault(each.function, []).append(each.kind.value)
    return [(function, "+".join(sorted(set(improved.get(function.name, []))))) for function in functions]


def _compared(
    repository: ComparedRepository,
    commit: Commit,
    task: str,
    change: Change,
    function: ChangedFunction,
    improved: str,
    known: MutableSet[str],
) -> Comparison | Dropped:
    place = f"{change.path}::{function.name}"
    try:
        if same_code(function.before, function.after):
            return _lost(repository, commit, "function: only layout, comments or docstring differ", place)
    except UnreadableCode:
        return _lost(repository, commit, "function does not parse by itself", place)
    sides = shown_sides(function.after, function.before)
    if sides is None:
        return _lost(repository, commit, "function: its change is over the prompt", place)
    if sides[0].split() == sides[1].split():
        return _lost(repository, commit, "function: what is shown is the same", place)
    key = content_hash_of(sorted(sides))
    if key in known:
        return _lost(repository, commit, "function: same as another, or its reverse", place)
    known.add(key)
    criterion, evidence = Criterion.TASK, "its commit does what its message says"
    if improved:
        criterion, evidence = Criterion.ERROR_HANDLING, improved
    elif mends_a_fault(commit.subject):
        criterion, evidence = Criterion.CORRECTNESS, "fix, with tests" if commit.mixed else "fix"
    origin = repository.mined.origin
    return Comparison(
        criterion=criterion,
        part=repository.part,
        task=task,
        place=place,
        better=sides[0],
        worse=sides[1],
        evidence=evidence,
        provenance=recipe_provenance(
            PairSource.COMPARISONS,
            f"{origin.name}__{commit.sha[:12]}:{place}",
            repository=origin.name,
            organisation=origin.organisation,
            domain=origin.domain,
            license=origin.license,
            commit=commit.sha,
            base_commit=commit.parent,
        ),
    )
