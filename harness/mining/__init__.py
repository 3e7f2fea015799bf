"""Mining: which commits of a repository can serve as tasks, and why the others cannot."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from harness.mining.layouts import layouts_of
from harness.mining.log import LogRecord, read_log
from harness.mining.messages import MessageFault, fault, task_text
from harness.mining.planning_types import planning_types
from harness.mining.rules import as_changes, drop_reason
from models.errors import RepositoryError
from models.manifest import Commit, DropReason, MiningFunnel
from models.mining import MiningRules
from repos.changed_symbols import changed_symbols
from repos.git import Git
from repos.index.suite_layout import SuiteLayout

__all__ = ["MessageFault", "Mined", "add_symbols", "mine", "task_text"]


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
    kept: list[Commit] = []
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
            kept.append(_commit(record, layouts(record)))
    mined = Mined(
        _funnel(kept, len(aside), dropped),
        tuple(kept),
        tuple(_commit(record, layouts(record), needs_message=True) for record, _ in aside),
        tuple(dropped),
        tuple((record.sha, problem) for record, problem in aside),
    )
    return add_symbols(git, mined, on_progress=on_progress) if with_symbols else mined


def add_symbols(
    git: Git, mined: Mined, newest: int | None = None, *, on_progress: Callable[[int, int], None] | None = None
) -> Mined:
    """What was mined without symbols, with those of the kept commits (or only of so many, the newest ones).

    A commit that cannot be read is dropped. `on_progress` is called with (commits done, commits to do).
    """
    asked = mined.commits[:newest]
    if not asked:
        return mined
    complete: list[Commit] = []
    dropped: list[tuple[str, DropReason]] = []
    with changed_symbols(git) as read:
        for number, commit in enumerate(asked, 1):
            try:
                symbols = read(commit.sha, {change.path for change in commit.changes if change.kind != "other"})
            except RepositoryError:
                dropped.append((commit.sha, DropReason.UNREADABLE))
            else:
                types = planning_types(commit.changes, symbols)
                complete.append(commit.model_copy(update={"symbols": symbols.all, "planning_types": types}))
            if on_progress is not None:
                on_progress(number, len(asked))
    commits, all_dropped = (*complete, *mined.commits[len(asked) :]), (*mined.dropped, *dropped)
    funnel = _funnel(commits, len(mined.aside), all_dropped) if dropped else mined.funnel
    return replace(mined, funnel=funnel, commits=commits, dropped=all_dropped)


def _funnel(kept: Sequence[Commit], aside: int, dropped: Sequence[tuple[str, DropReason]]) -> MiningFunnel:
    return MiningFunnel(
        total=len(kept) + aside + len(dropped),
        dropped={reason.value: count for reason, count in Counter(r for _, r in dropped).most_common()},
        needs_message=aside,
        kept=len(kept),
        mixed=sum(commit.mixed for commit in kept),
    )


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
