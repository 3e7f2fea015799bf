"""A plan followed through its history: the commits that do it, and what becomes of the lines that they wrote."""

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from host.process import CommandFailed
from training.data.sources.plan_artifacts import rules
from training.data.sources.plan_artifacts.history import DAY, Commit, History
from training.data.sources.plan_artifacts.hunks import Patches, Written
from training.data.sources.plan_artifacts.outline import Section, outline
from training.data.sources.plan_artifacts.parts import parts_of
from training.data.sources.plan_artifacts.places import KnownPaths, distinctive, paths_in, symbols_in
from training.data.sources.plan_artifacts.plans import Plan

_FIX = re.compile(
    r"\b(?:fix(?:e[sd]|ing|up)?|bug(?:fix)?s?|hotfix|regressions?|revert(?:s|ed)?|repairs?|corrects?"
    r"|address\w* .*(?:review|findings|feedback))\b",
    re.IGNORECASE,
)
_DOCUMENT = (".md", ".markdown", ".mdx", ".mdc", ".rst", ".txt", ".adoc")
ARCHIVE = re.compile(r"(?:^|/)(?:completed?|done|archived?|finished|implemented|old)(?:/|$)", re.IGNORECASE)


@dataclass
class Trajectory:
    """What happened to a plan.

    `targets` are the files that it names (`missing`: those never made), `touched` those that its commits touch; `work`
    are these commits, in order. Of the `after` commits, `fixes` changed lines that the work wrote and say fix. `rework`
    is the share of these lines that was changed again, None if none was written. `since` counts commits and days after
    the work.
    """

    plan: Plan
    targets: frozenset[str] = frozenset()
    missing: frozenset[str] = frozenset()
    touched: frozenset[str] = frozenset()
    work: list[Commit] = field(default_factory=list)
    with_plan: bool = False
    ticked: bool = False
    written_after: bool = False
    archived: bool = False
    closed: bool = False
    after: list[Commit] = field(default_factory=list)
    fixes: list[Commit] = field(default_factory=list)
    reworked_by: list[tuple[Commit, int]] = field(default_factory=list)
    rework: float | None = None
    since: tuple[int, float] = (0, 0.0)
    replaced_by: Plan | None = None

    @property
    def coverage(self) -> float:
        """Share of the named files that the work touched."""
        return len(self.touched) / max(1, len(self.targets) + len(self.missing))


def follow(history: History, plan: Plan) -> Trajectory:
    """The trajectory of a plan up to the end of its work. Raises RepositoryError."""
    window = history.after(plan.introduced.commit, rules.WINDOW_DAYS, rules.WINDOW_COMMITS)
    found = _named(history, plan, window)
    found.with_plan = bool(found.targets & plan.commit.paths)
    found.written_after = ticked(plan.sections) >= rules.TICKED_BEFORE and not found.with_plan
    found.ticked = ticked(outline(plan.last_text)) == 1.0
    found.archived = any(ARCHIVE.search(path.rpartition("/")[0]) for path in plan.paths)
    if not found.targets or len(found.targets) > rules.MOST_TARGETS:
        return found
    last = _work(found, plan, window)
    found.since = _since(history, found, window, last)
    if found.work:
        end = found.work[-1].when + rules.AFTER_DAYS * DAY
        found.after = [commit for commit in window[last + 1 :] if commit.when <= end][: rules.AFTER_COMMITS]
    return found


def _named(history: History, plan: Plan, window: Sequence[Commit]) -> Trajectory:
    """The files that a plan names. Documentation counts only where it names nothing else."""
    parents = plan.commit.parents
    tree = {entry.path for entry in history.git.tree(parents[0])} if parents else set()
    known = KnownPaths(tree | plan.commit.paths | {path for commit in window for path in commit.paths})
    work = [text for part in parts_of(plan.sections) for text in part.texts()]
    everything = [text for section in plan.sections for text in (section.title, *section.prose, *_items(section))]
    words = {path for text in work for path in paths_in(text)} or {p for text in everything for p in paths_in(text)}
    resolved = {word: known.resolve(word) for word in words}
    targets = {path for path in resolved.values() if path is not None and path not in plan.paths}
    missing = {
        word
        for word, path in resolved.items()
        if path is None and word.partition("/")[0] in known.folders and not known.ambiguous(word)
    }
    if not targets:
        targets = _by_symbols(history, plan, work or everything, parents, tree)
    code = {path for path in targets if not path.endswith(_DOCUMENT)}
    return Trajectory(
        plan, frozenset(code or targets), frozenset(path for path in missing if not path.endswith(_DOCUMENT))
    )


def _items(section: Section) -> list[str]:
    return [item.text for item in section.all_items()]


def ticked(sections: Sequence[Section]) -> float:
    """Share of the boxes of a plan that are ticked; 0 for fewer than three."""
    boxes = [item.checked for section in sections for item in section.all_items() if item.checked is not None]
    return sum(map(bool, boxes)) / len(boxes) if len(boxes) >= 3 else 0.0


def _by_symbols(history: History, plan: Plan, texts: Sequence[str], parents: Sequence[str], tree: set[str]) -> set[str]:
    """The code files before the plan that hold the symbols that it names, where few do."""
    names = {name for text in texts for symbol in symbols_in(text) if (name := distinctive(symbol))}
    if not parents or not names:
        return set()
    found: set[str] = set()
    for name in sorted(names)[:30]:
        paths = _grep(history, name, parents[0])
        if len(paths) <= 3:
            found |= {path for path in paths if path in tree and not path.endswith(_DOCUMENT)}
    return found


def _grep(history: History, name: str, commit: str) -> list[str]:
    try:
        out = history.git.output("grep", "-l", "-z", "-w", "-F", "-e", name, commit, "--")
    except CommandFailed:
        return []  # git ends with 1 where nothing is found
    return [path.decode(errors="surrogateescape").partition(":")[2] for path in out.split(b"\0") if path]


def _work(found: Trajectory, plan: Plan, window: Sequence[Commit]) -> int:
    """Fill in the commits that do the plan; the index of the last of them in the window (-1: the plan's own commit).

    The work goes on as long as a commit touches a named file for the first time or edits the plan, without a gap. It
    ends when the plan is deleted or moved to an archive, or when its file is used for another plan.
    """
    touched = set(found.targets & plan.commit.paths)
    candidates: list[int] = []
    last, when = -1, plan.commit.when
    deleted = {version.commit for version in plan.later if not version.blob}
    archived = {version.commit for version in plan.later if ARCHIVE.search(version.path.rpartition("/")[0])}
    end = plan.next.introduced.commit if plan.next else None
    for index, commit in enumerate(window):
        if commit.sha == end or index - last > rules.GAP_COMMITS or commit.when - when > rules.GAP_DAYS * DAY:
            break
        hit = found.targets & commit.paths
        edits = any(version.commit == commit.sha for version in plan.later)
        if commit.size > rules.LARGE_COMMIT and not edits:
            continue
        if hit:
            candidates.append(index)
        if hit - touched or (edits and commit.sha not in deleted):
            touched |= hit
            last, when = index, commit.when
        if commit.sha in deleted or (commit.sha in archived and not ARCHIVE.search(plan.path)):
            touched |= hit
            found.closed = True
            last = index if hit else last
            break
    found.work = [window[index] for index in candidates if index <= last]
    if found.with_plan:
        found.work.insert(0, plan.commit)
    found.touched = frozenset(touched)
    return last


def _since(history: History, found: Trajectory, window: Sequence[Commit], last: int) -> tuple[int, float]:
    """Commits and days of history after the work."""
    end = window[last].when if last >= 0 else found.plan.commit.when
    rest = window[last + 1 :]
    latest = rest[-1].when if rest else end
    return len(rest), max(0.0, latest - end) / DAY


def outcome(found: Trajectory, patches: Patches, same: Collection[str]) -> None:
    """Fill in fixes and rework from the commits after the work, except those of the `same` undertaking: the work of
    plans that came in one commit and folder with this one, as `step_2.md` with `step_1.md`."""
    read = patches.of([*found.work, *found.after])
    written = Written()
    for commit in found.work:
        written.write(read[commit.sha])
    total = written.total
    for commit in found.after:
        lost, inside = written.change(read[commit.sha])
        if commit.sha in same:
            continue
        if lost:
            found.reworked_by.append((commit, lost))
        if inside and _FIX.search(commit.subject):
            found.fixes.append(commit)
    if total:
        found.rework = sum(lost for _, lost in found.reworked_by) / total


def title_words(plan: Plan) -> set[str]:
    """The words of a plan's title and file name that say what it is about."""
    stem = re.sub(r"[\d_-]+", " ", PurePosixPath(plan.path).stem)
    words = re.findall(r"[a-z]{3,}", f"{plan.title} {stem}".lower())
    return set(words) - {"plan", "the", "and", "for", "implementation", "summary", "design", "with", "add", "step"}


def replacement(one: Trajectory, others: Sequence[Trajectory]) -> Plan | None:
    """The first of the later trajectories whose plan replaces this one's: it says so, its file was used for it, or it
    is about the same files under much the same title. A plan made from a design does not replace it."""
    for other in others:
        plan, later = one.plan, other.plan
        if _builds_on(plan, later):
            continue
        if plan.next is later or _says_so(plan, later):
            if plan.next is not later or _alike(one.targets, other.targets) >= rules.SAME_TARGETS:
                return later
        elif (
            plan.introduced.commit != later.introduced.commit
            and _alike(one.targets, other.targets) >= rules.SAME_TARGETS
            and _alike(title_words(plan), title_words(later)) >= rules.SAME_TITLE
        ):
            return later
    return None


def _builds_on(plan: Plan, later: Plan) -> bool:
    """Whether a later plan names the file of an earlier one as what it is made from, or has the name of its design."""
    name, stem = PurePosixPath(plan.path).name, PurePosixPath(plan.path).stem
    bare = re.sub(r"[_-]?(?:design|spec|requirements)$", "", stem)
    named = name in later.text and not _says_so(plan, later)
    same = bare != stem and PurePosixPath(later.path).stem.startswith(bare)
    return plan.next is not later and name != PurePosixPath(later.path).name and (named or same)


def _says_so(plan: Plan, later: Plan) -> bool:
    name = re.escape(PurePosixPath(plan.path).name)
    says = rf"(?:replac|supersed|obsolet|instead of|redesign)[^\n]{{0,120}}{name}"
    return PurePosixPath(plan.path).name != PurePosixPath(later.path).name and bool(
        re.search(says, later.text, re.IGNORECASE)
    )


def _alike(one: "frozenset[str] | set[str]", other: "frozenset[str] | set[str]") -> float:
    return len(one & other) / max(1, len(one | other))
