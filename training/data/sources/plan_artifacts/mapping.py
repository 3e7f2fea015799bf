"""A plan's text mapped to MetaPlan and PartPlans by rule: headings to parts, list items to steps, paths to targets.

Strict: a plan whose parts cannot all be placed in the repository gives nothing, with the reason. Tests are left out, as
the stages' prompts ask (they are planned with each part), and so are chores (run, verify, commit). Another mapper, such
as a teacher for the plans that this one refuses, needs only to give the same `Mapped`.
"""

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from models.errors import EditError
from models.plans import Action, MetaPlan, MetaPlanPart, PartPlan, PlanStep, Target
from repos.edit_paths import check_path
from repos.index.paths import is_test_path
from training.data.sources.plan_artifacts.parts import Part, parts_of
from training.data.sources.plan_artifacts.places import KnownPaths, distinctive, paths_in, symbols_in
from training.data.sources.plan_artifacts.plans import Plan
from training.data.sources.plan_artifacts.steps import Kind, Step, listed_files, plain, shortened, steps_of

NO_PARTS, NO_PLACE, UNKNOWN_FILE, TOO_MANY, NO_STEPS, UNPLACED = (
    "no heading or list of work",
    "a part names no place",
    "a path neither existed nor was made",
    "more parts than a plan may have",
    "a part has no steps",
    "a step names no place",
)
MOST_PARTS = 32
_AFTER = re.compile(
    r"(?:depends on|requires|blocked by|after|builds on|prerequisites?:?)\s+(?:task|phase|step|part|iteration"
    r"|milestone)s?\s*#?(\d{1,3}[a-z]?(?:\.\d+)*)",
    re.IGNORECASE,
)
_NOT_TOLD = re.compile(
    r"[|<]|---|(?:run|expected|command|files?|verify|verification|commit)\b[^.]{0,20}:", re.IGNORECASE
)
_OTHER_TESTS = re.compile(
    r"(?:^|/)[^/]+(?:_test\.(?:go|py|exs?|cc|cpp|rb|dart)|[._]spec\.\w+|\.test\.\w+|Tests?\.\w+)$"
)


@dataclass(frozen=True)
class Repository:
    """What a plan is mapped against: the paths before it, those that its commits made, and the symbols of a file
    before it (none for languages that are not parsed), and whether a file held a name."""

    before: KnownPaths
    made: KnownPaths
    symbols: Callable[[str], Sequence[str]] = lambda path: ()
    holds: Callable[[str, str], bool] = lambda path, name: False


@dataclass
class Mapped:
    """A mapped plan: `meta` is None with a reason; a part that has no PartPlan has its reason in `refused`."""

    meta: MetaPlan | None = None
    reason: str = ""
    part_plans: dict[str, PartPlan] = field(default_factory=dict)
    refused: dict[str, str] = field(default_factory=dict)


class _Refused(Exception):
    """A plan or a part that cannot be mapped."""


def is_test(path: str) -> bool:
    """Whether a file belongs to the tests, in any language."""
    return is_test_path(path) or _OTHER_TESTS.search(path) is not None


def map_plan(plan: Plan, repository: Repository) -> Mapped:
    """The plan in the form of the planning stages."""
    mapper = _Mapper(repository)
    try:
        return mapper.mapped(plan)
    except _Refused as refused:
        return Mapped(reason=str(refused))


@dataclass
class _Mapper:
    repository: Repository
    created: set[str] = field(default_factory=set)
    """Files that an earlier part of the plan creates."""

    def mapped(self, plan: Plan) -> Mapped:
        found = parts_of(plan.sections)
        if not found:
            raise _Refused(NO_PARTS)
        mapped = Mapped()
        parts: list[MetaPlanPart] = []
        ids: dict[str, str] = {}
        for part in found:
            if not part.title:
                part.title = plain(plan.title) or "the task"
            steps = [step for step in steps_of(part) if step.kind is Kind.CHANGE]
            targets = self.targets_of(part, steps)
            if not targets:
                if steps and any(paths_in(step.text) for step in steps):
                    raise _Refused(NO_PLACE)
                continue  # tests, documentation of the work, chores
            id_ = f"p{len(parts) + 1}"
            before = [ids[number] for number in _named_before(part) if number in ids]
            depends = tuple(dict.fromkeys(before)) or ((parts[-1].id,) if parts and part.number else ())
            parts.append(
                MetaPlanPart(
                    id=id_,
                    title=shortened(plain(part.title), 120),
                    description=_description(part, steps),
                    targets=tuple(targets),
                    depends_on=depends,
                )
            )
            ids.setdefault(part.number, id_)
            try:
                mapped.part_plans[id_] = self.part_plan(id_, part, steps, targets)
            except _Refused as refused:
                mapped.refused[id_] = str(refused)
            self.created |= {target.path for target in targets if target.action is Action.CREATE}
        if not parts:
            raise _Refused(NO_PLACE)
        if len(parts) > MOST_PARTS:
            raise _Refused(TOO_MANY)
        mapped.meta = MetaPlan(rationale=_rationale(plan), parts=tuple(parts))
        return mapped

    def targets_of(self, part: Part, steps: Sequence[Step]) -> list[Target]:
        """The files of a part: those in its list, else those in its steps, else those in all it says."""
        listed = {each.path: each.action for each in listed_files(part)}
        words = list(listed) or _words(step.text for step in steps) or _words([part.title, *part.sections[0].prose])
        found: dict[str, Target] = {}
        for word in words:
            path = self.path_of(word)
            if path is not None and not is_test(path):
                action = listed.get(word)
                found.setdefault(path, self.target(path, action is Action.DELETE))
        return list(found.values())

    def path_of(self, word: str) -> str | None:
        """The path that a word means, before the plan or among the files that it made. Raises _Refused for a path with
        a folder that is neither: the plan then is about files that never were."""
        path = self.repository.before.resolve(word) or self.repository.made.resolve(word)
        if path is None:
            ambiguous = self.repository.before.ambiguous(word) or self.repository.made.ambiguous(word)
            if "/" in word and not ambiguous and not is_test(word) and self._looks_inside(word):
                raise _Refused(UNKNOWN_FILE)
            return None
        try:
            return check_path(path)
        except EditError as error:
            raise _Refused(UNKNOWN_FILE) from error

    def _looks_inside(self, word: str) -> bool:
        return word.partition("/")[0] in self.repository.before.folders

    def target(self, path: str, deleted: bool, symbol: str | None = None) -> Target:
        """A target with the action that the repository and the plan so far imply."""
        if path not in self.repository.before.paths:
            action = Action.MODIFY if path in self.created else Action.CREATE
        else:
            action = Action.DELETE if deleted else Action.MODIFY
        return Target(path=path, symbol=symbol if action is Action.MODIFY else None, action=action)

    def part_plan(self, id_: str, part: Part, steps: Sequence[Step], targets: Sequence[Target]) -> PartPlan:
        """The steps of a part. Raises _Refused if one cannot be placed."""
        if not steps:
            raise _Refused(NO_STEPS)
        planned: list[PlanStep] = []
        made: set[str] = set()
        for step in steps:
            places = self.places_of(step, targets)
            if places is None:
                continue  # it is about tests alone
            if not places:
                raise _Refused(UNPLACED)
            again = [
                place.model_copy(update={"action": Action.MODIFY})
                if place.action is Action.CREATE and place.path in made
                else place
                for place in places
            ]
            made |= {place.path for place in places}
            shared = [each.id for each in planned if {t.path for t in each.targets} & {place.path for place in places}]
            planned.append(
                PlanStep(
                    id=f"s{len(planned) + 1}",
                    description=step.text,
                    targets=tuple(again),
                    depends_on=tuple(shared[-1:]),
                )
            )
        if not planned:
            raise _Refused(NO_STEPS)
        return PartPlan(part_id=id_, steps=tuple(planned))

    def places_of(self, step: Step, targets: Sequence[Target]) -> list[Target] | None:
        """The targets of a step: what it names, else the file of the part that has its symbols, else the part's only
        file. None if it names tests alone, empty if nothing places it."""
        paths = [path for word in paths_in(step.text) if (path := self.path_of(word)) is not None]
        if paths and all(is_test(path) for path in paths):
            return None
        own = [path for path in dict.fromkeys(paths) if not is_test(path)]
        if not own and not paths:  # a file of the part by its bare name: `Update start-server.sh`
            said = set(re.findall(r"[\w.-]+\.\w+", step.text))
            own = [target.path for target in targets if target.path.rpartition("/")[2] in said]
        candidates = own or [target.path for target in targets]
        deleted = {target.path for target in targets if target.action is Action.DELETE}
        by_symbol = self.by_symbol(step, candidates)
        if by_symbol:
            chosen = [Target(path=path, symbol=symbol) for path, symbol in by_symbol]
            rest = [path for path in own if path not in {path for path, _ in by_symbol}]
            return chosen + [self.target(path, step.deletes) for path in rest]
        if own:
            return [self.target(path, step.deletes or path in deleted) for path in own]
        if len(candidates) > 1:
            candidates = self.by_word(step, candidates)
        return [self.target(candidates[0], candidates[0] in deleted)] if len(candidates) == 1 else []

    def by_word(self, step: Step, paths: Sequence[str]) -> list[str]:
        """The files that held the names which a step gives, where each name is in one of them only."""
        names = [name for symbol in symbols_in(step.text) if (name := distinctive(symbol))]
        held = [[path for path in paths if self.repository.holds(path, name)] for name in names]
        return list(dict.fromkeys(places[0] for places in held if len(places) == 1))

    def by_symbol(self, step: Step, paths: Sequence[str]) -> list[tuple[str, str]]:
        """Symbols that a step names and that exactly one of the files had before the plan."""
        known = {path: self.repository.symbols(path) for path in paths if path in self.repository.before.paths}
        found = []
        for symbol in symbols_in(step.text):
            places = [
                (path, name)
                for path, names in known.items()
                for name in names
                if name == symbol or name.endswith(f".{symbol}")
            ]
            if len(places) == 1:
                found.append(places[0])
        return list(dict.fromkeys(found))


def _words(texts: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(word for text in texts for word in paths_in(text)))


def _named_before(part: Part) -> list[str]:
    return [match[1].lower() for text in part.texts() for match in _AFTER.finditer(text)]


def _description(part: Part, steps: Sequence[Step]) -> str:
    """What changes and how: what the part says before its list, then its steps, as many as have room."""
    prose = [
        plain(line) for line in part.sections[0].prose if not re.match(r"\W*files?\b.*:?\W*$", line, re.IGNORECASE)
    ]
    text = " ".join(line for line in prose if line and not _NOT_TOLD.match(line))
    goal = shortened(text, 400)
    told = "; ".join(step.text.partition("\n")[0] for step in steps)
    return shortened("\n".join(filter(None, (goal, told))), 900) or plain(part.title)


def _rationale(plan: Plan) -> str:
    """Why so: the first prose under a heading such as `Approach`, or the line `Architecture:`."""
    for section in plan.sections:
        for line in section.prose:
            if match := re.match(
                r"\*\*(?:architecture|approach|solution|strategy)\W*\*\*:?\s*(.+)", line, re.IGNORECASE
            ):
                return shortened(plain(match[1]), 400)
        if re.search(r"\b(?:approach|solution|strategy|rationale)\b", section.title, re.IGNORECASE):
            text = " ".join(plain(line) for line in section.prose if not line.startswith("|"))
            if text and "testing" not in section.title.lower() and "development" not in section.title.lower():
                return shortened(text, 400)
    return ""
