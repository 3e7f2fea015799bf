"""The units of work of a plan (`Task 3: ...`, `Phase 2 - ...`), and what of its text is not work."""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from training.data.sources.plan_artifacts.outline import Item, Section
from training.data.sources.plan_artifacts.recognise import WORK

_LIST = re.compile(
    r"(?:\d+[.)] )?\W*(?:implementation(?: (?:plan|steps|tasks|order))?|action plan|tasks?|to-?dos?|steps|plan"
    r"|work items|proposed changes|changes|migration steps|files? to (?:change|modify|create|be modified)"
    r"|files changed)\W*",
    re.IGNORECASE,
)
_STATE = re.compile(r"\[[\w /-]{1,20}\]|[✅✓☑❌⏳🚧]")
"""Marks of state in a heading: `[Final]`, `[COMPLETED]`, ticks."""
_NO_WORK = re.compile(
    r"\b(?:overview|summary|background|context|risks?|open questions|success criteria|out of scope|future|timeline"
    r"|effort|references|conventions|testing strategy|post-completion|acceptance criteria|notes)\b",
    re.IGNORECASE,
)


@dataclass
class Part:
    """A unit of work. `number` as the plan writes it (`3`, `2.1`, `4a`), "" if it has none."""

    title: str
    number: str = ""
    sections: list[Section] = field(default_factory=list)

    def items(self) -> list[Item]:
        """Its list items, those of its sub-headings included, outermost only."""
        return [item for section in self.sections for item in section.items]

    def texts(self) -> Iterator[str]:
        """Everything it says, heading first; no code."""
        yield self.title
        for index, section in enumerate(self.sections):
            if index:
                yield section.title
            yield from section.prose
            for item in section.all_items():
                yield item.text


def parts_of(sections: Sequence[Section]) -> list[Part]:
    """The units of work of a plan: the headings that are numbered as work, of the level that has most of them.

    A plan without such headings has one part, without title and number: its lists under a heading like `Tasks`. None if
    it has no such list either.
    """
    levels = Counter(section.level for section in sections if _unit(section))
    if levels:
        most = max(levels.values())
        return list(_units(sections, min(level for level, count in levels.items() if count == most)))
    lists = [section for section in sections if section.items and _LIST.fullmatch(section.title)]
    return [Part("", "", lists)] if lists else []


def _unit(section: Section) -> bool:
    match = WORK.match(section.title)
    return match is not None and section.level > 0 and not (match[1] and _NO_WORK.fullmatch(match[1].strip("* ")))


def _units(sections: Sequence[Section], level: int) -> Iterator[Part]:
    current: Part | None = None
    for section in sections:
        if section.level <= level and current is not None:
            yield current
            current = None
        if section.level == level and _unit(section):
            match = WORK.match(section.title)
            assert match is not None
            number = re.search(r"\d{1,3}[a-zA-Z]?(?:\.\d+)*", section.title[: match.start(1)])
            title = _STATE.sub("", match[1]).strip(" *:") or section.title
            current = Part(title, number[0].lower() if number else "", [section])
        elif current is not None:
            current.sections.append(section)
    if current is not None:
        yield current


def is_no_work(title: str) -> bool:
    """Whether a heading inside a part begins what is not to be done: background, verification, risks."""
    return bool(_NO_WORK.search(title) or re.match(r"verif|accept|expected|test(?:s|ing)?\b", title, re.IGNORECASE))
