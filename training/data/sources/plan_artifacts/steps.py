"""The steps of a part as the plan's text gives them: their words, without chores, and the files listed for the part."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from models.plans import Action
from training.data.sources.plan_artifacts.outline import Item, Section
from training.data.sources.plan_artifacts.parts import Part, is_no_work
from training.data.sources.plan_artifacts.places import paths_in
from training.data.sources.plan_artifacts.recognise import WORK

_LABEL = re.compile(
    r"\W*(create|new|add|modify|update|edit|change|delete|remove|test|tests|rename|move|files?|reference)\b[^`:]{0,20}"
    r"(?::|(?=\s+`))",
    re.IGNORECASE,
)
_ACTIONS = {"create": Action.CREATE, "new": Action.CREATE, "delete": Action.DELETE, "remove": Action.DELETE}
_STEP_HEAD = re.compile(r"^(?:step|task)?\s*[\d.]+[a-z]?\s*[:.)–—-]*\s*", re.IGNORECASE)
_MARKS = re.compile(r"\*\*|^\W*\[[ xX]\]\s*|(?:(?<!\s)\s+)?[✅✓☑❌⏳]\s*|<br\s*/?>")
_CHORE = re.compile(
    r"(?:re-?)?(?:run|runs|verify|commit|check|confirm|expected|mark|move (?:this|the) plan|manual|format|lint|ensure"
    r"|make sure|all (?:unit )?tests|push|open a pr|review|gate|smoke|build and|tick|stage|git |document (?:that|any)"
    r"|must pass|no (?:code )?changes?\b|test manually)",
    re.IGNORECASE,
)
_TESTS = re.compile(
    r"(?:write|add|update|create|extend|adjust|fix|implement|port)?\s*(?:the |a |some |new |failing |unit |regression "
    r"|integration |e2e |existing |more |comprehensive |table-driven |`[^`]*` )*"
    r"(?:tests?|test cases?|coverage|mocks?)\b",
    re.IGNORECASE,
)
_NEVER = re.compile(r"\b(?:skipped|not needed|n/a|won't do|deferred)\b", re.IGNORECASE)
_LONGEST = 700
"""Characters of a step's words: longer ones hold a design, or code, and are cut at a line."""


class Kind(StrEnum):
    """What a list item of a part is."""

    CHANGE = "change"
    TESTS = "tests"
    CHORE = "chore"


@dataclass(frozen=True)
class Step:
    """A step in the plan's words. `deletes`: it says that its files go."""

    text: str
    kind: Kind
    deletes: bool = False


@dataclass(frozen=True)
class Listed:
    """A file that a part lists, with the action that the list says, if it says one."""

    path: str
    action: Action | None


def listed_files(part: Part) -> list[Listed]:
    """The files of a part's own list (`Create: a.py`), in order, each once."""
    found: dict[str, Listed] = {}
    for section in part.sections:
        for item in _file_items(section):
            label = _LABEL.match(item.text)
            action = _ACTIONS.get(label[1].lower()) if label else None
            for path in paths_in(item.text):
                found.setdefault(path, Listed(path, action))
        for line in section.prose:
            if label := _LABEL.match(line):
                for path in paths_in(line):
                    found.setdefault(path, Listed(path, _ACTIONS.get(label[1].lower())))
    return list(found.values())


def steps_of(part: Part) -> list[Step]:
    """The steps of a part: its headings of work where it has several, else its boxes, its numbers or its bullets."""
    inner = [section for section in part.sections[1:] if WORK.match(section.title)]
    if len(inner) > 1:
        return [_step(section.title, "\n".join(_said(section))) for section in inner]
    items = [item for section in part.sections for item in _step_items(section)]
    for chosen in (
        [item for item in items if item.checked is not None],
        [item for item in items if item.number is not None],
        items,
    ):
        if chosen:
            return [_step(*_first_and_rest(item)) for item in chosen if not _NEVER.search(item.text)]
    return []


def _said(section: Section) -> list[str]:
    return [*section.prose, *(item.whole for item in section.items)]


def _step_items(section: Section) -> Iterator[Item]:
    if is_no_work(section.title):
        return
    listed = {id(item) for item in _file_items(section)}
    yield from (item for item in section.items if id(item) not in listed)


def _file_items(section: Section) -> list[Item]:
    """Items without a box that are hardly more than a path with a word before it."""
    return [
        item
        for item in section.items
        if item.checked is None and item.number is None and paths_in(item.text) and _LABEL.match(item.text)
    ]


def _first_and_rest(item: Item) -> tuple[str, str]:
    return item.text, "\n".join(f"- {line}" for child in item.children for line in child.whole.split("\n"))


def _step(first: str, rest: str) -> Step:
    head = plain(_STEP_HEAD.sub("", plain(first)))
    kind = Kind.CHORE if _CHORE.match(head) else Kind.TESTS if _TESTS.match(head) else Kind.CHANGE
    text = head + ("\n" + "\n".join(filter(None, map(plain, rest.split("\n")))) if rest else "")
    return Step(
        shortened(text), kind, bool(re.match(r"(?:delete|remove) (?:the )?(?:file|module|package|`)", head, re.I))
    )


def plain(text: str) -> str:
    """Text without bold marks, boxes and ticks."""
    return _MARKS.sub(" ", text).replace("  ", " ").strip(" \t")


def shortened(text: str, most: int = _LONGEST) -> str:
    """A text of at most so many characters, cut after a line or a word."""
    if len(text) <= most:
        return text
    cut = text[:most]
    end = cut.rfind("\n")
    return (cut[:end] if end > most // 2 else cut[: cut.rfind(" ")] if " " in cut else cut).rstrip()
