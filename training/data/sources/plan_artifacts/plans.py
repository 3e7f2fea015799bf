"""The plans of a history: plan files with their versions, each read where it was introduced."""

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property

from repos.objects import objects_of
from training.data.sources.plan_artifacts.history import Commit, FileLife, History, Version, lives
from training.data.sources.plan_artifacts.outline import Section, outline
from training.data.sources.plan_artifacts.recognise import PlanScore, may_be_plan, score

LARGEST = 400_000
"""Bytes of the longest file that is read: the longest plans that people wrote have some 150,000."""
SAME = 0.3
"""Share of a plan's lines that a later version must keep to be the same plan: fewer, and the file was used again."""
TOO_LARGE, BINARY, NO_PLAN, COPY, UNREACHABLE, MOVED, RETURNED, REWRITTEN = (
    "file too large",
    "binary file",
    "no plan by its content",
    "copy of a plan that is known",
    "plan that HEAD does not reach",
    "plan that was moved",
    "plan that was deleted and came back",
    "plan whose file was used again",
)
_BOX = re.compile(r"\[[ xX~!/-]\]")
_NUMBERS = re.compile(r"[\W_]+")


@dataclass
class Plan:
    """A plan: the version that introduced it, its later versions, and the plan that its file was used for next."""

    introduced: Version
    commit: Commit
    text: str
    score: PlanScore
    last_text: str
    later: list[Version] = field(default_factory=list)
    next: "Plan | None" = None
    reached: bool = True

    @property
    def path(self) -> str:
        """Its path when it was introduced."""
        return self.introduced.path

    @cached_property
    def sections(self) -> list[Section]:
        """Its outline."""
        return outline(self.text)

    @property
    def title(self) -> str:
        """Its first heading, "" if it has none."""
        return next((section.title for section in self.sections if section.title), "")

    @property
    def paths(self) -> frozenset[str]:
        """All paths that it had."""
        return frozenset({self.path, *(version.path for version in self.later)})


@dataclass
class Found:
    """The plans of a history, oldest first, and counts of what was met on the way."""

    plans: list[Plan]
    met: Counter[str]


def find_plans(history: History) -> Found:
    """Every plan in a history. Raises RepositoryError if an object cannot be read."""
    met: Counter[str] = Counter()
    found = lives(history.commits, may_be_plan)
    texts = _Texts(history, found)
    plans: list[Plan] = []
    known: set[tuple[str, str]] = set()
    for life in found:
        for plan in _plans_of(history, life, texts, met):
            key = (plan.path, _essence(plan.text))
            if key in known:
                met[COPY] += 1
                continue
            known.add(key)
            met[UNREACHABLE] += not plan.reached
            plans.append(plan)
        met[MOVED] += bool(life.moved)
        met[RETURNED] += bool(life.returned)
    plans.sort(key=lambda plan: history.position[plan.introduced.commit])
    return Found(plans, +met)


class _Texts:
    """Contents of blobs, and why one has none."""

    def __init__(self, history: History, found: list[FileLife]) -> None:
        blobs = dict.fromkeys(version.blob for life in found for version in life.versions if version.blob)
        self.texts: dict[str, str] = {}
        self.faults: dict[str, str] = {}
        for blob, data in objects_of(history.git.directory).read(list(blobs), LARGEST):
            if data is None:
                self.faults[blob] = TOO_LARGE
            elif b"\0" in data:
                self.faults[blob] = BINARY
            else:
                self.texts[blob] = data.decode("utf-8", "replace").replace("\ufeff", "")


def _plans_of(history: History, life: FileLife, texts: _Texts, met: Counter[str]) -> Iterator[Plan]:
    """The plans that a file was, one after the other; the first version that reads as a plan introduces each."""
    versions = [version for version in life.versions if version.blob in texts.texts]
    reached = [version for version in versions if version.commit in history.of_head]
    faults = {texts.faults[version.blob] for version in life.versions if version.blob in texts.faults}
    met.update(faults)
    current: Plan | None = None
    for version in reached or versions:
        text = texts.texts[version.blob]
        if current is not None and kept(current.text, text) >= SAME:
            current.later.append(version)
            current.last_text = text
            continue
        points = score(version.path, outline(text))
        if not points.is_plan:
            if current is not None:
                current.later.append(version)
            continue
        plan = Plan(version, history.commit(version.commit), text, points, text, reached=bool(reached))
        if current is not None:
            met[REWRITTEN] += 1
            current.next = plan
            yield current
        current = plan
    if current is not None:
        _with_end(current, life)
        yield current
    elif versions:
        met[NO_PLAN] += 1


def _with_end(plan: Plan, life: FileLife) -> None:
    """Add the deletion of the file, if that was the end of it."""
    if not life.versions[-1].blob:
        plan.later.append(life.versions[-1])


def lines_of_plan(text: str) -> list[str]:
    """The lines of a plan that are not blank, without check marks: ticking changes nothing."""
    return [line for raw in text.splitlines() if (line := _BOX.sub("[]", raw).strip())]


def kept(old: str, new: str) -> float:
    """Share of the lines of a plan that a later version has."""
    before, after = Counter(lines_of_plan(old)), Counter(lines_of_plan(new))
    return (before & after).total() / max(1, before.total())


def _essence(text: str) -> str:
    return _NUMBERS.sub("", "".join(lines_of_plan(text)))
