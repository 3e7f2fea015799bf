"""Whether a file is a plan: a score whose parts can be shown.

Name and folder say what a file is for, headings, check boxes and numbered steps what it does, and the places it names
what it is about. A file that names no place of a repository cannot be followed, and is no plan here.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import PurePosixPath

from training.data.sources.plan_artifacts.outline import Section
from training.data.sources.plan_artifacts.places import paths_in, symbols_in

ENOUGH = 5
"""Points from which a file counts as a plan: no single sign reaches it, a name and a folder together neither."""
_EXTENSIONS = (".md", ".markdown", ".mdc", ".mdx")
_NAME = re.compile(
    r"(?:^|[^a-z])(?:plans?|todos?|roadmap|tasks?|implementation|step|phases?|milestones?|migration|refactor(?:ing)?)"
    r"(?:[^a-z]|$)"
)
_FOLDER = re.compile(
    r"(?:^|/)(?:plans?|todos?|roadmaps?|specs?|rfcs?|proposals|pr_info|\.cursor|\.agents?|\.claude|\.kiro|\.specify"
    r"|implementation|exec-?plans?|execution-?plans?)(?:/|$)"
)
_PROSE = re.compile(
    r"(?:readme|change(?:s|log)|history|news|license|contributing|code_of_conduct|security|authors|claude|agents|gemini"
    r"|skill|copilot-instructions|constitution|pull_request_template|issue_template)(?:[._-].*)?"
)
_PROSE_AT_END = re.compile(
    r"(?:^|.*[_-])(?:decisions?|tracker|process|progress|status|guide|architecture|maintenance|logs?(?:[_-]\d+)?"
    r"|investigation|checks)"
)
"""Names of records and instructions: `Decisions`, `review_log_2`, `part_d_status`."""
_NOT_HERE = re.compile(
    r"(?:^|/)(?:vendor|node_modules|third_party|testdata|fixtures?|commands|skills|templates?|prompts|agents|examples?"
    r"|site-packages|\.github|\.?conversations?|tests?|test_data|rules|knowledge_base)/"
)
WORK = re.compile(
    r"(?:(?:task|phase|step|part|iteration|milestone|stage|chunk|pr|story|slice|commit|change)\s*#?[\dA-Z]{1,3}(?:\.\d+)*"
    r"\b[:.)\s–—-]*"
    r"|\d{1,2}(?:\.\d+)*[.)]\s+)(.*)",
    re.IGNORECASE,
)
"""A heading of a unit of work: `Task 3: Title`, `Phase 2 - Title`, `4. Title`."""
_FRAME = re.compile(
    r"\b(?:implementation (?:plan|steps|tasks|order|approach)|development approach|action plan|work plan|tasks|to-?do"
    r"|milestones|rollout|files? to (?:change|modify|create)|files changed)\b",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class PlanScore:
    """The parts of a score; `total` of ENOUGH makes a plan."""

    name: int = 0
    folder: int = 0
    headings: int = 0
    boxes: int = 0
    steps: int = 0
    places: int = 0

    @property
    def total(self) -> int:
        """The sum."""
        return sum(getattr(self, part.name) for part in fields(self))

    @property
    def is_plan(self) -> bool:
        """Whether a file of this score counts as a plan."""
        return self.total >= ENOUGH and self.places > 0 and self.headings + self.boxes + self.steps > 0

    def __str__(self) -> str:
        return " ".join(f"{part.name} {getattr(self, part.name)}" for part in fields(self) if getattr(self, part.name))


def may_be_plan(path: str) -> bool:
    """Whether a file of this path is read at all: Markdown that is neither prose by its name nor somebody else's."""
    low = path.lower()
    if not low.endswith(_EXTENSIONS) or _NOT_HERE.search(low):
        return False
    stem = PurePosixPath(low).stem
    return not _PROSE.fullmatch(stem) and not _PROSE_AT_END.fullmatch(stem)


def score(path: str, sections: Sequence[Section]) -> PlanScore:
    """The score of a file: 2 for its name, 2 for its folder, up to 2 for headings of work, up to 2 for check boxes,
    1 for three numbered steps that name a place, up to 2 for the places named."""
    low = path.lower()
    items = [item for section in sections for item in section.all_items()]
    boxes = sum(item.checked is not None for item in items)
    numbered = sum(item.number is not None and bool(paths_in(item.text) or symbols_in(item.text)) for item in items)
    work = sum(bool(WORK.match(section.title)) for section in sections)
    framed = any(_FRAME.search(section.title) for section in sections)
    places = {path for section in sections for text in _texts(section) for path in paths_in(text)}
    named = len(places) or min(1, sum(len(symbols_in(text)) for section in sections for text in _texts(section)))
    return PlanScore(
        name=2 * bool(_NAME.search(PurePosixPath(low).stem)),
        folder=2 * bool(_FOLDER.search(low.rpartition("/")[0])),
        headings=2 if work >= 2 else int(bool(work) or framed),
        boxes=2 if boxes >= 3 else int(bool(boxes)),
        steps=int(numbered >= 3),
        places=2 if named >= 3 else int(bool(named)),
    )


def _texts(section: Section) -> list[str]:
    return [section.title, *section.prose, *(item.text for item in section.all_items())]
