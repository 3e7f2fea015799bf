"""Training pairs of the planning stages from labelled plans.

The prompt is that of the stage: the task, and the context that retrieval without a model makes from the parent of the
commit that introduced the plan; nothing after it is read for it. The answer is the mapped plan in the stage's own form.
Good and fine plans give pairs. A bad one gives a preference for the plan that replaced it, under the prompt of the bad
one, if that plan can be mapped there. The rest is counted with its reason.
"""

import json
import re
from collections.abc import Iterable, Iterator
from functools import cached_property

from agent.plan.parse import parse_meta_plan, parse_part_plan
from agent.prompts.render import FRAME, render
from agent.retrieve import retrieve_by_rank
from agent.retrieve.batches import FRAMING
from harness.planners.student import StudentLimits
from models.chat import Message
from models.context import ContextPackage
from models.errors import PlanError
from models.plans import Action, Frozen, MetaPlan, MetaPlanPart, PartPlan, Target
from models.protocols import Request, Stage, Task
from models.training import Pair, PairSource, Preference, Provenance
from repos.index import IndexCache, RepositoryIndex, build_index
from repos.sources import GitSource
from training.data.sources.collections import Dropped, Offered, recipe_provenance
from training.data.sources.plan_artifacts.history import History
from training.data.sources.plan_artifacts.labels import Label, Labelled
from training.data.sources.plan_artifacts.mapping import Mapped, Repository, map_plan
from training.data.sources.plan_artifacts.places import KnownPaths
from training.data.sources.plan_artifacts.plans import Plan, kept
from training.data.sources.plan_artifacts.task import task_of
from training.data.sources.reading import is_text
from training.data.sources.repository_origin import RepositoryOrigin

WEIGHTS = {Label.GOOD: 1.0, Label.FINE: 0.8}
"""Weights of pairs: a plan whose work was fixed later is still sound, and less sure."""
UNCLEAR, FIRST, THERE_BEFORE, NO_TASK, TOO_LONG, NOT_TEXT, ALONE, REPLACEMENT, NOT_READ, UNSEEN = (
    "label unclear",
    "introduced by the first commit: there is nothing to plan from",
    "the plan, in an earlier form, was in the files before it",
    "neither header nor commit says the task",
    "prompt or answer over the window",
    "not text",
    "bad or abandoned, and nothing replaced it",
    "the plan that replaced it cannot be mapped before it",
    "the stage's parser refuses the answer",
    "the prompt shows none of the files that the plan changes",
)
RECIPE = "plan-artifacts-1"
"""Raised whenever the same histories would give other pairs."""
_SOURCE = PairSource.PLAN_ARTIFACTS


class Collector:
    """Makes the pairs of one repository's plans."""

    def __init__(self, history: History, origin: RepositoryOrigin, cache: IndexCache) -> None:
        self._history, self._origin, self._cache, self._limits = history, origin, cache, StudentLimits()

    def offers(self, labelled: Iterable[Labelled]) -> Iterator[list[Offered]]:
        """What each plan gives, in order. Raises RepositoryError, InfrastructureError."""
        known = {id(each.plan): each for each in labelled}
        for each in known.values():
            later = each.trajectory.replaced_by
            yield self._of(each, known.get(id(later)) if later is not None else None)

    def _of(self, each: Labelled, replaced_by: Labelled | None) -> list[Offered]:
        if each.label is Label.UNCLEAR:
            return [Dropped(UNCLEAR, f"{self._row(each.plan)}: {each.reason}")]
        if not each.plan.commit.parents:
            return [Dropped(FIRST, self._row(each.plan))]
        if each.label not in WEIGHTS and replaced_by is None:
            return [Dropped(ALONE, f"{self._row(each.plan)}: {each.reason}")]
        before = _Before(self._history, each.plan, self._cache)
        if before.holds_plan:
            return [Dropped(THERE_BEFORE, self._row(each.plan))]
        mapped = map_plan(each.plan, before.repository(each))
        if mapped.meta is None:
            return [Dropped(f"not mapped: {mapped.reason}", self._row(each.plan))]
        if replaced_by is not None:
            return [self._preference(each, mapped.meta, replaced_by, before)]
        answers: list[MetaPlan | PartPlan] = [mapped.meta, *mapped.part_plans.values()]
        task = task_of(each.plan, before.paths, answers, with_work=each.trajectory.with_plan)
        if task is None:
            return [Dropped(NO_TASK, self._row(each.plan))]
        return self._pairs(each, mapped, _Asked(task, before, self._origin.name, self._limits))

    def _pairs(self, each: Labelled, mapped: Mapped, asked: "_Asked") -> list[Offered]:
        assert mapped.meta is not None
        found: list[Offered] = [self._pair(each, Stage.META_PLAN, asked.meta_plan(), mapped.meta)]
        for part in mapped.meta.parts:
            plan = mapped.part_plans.get(part.id)
            if plan is None:
                found.append(Dropped(f"part not mapped: {mapped.refused[part.id]}", self._row(each.plan)))
            else:
                found.append(self._pair(each, Stage.PART_PLAN, asked.part_plan(mapped.meta, part), plan, part))
        return found

    def _pair(
        self,
        each: Labelled,
        stage: Stage,
        messages: tuple[Message, ...],
        plan: MetaPlan | PartPlan,
        part: MetaPlanPart | None = None,
    ) -> Offered:
        answer = line(plan)
        if fault := self._fault(stage, messages, answer, _targets(plan)) or _unread(answer, part):
            return Dropped(fault, self._row(each.plan))
        return Pair(
            stage=stage,
            source=_SOURCE,
            messages=messages,
            answer=answer,
            weight=WEIGHTS[each.label],
            provenance=self._provenance(each.plan),
        )

    def _preference(self, each: Labelled, meta: MetaPlan, better: Labelled, before: "_Before") -> Offered:
        other = map_plan(better.plan, before.repository(better))
        if other.meta is None or better.label in (Label.BAD, Label.ABANDONED):
            return Dropped(REPLACEMENT, f"{self._row(each.plan)}: {other.reason or better.reason}")
        task = task_of(each.plan, before.paths, [meta, other.meta], with_work=each.trajectory.with_plan)
        if task is None:
            return Dropped(NO_TASK, self._row(each.plan))
        asked = _Asked(task, before, self._origin.name, self._limits)
        messages, chosen, rejected = asked.meta_plan(), line(other.meta), line(meta)
        longest = max(chosen, rejected, key=len)
        fault = self._fault(Stage.META_PLAN, messages, longest, _targets(other.meta))
        if fault := fault or _unread(chosen) or _unread(rejected):
            return Dropped(fault, self._row(each.plan))
        return Preference(
            stage=Stage.META_PLAN,
            source=_SOURCE,
            kind="before-after",
            messages=messages,
            chosen=chosen,
            rejected=rejected,
            chosen_by=self._provenance(better.plan),
            rejected_by=self._provenance(each.plan),
        )

    def _fault(self, stage: Stage, messages: tuple[Message, ...], answer: str, targets: Iterable[Target]) -> str:
        """Why nobody should learn this answer to this prompt, "" if nothing speaks against it."""
        if not is_text(answer, *(message.content for message in messages)):
            return NOT_TEXT
        count = self._limits.tokens(stage).count
        if not _shows(messages, targets):
            return UNSEEN
        prompt = sum(count(message.content) + FRAME for message in messages)
        fits = prompt <= self._limits.max_prompt_tokens(stage) and count(answer) <= self._limits.max_output_tokens(
            stage
        )
        return "" if fits else TOO_LONG

    def _row(self, plan: Plan) -> str:
        return f"{self._origin.name}:{plan.path}@{plan.introduced.commit[:12]}"

    def _provenance(self, plan: Plan) -> Provenance:
        origin = self._origin
        return recipe_provenance(
            _SOURCE,
            self._row(plan),
            repository=origin.name,
            organisation=origin.organisation,
            domain=origin.domain,
            license=origin.license,
            commit=plan.introduced.commit,
            base_commit=plan.commit.parents[0] if plan.commit.parents else "",
        )


class _Before:
    """The repository at the parent of the commit that introduced a plan: all that a prompt may show."""

    def __init__(self, history: History, plan: Plan, cache: IndexCache) -> None:
        self._history, self._plan, self._cache = history, plan, cache
        self.commit = plan.commit.parents[0]

    @cached_property
    def paths(self) -> KnownPaths:
        """The paths of its files."""
        return KnownPaths(entry.path for entry in self._history.git.tree(self.commit))

    @property
    def holds_plan(self) -> bool:
        """Whether the file of the plan was there with much of its text."""
        old = self._history.git.read(self.commit, self._plan.path)
        return old is not None and kept(self._plan.text, old.decode("utf-8", "replace")) > 0.1

    @cached_property
    def index(self) -> RepositoryIndex:
        """Its index."""
        return build_index(GitSource(self._history.git, self.commit), self._cache)

    def repository(self, of: Labelled) -> Repository:
        """What a plan is mapped against: this state, and the files that the plan's own commits made; of a plan that
        serves as a bad example also those that it named and nobody made."""
        made = {path for commit in of.trajectory.work for path in commit.paths} - self.paths.paths
        if of.label not in WEIGHTS:
            made |= of.trajectory.missing
        return Repository(self.paths, KnownPaths(made), self._symbols, self._holds)

    def _symbols(self, path: str) -> list[str]:
        return [symbol.name for symbol in self.index.file(path).symbols] if path in self.index else []

    def _holds(self, path: str, name: str) -> bool:
        return path in self.index and re.search(rf"\b{re.escape(name)}\b", self.index.file(path).text) is not None


class _Asked:
    """The prompts for a task."""

    def __init__(self, task: str, before: _Before, repository: str, limits: StudentLimits) -> None:
        self._task = Task(text=task, repository=repository, base=before.commit)
        self._before, self._limits = before, limits

    @cached_property
    def _context(self) -> ContextPackage:
        stages = (Stage.META_PLAN, Stage.PART_PLAN, Stage.TEST_PLAN, Stage.CODE)
        budget = int(min(map(self._limits.max_prompt_tokens, stages)) * (1 - FRAMING))
        return retrieve_by_rank(self._task.text, self._before.index, budget, self._limits.coding.count).package

    def meta_plan(self) -> tuple[Message, ...]:
        """The question for the parts."""
        return self._rendered(Request(stage=Stage.META_PLAN, task=self._task, context=self._context))

    def part_plan(self, meta: MetaPlan, part: MetaPlanPart) -> tuple[Message, ...]:
        """The question for the steps of a part, with nothing changed yet, as `cra plan` asks it."""
        request = Request(stage=Stage.PART_PLAN, task=self._task, context=self._context, meta=meta, part=part)
        return self._rendered(request)

    def _rendered(self, request: Request) -> tuple[Message, ...]:
        stage = request.stage
        return render(request, self._limits.max_prompt_tokens(stage), self._limits.tokens(stage).count)


def line(plan: Frozen) -> str:
    """A plan as the prompts ask for it: one JSON object on a line."""
    return json.dumps(plan.model_dump(mode="json"), ensure_ascii=False)


def _targets(plan: MetaPlan | PartPlan) -> list[Target]:
    nodes = plan.parts if isinstance(plan, MetaPlan) else plan.steps
    return [target for node in nodes for target in node.targets]


def _shows(messages: tuple[Message, ...], targets: Iterable[Target]) -> bool:
    """Whether a prompt has at least one of the files that an answer changes, if it changes any that was there: paths
    that a prompt does not tell can only be guessed. Retrieval finds no files of languages that are not indexed."""
    there = [target.path for target in targets if target.action is not Action.CREATE]
    return not there or any(f"\n## {path} (" in message.content for message in messages for path in there)


def _unread(answer: str, part: MetaPlanPart | None = None) -> str:
    try:
        if part is None:
            parse_meta_plan(answer)
        else:
            parse_part_plan(answer, part)
    except PlanError as error:
        return f"{NOT_READ}: {error}"
    return ""
