"""Mining: which commits of a repository can serve as tasks, and why the others cannot."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from harness.mining.layouts import layouts_of
from harness.mining.log import LogRecord, read_log
from harness.mining.messages import MessageFault, fault, task_text
from harness.mining.planning_types import planning_types
from harness.mining.rules import as_changes, drop_reason
from models.manifest import Commit, DropReason, MiningFunnel
from models.mining import MiningRules
from repos.changed_symbols import changed_symbols
from repos.git import Git
from repos.index.suite_layout import SuiteLayout

__all__ = ["MessageFault", "Mined", "mine", "task_text"]


@dataclass(frozen=True)
class Mined:
    """The result for every commit in HEAD's history, each tuple newest first.

    `commits` are kept, `aside` have a good diff but a message that is no task (`faults`: commit id and reason),
    `dropped` are commit ids with the first rule they break.
    """

    funnel: MiningFunnel
    commits: tuple[Commit, ...]
    aside: tuple[Commit, ...]
    dropped: tuple[tuple[str, DropReason], ...]
    faults: tuple[tuple[str, MessageFault], ...]


def mine(
    git: Git,
    rules: MiningRules | None = None,
    *,
    with_symbols: bool = True,
    on_progress: Callable[[int, int], None] | None = None,
) -> Mined:
    """Classify the whole history of HEAD: one `git log` pass, then PyDriller for the symbols of kept commits.

    Without symbols the planning types `meta` and `step`, which need them, are not assigned; commits set aside have no
    symbols in either case. `on_progress` is called with (commits done, commits kept) as symbols are read. Raises
    RepositoryError if the repository has no commit.
    """
    rules = rules or MiningRules()
    kept: list[LogRecord] = []
    aside: list[tuple[LogRecord, MessageFault]] = []
    dropped: list[tuple[str, DropReason]] = []
    records = read_log(git)
    layouts = layouts_of(git, records)
    for record in records:
        if reason := drop_reason(record, rules, layouts(record)):
            dropped.append((record.sha, reason))
        elif problem := fault(record.message, rules.min_words):
            aside.append((record, problem))
        else:
            kept.append(record)
    commits = _commits(git, kept, layouts, with_symbols, on_progress)
    funnel = MiningFunnel(
        total=len(records),
        dropped={reason.value: count for reason, count in Counter(r for _, r in dropped).most_common()},
        needs_message=len(aside),
        kept=len(commits),
        mixed=sum(commit.mixed for commit in commits),
    )
    return Mined(
        funnel,
        commits,
        tuple(_commit(record, layouts(record), needs_message=True) for record, _ in aside),
        tuple(dropped),
        tuple((record.sha, problem) for record, problem in aside),
    )


def _commits(
    git: Git,
    records: list[LogRecord],
    layouts: Callable[[LogRecord], SuiteLayout],
    with_symbols: bool,
    on_progress: Callable[[int, int], None] | None,
) -> tuple[Commit, ...]:
    commits = [_commit(record, layouts(record)) for record in records]
    if not with_symbols or not commits:
        return tuple(commits)
    complete = []
    with changed_symbols(git) as read:
        for commit in commits:
            symbols = read(commit.sha, {change.path for change in commit.changes if change.kind != "other"})
            types = planning_types(commit.changes, symbols)
            complete.append(commit.model_copy(update={"symbols": symbols.all, "planning_types": types}))
            if on_progress is not None:
                on_progress(len(complete), len(commits))
    return tuple(complete)


def _commit(record: LogRecord, layout: SuiteLayout, *, needs_message: bool = False) -> Commit:
    changes = as_changes(record, layout)
    return Commit(
        sha=record.sha,
        parent=record.parents[0],
        subject=record.subject,
        message=record.message,
        author_date=record.author_date,
        committed=record.committed,
        changes=changes,
        planning_types=planning_types(changes, None),
        needs_message=needs_message,
    )
