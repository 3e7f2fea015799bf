"""The stage at which a failed attempt went wrong, found by experiment.

    1. The gold coder carries out the plan, confined to the plan's targets. If that passes, the plan was sufficient, and
       the coder failed.
    2. If it fails, the missing gold steps are added. If it still fails, the tests themselves cannot be trusted.
    3. Of the missing steps, only those that the context showed are added. If that fails, no planner could have passed
       with this context, and retrieval failed. If it passes, the plan failed.

An alternative solution is no fault: where a plan that misses something also targets what the gold patch leaves alone,
the missing steps are added to the model's own work, and unless that passes the attribution is undetermined.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from harness.attribution.coverage import unseen
from harness.attribution.experiments import AttributionExperiments
from harness.attribution.steps import PlannedStep, planned_steps
from models.attribution import Attribution, CodePlace, Evidence, Label, attributable
from models.files import Overlay
from models.outcomes import OutcomeKind
from models.plans import Action, PlanStep, Target
from models.solution import Solution, StopReason
from repos.index.paths import is_documentation

VERSION = 1
"""Raised whenever an attribution could come out differently."""

PLANNED = "the plan with the gold coder"
TAKEN = "the steps that were taken, with the gold coder"
RESTORED = "the plan and the gold steps it misses"
SHOWN = "the plan and the gold steps it misses that the context showed"
MENDED = "the model's work and the gold steps that the plan misses"
TRIMMED = "the model's work without some of what the plan wanted beside the gold patch"

LabelReason = tuple[Label, str]


def attribute(
    lab: AttributionExperiments, solution: Solution, work: Overlay, outcome: OutcomeKind, planned: bool = True
) -> Attribution:
    """Attribute a failed attempt to a stage.

    `work` are the files that the attempt left, `outcome` is how it ended, `planned` whether its planner plans at all.
    Raises ValueError for an outcome that is not a model's failure, and whatever judging a candidate raises.
    """
    if not attributable(outcome):
        raise ValueError(f"{outcome.value} is no failure to attribute to a stage")
    case = _Case(lab, solution, work, outcome, planned)
    label, reason = case.decide()
    return Attribution(label=label, reason=reason, version=VERSION, evidence=case.evidence())


@dataclass
class _Case:
    lab: AttributionExperiments
    solution: Solution
    work: Overlay
    outcome: OutcomeKind
    planned: bool

    def __post_init__(self) -> None:
        self.steps: list[PlannedStep] = planned_steps(self.solution, self.lab.gold.gold)
        self.missing: list[PlanStep] = []

    def evidence(self) -> Evidence:
        hidden = [place for step in self.lab.own_steps for place in self._unseen(step)]
        return Evidence(
            outcome=self.outcome,
            retrieved=self.solution.context is not None,
            unseen=tuple(dict.fromkeys(hidden)),
            omitted=_places(target for step in self.missing for target in step.targets),
            foreign=_places(self.foreign),
            failed_steps=tuple(step.name for step in self.steps if step.failed),
            experiments=tuple(self.lab.experiments),
        )

    def decide(self) -> LabelReason:
        if self.outcome is OutcomeKind.PLAN_MALFORMED:
            return Label.PLAN, f"an answer of a planning stage could not be read: {self.solution.detail}"
        if self.outcome is OutcomeKind.PROMPT_TOO_LONG:
            return Label.UNDETERMINED, f"a stage could not be asked: {self.solution.detail}"
        steps = [each.step for each in self.steps]
        if not self.planned:
            steps += [step for step in self.lab.own_steps if all(_creates(target) for target in step.targets)]
        changes, self.missing = self.lab.coded(steps)
        if self.lab.try_out(PLANNED, changes).passed:
            return self._sufficient() if self.planned else (Label.CODE, "the files it was given were sufficient")
        if not self.lab.try_out(RESTORED, self.lab.coded(steps, self.missing).changes).passed:
            return Label.UNDETERMINED, "the gold patch itself does not pass now"
        hidden = [step for step in self.missing if self._unseen(step)]
        if not self.planned:
            return Label.RETRIEVAL, f"without {_described(self.missing)} no coder can pass"
        shown = [step for step in self.missing if step not in hidden]
        if hidden and not self.lab.try_out(SHOWN, self.lab.coded(steps, shown).changes).passed:
            return Label.RETRIEVAL, f"without {_described(hidden)}, which the context did not show, no plan can pass"
        return self._insufficient(shown)

    def _sufficient(self) -> LabelReason:
        """The gold coder passes with this plan: was it carried out, and did it demand what breaks the tests?"""
        if any(not each.taken for each in self.steps):
            taken = [each.step for each in self.steps if each.taken]
            if not self.lab.try_out(TAKEN, self.lab.coded(taken).changes).passed:
                return self._not_taken()
        strange = [target for target in self.foreign if {target.path, target.new_path} & self.work.keys()]
        lost = [target for target in strange if target.action in (Action.DELETE, Action.RENAME)]
        if self._breaks(lost):
            return Label.PLAN, f"what breaks it is the loss of {_listed(_places(lost))}, which the plan asked for"
        if strange != lost and self._breaks(strange):
            described = _listed(_places(strange))
            return Label.UNDETERMINED, f"what breaks it is {described}: not to be asked for, or badly coded"
        return Label.CODE, "the plan was sufficient: with it the gold coder passes"

    def _breaks(self, targets: Sequence[Target]) -> bool:
        """Whether the model's work passes without its changes at some targets."""
        trimmed = self.lab.without(self.work, targets)
        return trimmed != self.work and self.lab.try_out(TRIMMED, trimmed).passed

    def _not_taken(self) -> LabelReason:
        """A sufficient plan was abandoned, or cut short, before all necessary steps were taken."""
        failed = [each.name for each in self.steps if each.failed]
        match self.solution.stopped_reason:
            case StopReason.TOO_MANY_PARTS | StopReason.TOO_MANY_STEPS:
                return Label.PLAN, f"the plan is too long to be carried out: {self.solution.detail}"
            case StopReason.STOPPED if failed:
                return Label.CODE, f"step {failed[0]} of a sufficient plan failed, and the planner stopped"
        if failed:
            return Label.UNDETERMINED, f"a sufficient plan was revised to an insufficient one when {failed[0]} failed"
        return Label.PLAN, "the planner gave up steps that are needed, though none had failed"

    def _insufficient(self, shown: Sequence[PlanStep]) -> LabelReason:
        """The gold coder fails with this plan, and would pass with the missing steps that the context showed."""
        omission = f"the plan does not reach {_described(shown)}, without which the gold coder fails"
        if not self.foreign:
            return Label.PLAN, omission
        if self.lab.try_out(MENDED, self.lab.added_to(self.work, self.missing)).passed:
            return Label.PLAN, f"{omission}; with it, the model's own work passes"
        if self._misaligned():
            return Label.PLAN, f"{omission}; nothing that it does target is part of the change"
        return Label.UNDETERMINED, f"the plan may solve it another way, by {_listed(_places(self.foreign))}"

    def _misaligned(self) -> bool:
        """Whether the plan has nothing in common with the gold patch, and creates no file that could replace one."""
        targets = [
            t for each in self.steps for t in each.step.targets if self.lab.gold.gold.side_of(t.path) == "production"
        ]
        made = any(_creates(target) for target in self.foreign)
        makes = any(_creates(target) for step in self.missing for target in step.targets)
        return not (made and makes) and not any(self.lab.gold.reaches(target) for target in targets)

    @property
    def foreign(self) -> list[Target]:
        """Targets of any step in production code where the gold patch changes nothing."""
        targets = dict.fromkeys(target for each in self.steps for target in each.step.targets)
        return [
            target
            for target in targets
            if self.lab.gold.gold.side_of(target.path) == "production" and not self._known(target)
        ]

    def _known(self, target: Target) -> bool:
        return self.lab.gold.reaches(target) or not self.planned

    def _unseen(self, step: PlanStep) -> list[CodePlace]:
        return unseen(step, self.lab.gold.plan, self.solution.context)


def _creates(target: Target) -> bool:
    return target.action is Action.CREATE and target.symbol is None


def _places(targets: Iterable[Target]) -> tuple[CodePlace, ...]:
    return tuple(dict.fromkeys(CodePlace(path=t.path, symbol=t.symbol) for t in targets))


def _described(steps: Sequence[PlanStep]) -> str:
    """The targets of steps, in words; documentation is omitted where there is code."""
    targets = [target for step in steps for target in step.targets]
    return _listed(_places([target for target in targets if not is_documentation(target.path)] or targets))


def _listed(places: Sequence[CodePlace]) -> str:
    shown = ", ".join(str(place) for place in places[:3])
    return shown + (f" and {len(places) - 3} more" if len(places) > 3 else "")
