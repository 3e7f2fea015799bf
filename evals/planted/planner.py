"""A planner that is right except for the planted fault."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from agent.edits.format import format_edits
from harness.planners import GoldPlanner
from models.edits import Edit, EditFormat
from models.judging import QuestionForm
from models.plans import MetaPlan, MetaPlanPart, PartPlan, PlanAdjustment, PlanStep, Target, TestPlan, Verdict
from models.protocols import Answer, Request, Stage
from models.tokens import estimate_tokens
from repos.index.paths import is_documentation

CorruptEdits = Callable[[PlanStep, list[Edit]], list[Edit]]
Alter = Callable[[PlanStep], PlanStep | None]


def as_coded(step: PlanStep, edits: list[Edit]) -> list[Edit]:
    """No corruption."""
    return edits


@dataclass(frozen=True)
class Plan:
    """A meta plan with the plan of each of its parts."""

    meta: MetaPlan
    parts: Mapping[str, PartPlan] = field(default_factory=dict)

    def steps(self) -> list[PlanStep]:
        """All steps in order."""
        return [step for part in self.meta.in_order() for step in self.parts[part.id].in_order()]

    def altered(self, alter: Alter) -> "Plan":
        """The plan with each step altered, or removed (None) together with the edges to it."""
        parts: dict[str, PartPlan] = {}
        for part in self.meta.parts:
            kept = [new for step in self.parts[part.id].steps if (new := alter(step)) is not None]
            ids = {step.id for step in kept}
            steps = [s.model_copy(update={"depends_on": tuple(d for d in s.depends_on if d in ids)}) for s in kept]
            if steps:
                parts[part.id] = PartPlan(part_id=part.id, steps=tuple(steps))
        return Plan(self._meta(parts), parts)

    def with_step(self, name: str, targets: tuple[Target, ...]) -> "Plan":
        """The plan with an additional part of one step."""
        step = PlanStep(id=name, description=name, targets=targets)
        part = MetaPlanPart(id=f"part-{name}", title=name, description=name, targets=targets)
        parts = {**self.parts, part.id: PartPlan(part_id=part.id, steps=(step,))}
        return Plan(MetaPlan(rationale=self.meta.rationale, parts=(*self.meta.parts, part)), parts)

    def coarse(self) -> "Plan":
        """The plan with files as targets, and one step per part."""

        def whole(plan: PartPlan) -> PartPlan:
            targets = dict.fromkeys(
                target if target.symbol is None else Target(path=target.path)
                for step in plan.in_order()
                for target in step.targets
            )
            step = PlanStep(id="step-1", description="Change it", targets=tuple(targets))
            return PartPlan(part_id=plan.part_id, steps=(step,))

        parts = {name: whole(plan) for name, plan in self.parts.items() if plan.steps}
        return Plan(self._meta(parts), parts)

    def _meta(self, parts: Mapping[str, PartPlan]) -> MetaPlan:
        def with_targets(part: MetaPlanPart) -> MetaPlanPart:
            targets = dict.fromkeys(target for step in parts[part.id].steps for target in step.targets)
            depends_on = tuple(other for other in part.depends_on if other in parts)
            return part.model_copy(update={"targets": tuple(targets), "depends_on": depends_on})

        kept = tuple(with_targets(part) for part in self.meta.parts if part.id in parts)
        return MetaPlan(rationale=self.meta.rationale, parts=kept)


def right_plan(gold: GoldPlanner) -> Plan:
    """The gold plan without tests and documentation."""
    plan = Plan(gold.plan.meta, gold.plan.part_plans)
    return plan.altered(lambda step: None if all(is_documentation(t.path) for t in step.targets) else step)


@dataclass(frozen=True)
class PlantedPlanner:
    """Answers with a plan and codes its steps correctly, except for the changes by `corrupt`.

    With `stops`, it gives up after the first part.
    """

    gold: GoldPlanner
    plan: Plan
    corrupt: CorruptEdits = as_coded
    stops: bool = False
    name: str = "planted"
    identity: str = "planted"
    edit_format: EditFormat = EditFormat.SEARCH_REPLACE
    question_form: QuestionForm = field(default_factory=QuestionForm)
    judges: bool = False
    classified: frozenset[Stage] = frozenset()
    guides_ranking: bool = False
    falls_back: bool = False
    plans: bool = True

    def max_prompt_tokens(self, stage: Stage) -> int:
        """As gold's."""
        return self.gold.max_prompt_tokens(stage)

    def max_output_tokens(self, stage: Stage) -> int:
        """As gold's."""
        return self.gold.max_output_tokens(stage)

    def count(self, text: str) -> int:
        """Tokens of a text, estimated."""
        return estimate_tokens(text)

    def answer(self, request: Request) -> Answer:
        """The answer of a planning or coding stage."""
        return Answer(text=self._text(request), model=self.name)

    def _text(self, request: Request) -> str:
        part = request.part.id if request.part else ""
        match request.stage:
            case Stage.META_PLAN:
                return self.plan.meta.model_dump_json()
            case Stage.PART_PLAN:
                return self.plan.parts[part].model_dump_json()
            case Stage.TEST_PLAN:
                return TestPlan(part_id=part).model_dump_json()
            case Stage.ADJUSTMENT:
                verdict = Verdict.STOP if self.stops else Verdict.CONTINUE
                return PlanAdjustment(verdict=verdict, reason="As planned.").model_dump_json()
            case Stage.CODE:
                assert request.step is not None
                files = {file.path: file.text for file in request.files}
                return format_edits(self.corrupt(request.step, self.gold.confined_edits(request.step, files)))
        raise ValueError(f"no fault is planted in {request.stage.value}")


def without(steps: Sequence[PlanStep]) -> Alter:
    """An alteration that removes steps."""
    return lambda step: None if any(_same(step, other) for other in steps) else step


def replaced(old: PlanStep, new: PlanStep) -> Alter:
    """An alteration that replaces one step by another."""
    return lambda step: new if _same(step, old) else step


def _same(step: PlanStep, other: PlanStep) -> bool:
    """Whether two steps are equal except for edges, which altering a plan changes."""
    return (step.id, step.targets) == (other.id, other.targets)
