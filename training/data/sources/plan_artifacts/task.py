"""The task that a plan was made for, in the words of its header or of the commit that introduced it, without the plan.

Nothing of the answer may be in it: lines that name a file which did not exist yet, and lines that a part or step of the
plan repeats, are left out.
"""

import re
from collections.abc import Collection

from harness.mining.messages import bare_subject, task_text
from models.plans import MetaPlan, PartPlan
from training.data.sources.plan_artifacts.parts import parts_of
from training.data.sources.plan_artifacts.places import KnownPaths, paths_in
from training.data.sources.plan_artifacts.plans import Plan
from training.data.sources.plan_artifacts.recognise import WORK
from training.data.sources.plan_artifacts.steps import plain, shortened

_HEADS = re.compile(
    r"(?:\d+[.)] )?\W*(?:overview|(?:executive )?summary|goals?|objectives?|problem(?: statement)?|motivation"
    r"|background|purpose|description|why|the problem|issue|feature|what)\W*",
    re.IGNORECASE,
)
_GOAL = re.compile(r"\W*\*\*(?:goal|objective|problem|purpose|feature|motivation)\W*\*\*:?\s*(.+)", re.IGNORECASE)
_OF_PLAN = re.compile(r"\*\*[\w /]{2,30}:?\*\*|>|\||<|---|status\b|date\b|author\b|created\b", re.IGNORECASE)
_TITLE_START = re.compile(
    r"(?:implementation |project |design )?(?:plan|summary|spec)\s*[:—–-]\s*(.*)", re.IGNORECASE | re.DOTALL
)
_TITLE_END = re.compile(r"(?:implementation |refactoring )?(?:plan|summary)(?: document)?$", re.IGNORECASE)
_ABOUT_PLAN = re.compile(r"\b(?:plan|plans|planning|spec|design doc)\b", re.IGNORECASE)
LONGEST = 1500
"""Characters of a task: the header of a plan, not its design."""
LEAST_WORDS = 5


def task_of(
    plan: Plan, before: KnownPaths, answers: Collection[MetaPlan | PartPlan], *, with_work: bool = False
) -> str | None:
    """The task, or None if neither header nor commit says enough.

    Of a commit that brings the work together with the plan (`with_work`) only the subject is taken: its body tells how
    it was done.
    """
    said = _told(answers)
    lines = [_allowed(line, before, said) for line in _header(plan)]
    title = "" if WORK.match(plan.title) else subject_of(plain(plan.title))
    parts = [title, *lines] if title and _may_say(title, before, said) else lines
    text = shortened("\n\n".join(dict.fromkeys(filter(None, parts))), LONGEST)
    if len(text.split()) >= LEAST_WORDS:
        return text
    body = "" if with_work else plan.commit.body
    message = task_text(f"{plan.commit.subject}\n\n{body}")
    kept = [line for line in message.splitlines() if not line.strip() or _may_say(line, before, said)]
    text = shortened("\n".join(kept).strip(), LONGEST)
    enough = len(bare_subject(text).split()) >= LEAST_WORDS
    return text if enough and not _ABOUT_PLAN.search(text.partition("\n")[0]) else None


def subject_of(title: str) -> str:
    """A title without the words that say that it is one of a plan."""
    if start := _TITLE_START.match(title):
        title = start[1]
    if end := _TITLE_END.search(title):
        title = title[: end.start()].rstrip()
        title = title[:-1] if title.endswith((":", "—", "–", "-")) else title
    return title.strip()


def _header(plan: Plan) -> list[str]:
    """Prose before the first part that says what is wanted."""
    found: list[str] = []
    first = {id(section) for part in parts_of(plan.sections) for section in part.sections}
    for section in plan.sections:
        if id(section) in first:
            break
        goals = [plain(match[1]) for line in section.prose if (match := _GOAL.match(line))]
        if goals or _HEADS.fullmatch(section.title):
            prose = [plain(line) for line in section.prose if not _OF_PLAN.match(line)]
            found += goals or [" ".join(prose)]
        elif section.level <= 1:
            found.append(" ".join(plain(line) for line in section.prose if not _OF_PLAN.match(line)))
    return [line for line in found if line]


def _told(answers: Collection[MetaPlan | PartPlan]) -> list[str]:
    texts: list[str] = []
    for answer in answers:
        if isinstance(answer, MetaPlan):
            texts += [part.title for part in answer.parts if len(answer.parts) > 1]
            texts += [line for part in answer.parts for line in part.description.split("\n")]
        else:
            texts += [step.description for step in answer.steps]
    return [_essence(text) for text in texts if len(text) >= 25]


def _allowed(line: str, before: KnownPaths, said: list[str]) -> str:
    """The sentences of a line that may be said."""
    return " ".join(each for each in re.split(r"(?<=[.!?:])\s+", line) if _may_say(each, before, said))


def _may_say(line: str, before: KnownPaths, said: list[str]) -> bool:
    if any("/" in path and before.resolve(path) is None and not before.ambiguous(path) for path in paths_in(line)):
        return False
    essence = _essence(line)
    return not any(text in essence or (len(essence) >= 25 and essence in text) for text in said)


def _essence(text: str) -> str:
    return re.sub(r"[\W_]+", " ", text).lower().strip()
