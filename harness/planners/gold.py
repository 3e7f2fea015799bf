"""The gold planner: each stage is answered from the gold patch, in text like a model's."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from agent.edits.format import format_edits
from agent.retrieve.judgements import write_precision, write_scope
from harness.packages.gold_patch import GoldFileChange, GoldPatch
from harness.planners.confine import contradicts, hunks_in, import_hunks, with_helpers
from harness.planners.gold_judgements import GoldJudge
from harness.planners.gold_plan import GoldPlan, derive_plan
from harness.planners.hunks import FileHunks
from harness.planners.pieces import changes_inside
from harness.planners.rationale import of_results
from harness.planners.rewrite import recreate, rewrite
from harness.planners.student import StudentLimits
from models.chat import prompt_text
from models.control import marked
from models.edits import CreateFile, DeleteFile, Edit, EditFormat, RenameFile
from models.plans import Action, Frozen, PartPlan, PlanAdjustment, PlanStep, Target, TestPlan, Verdict
from models.protocols import Answer, Request, Stage

VERSION = "gold-6"
"""Raised whenever an answer or a prompt would differ."""


@dataclass(frozen=True)
class _Work:
    """A part of a file's change: some hunks, or all (None); `done` are those made before, if known."""

    change: GoldFileChange
    action: Action
    hunks: frozenset[int] | None
    done: frozenset[int] | None = None

    def goal(self, now: str) -> str:
        """The target text of the file, which exists before and after."""
        assert self.change.before is not None and self.change.after is not None
        after = self.change.after.text
        if self.hunks is None:
            return after
        file = FileHunks(self.change.path, self.change.before.text, after)
        if self.done is not None and now in (file.text(self.done), file.text(self.done | self.hunks)):
            return file.text(self.done | self.hunks)
        done = file.applied_in(now)
        return after if done is None else file.text(done | self.hunks)


class GoldPlanner:
    """Judges, plans and codes from a gold patch, through the interface of a model.

    It can also code another planner's steps: then it makes only the part of the gold patch within the targets of the
    step (and the imports of the file), which distinguishes a bad plan from a bad coder.
    """

    name = "gold"
    judges = True
    classified: frozenset[Stage] = frozenset()
    guides_ranking = False
    falls_back = False
    plans = True

    def __init__(self, gold: GoldPatch, edit_format: EditFormat, limits: StudentLimits | None = None) -> None:
        """`limits` are those of the model to be trained on the prompts; None: the stages' own, tokens estimated."""
        self.gold = gold
        self.edit_format = edit_format
        self.limits = limits or StudentLimits()
        self.question_form = self.limits.question_form
        self._judge = GoldJudge(gold)
        changes = [*gold.production, *gold.tests]
        self._by_path = {change.path: change for change in changes}
        self._by_old_path = {change.old_path: change for change in changes if change.old_path}

    @cached_property
    def plan(self) -> GoldPlan:
        """The plan behind the patch."""
        return derive_plan(self.gold)

    @cached_property
    def _own_work(self) -> "dict[tuple[Target, ...], list[_Work]]":
        return _own_work(self.plan)

    @property
    def identity(self) -> str:
        """Hash of the gold patch, the edit format, the templates, the student's limits and this planner's version."""
        from agent.prompts import REVISION

        text = "\0".join((VERSION, self.edit_format.value, REVISION, self.gold.identity, self.limits.identity))
        return f"{VERSION}-{hashlib.sha256(text.encode()).hexdigest()}"

    def max_prompt_tokens(self, stage: Stage) -> int:
        """Most tokens of a prompt that the student is sent."""
        return self.limits.max_prompt_tokens(stage)

    def max_output_tokens(self, stage: Stage) -> int:
        """The limit of the student's answer."""
        return self.limits.max_output_tokens(stage)

    def count(self, text: str) -> int:
        """Tokens of a text, by the tokenizer of the student's coder, as a model's planner counts."""
        return self.limits.coding.count(text)

    def answer(self, request: Request) -> Answer:
        """The answer of any stage, with the prompt that a model would have been sent."""
        from agent.prompts import render  # the templates' library is loaded on first use

        text = self._text(request)
        tokens = self.limits.tokens(request.stage)
        messages = marked(render(request, self.max_prompt_tokens(request.stage), tokens.count), tokens.control)
        return Answer(
            text=text,
            model=self.name,
            prompt=prompt_text(messages),
            prompt_tokens=sum(tokens.counter.text(message.content) for message in messages),
            completion_tokens=tokens.count(text),
        )

    def _text(self, request: Request) -> str:
        part = request.part.id if request.part else ""
        match request.stage:
            case Stage.TASK_ANALYSIS:
                return _line(self._judge.analysis(request.task.text, request.overview))
            case Stage.SCOPE:
                return write_scope(self._judge.scope(request.candidates).files, request.answers)
            case Stage.PRECISION:
                return write_precision(self._judge.precision(request.outlines).symbols, request.answers)
            case Stage.META_PLAN:
                return _line(self.plan.meta)
            case Stage.PART_PLAN:
                return _line(self.plan.part_plans.get(part, PartPlan(part_id=part)))
            case Stage.TEST_PLAN:
                return _line(self.plan.test_plans.get(part, TestPlan(part_id=part)))
            case Stage.CODE:
                assert request.step is not None
                files = {file.path: file.text for file in request.files}
                return format_edits(self.edits(request.step, files))
            case Stage.ADJUSTMENT:
                parts = request.meta.in_order() if request.meta else ()
                reason = of_results(part, request.results, parts)
                return _line(PlanAdjustment(verdict=Verdict.CONTINUE, reason=reason))

    def edits(self, step: PlanStep, files: dict[str, str | None]) -> list[Edit]:
        """The gold patch's edits for a step's targets, given the texts of their files (None: no such file).

        Empty if the files have them already, or the gold patch has nothing there.
        """
        return self._made(self._own_work.get(step.targets) or self._work_in(step.targets), files)

    def confined_edits(self, step: PlanStep, files: dict[str, str | None]) -> list[Edit]:
        """`edits`, for a step of another planner, even if this one has a step with the same targets."""
        return self._made(self._work_in(step.targets), files)

    def reaches(self, target: Target) -> bool:
        """Whether the gold patch changes anything, except the imports of the file, within another planner's target."""
        return any(
            work.hunks is None or work.action is Action.RENAME or bool(work.hunks - import_hunks(work.change))
            for work in self._work_in((target,))
        )

    def _made(self, work: Sequence[_Work], files: dict[str, str | None]) -> list[Edit]:
        files = dict(files)
        edits: list[Edit] = []
        for each in work:
            edits += self._edits(each, files)
            if edits and isinstance(edits[-1], RenameFile):
                files[edits[-1].new_path], files[edits[-1].path] = files[edits[-1].path], None
        return edits

    def _work_in(self, targets: tuple[Target, ...]) -> list[_Work]:
        """The gold patch's changes within another planner's targets, file by file.

        Empty where a target is to be removed that the gold patch keeps, or moved elsewhere. New symbols of a file that
        the changes use are included: a coder may write a helper that no plan names.
        """
        found: dict[tuple[str, bool, Action], _Work] = {}
        for target in targets:
            change = self._by_path.get(target.new_path or target.path) or self._by_old_path.get(target.path)
            if change is None or contradicts(change, target):
                continue
            action, hunks = _file_action(target), hunks_in(change, target)
            key = (change.path, action is not Action.RENAME, action)
            if (known := found.get(key)) is not None:
                hunks = None if hunks is None or known.hunks is None else hunks | known.hunks
            found[key] = _Work(change, action, hunks if hunks is None else with_helpers(change, hunks))
        return [found[key] for key in sorted(found)]

    def _edits(self, work: _Work, files: dict[str, str | None]) -> list[Edit]:
        change = work.change
        now, old = files.get(change.path), files.get(change.old_path or "")
        if change.after is None:
            return [DeleteFile(path=change.path)] if now is not None else []
        if change.old_path and work.action is Action.DELETE:
            return [DeleteFile(path=change.old_path)] if old is not None else []
        edits: list[Edit] = []
        if change.old_path and work.action is Action.RENAME and now is None and old is not None:
            edits, now = [RenameFile(path=change.old_path, new_path=change.path)], old
        after, executable = change.after.text, change.after.executable
        if now is None:
            return [CreateFile(path=change.path, content=after, executable=executable)]
        if change.before is None or not changes_inside(change):
            same = now == after and (change.before is None or change.before.text != after)
            return [*edits, *([] if same else recreate(change.path, after, executable))]
        return [*edits, *rewrite(change.path, now, work.goal(now), self.edit_format, executable)]


def _line(answer: Frozen) -> str:
    """An answer as the examples in the prompts are written: on one line, with their spaces and order of keys."""
    return json.dumps(answer.model_dump(mode="json"), ensure_ascii=False)


def _file_action(target: Target) -> Action:
    """The action on the file itself: creating, recreating or removing a symbol modifies it."""
    keeps = target.symbol is not None or target.action is Action.CREATE
    return Action.MODIFY if keeps else target.action


def _own_work(plan: GoldPlan) -> dict[tuple[Target, ...], list[_Work]]:
    """The work of each step of the gold planner's own plan, by its targets.

    It includes what was done before the step, which matters where two combinations of hunks give the same text.
    """
    done: dict[str, frozenset[int]] = {}
    own: dict[tuple[Target, ...], list[_Work]] = {}
    for plans in (plan.part_plans, plan.test_plans):
        for part in plan.meta.parts:
            for step in plans[part.id].in_order():
                own[step.targets] = []
                for piece in plan.work[step.targets]:
                    before = done.get(piece.change.path, frozenset())
                    action = _file_action(piece.targets[0])
                    own[step.targets].append(_Work(piece.change, action, piece.hunks, before))
                    done[piece.change.path] = before | (piece.hunks or frozenset())
    return own
