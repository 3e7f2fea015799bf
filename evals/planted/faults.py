"""The faults that can be planted in an attempt at an instance."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from itertools import islice

from evals.planted.contexts import without_file, without_symbol
from evals.planted.edits import broken, halved, misquoted
from evals.planted.planner import CorruptEdits, Plan, PlantedPlanner, as_coded, replaced, right_plan, without
from harness.planners import GoldPlanner
from harness.runs.attempt import InstanceContext
from models.attribution import Label
from models.context import ContextPackage
from models.edits import CreateFile, DeleteFile, Edit
from models.plans import Action, PlanStep, Target
from repos.index.symbols import base_name, symbols

_MOST_WAYS = 4


class FaultKind(StrEnum):
    """Kinds of faults, each of one stage."""

    FILE_HIDDEN = "a needed file is not in the context, so the plan lacks it"
    FILE_GUESSED = "a needed file is not in the context, so the plan guesses another"
    SYMBOL_HIDDEN = "a needed symbol is left out of its file in the context, so the plan lacks it"
    STEP_DROPPED = "the plan lacks a step"
    STEP_SWAPPED = "the plan has a step in another place"
    FILE_REMOVED = "the plan removes a file that is to be changed"
    FILE_LOST = "the plan removes a file besides"
    PLAN_ABANDONED = "the planner stops after the first part"
    STEP_LEFT_OUT = "the coder makes nothing of a step"
    STEP_HALVED = "the coder makes half of a step"
    EDIT_BROKEN = "the coder gets a line wrong"
    EDIT_MISQUOTED = "the coder's edits do not apply"
    EDIT_STRAYED = "the coder breaks another file besides"

    @property
    def label(self) -> Label:
        """The stage in which it is planted."""
        return _LABELS[self]


_LABELS = {
    FaultKind.FILE_HIDDEN: Label.RETRIEVAL,
    FaultKind.FILE_GUESSED: Label.RETRIEVAL,
    FaultKind.SYMBOL_HIDDEN: Label.RETRIEVAL,
    FaultKind.STEP_DROPPED: Label.PLAN,
    FaultKind.STEP_SWAPPED: Label.PLAN,
    FaultKind.FILE_REMOVED: Label.PLAN,
    FaultKind.FILE_LOST: Label.PLAN,
    FaultKind.PLAN_ABANDONED: Label.PLAN,
    FaultKind.STEP_LEFT_OUT: Label.CODE,
    FaultKind.STEP_HALVED: Label.CODE,
    FaultKind.EDIT_BROKEN: Label.CODE,
    FaultKind.EDIT_MISQUOTED: Label.CODE,
    FaultKind.EDIT_STRAYED: Label.CODE,
}


@dataclass(frozen=True)
class Fault:
    """A planted fault: its place, the planner that makes it, and the context shown. `kind` None: no fault."""

    kind: FaultKind | None
    where: str
    planner: PlantedPlanner
    context: ContextPackage


@dataclass(frozen=True)
class AttemptStyle:
    """The style of an attempt: `coarse` plans name files, others symbols; `besides` adds a harmless change."""

    coarse: bool = False
    besides: bool = False


def no_fault(
    instance_context: InstanceContext, gold: GoldPlanner, context: ContextPackage, manner: AttemptStyle
) -> Fault:
    """An attempt that should pass."""
    generator = _generator(instance_context, gold, context, None, manner)
    return generator.fault("", generator.plan)


def faults(
    instance_context: InstanceContext, gold: GoldPlanner, context: ContextPackage, kind: FaultKind, manner: AttemptStyle
) -> Iterator[Fault]:
    """Candidate faults of a kind in an attempt with `context`; each may or may not make the attempt fail."""
    yield from _generator(instance_context, gold, context, kind, manner).generate()


def _generator(
    instance_context: InstanceContext,
    gold: GoldPlanner,
    context: ContextPackage,
    kind: FaultKind | None,
    manner: AttemptStyle,
) -> "_FaultGenerator":
    plan = right_plan(gold).coarse() if manner.coarse else right_plan(gold)
    return _FaultGenerator(instance_context, gold, context, plan, kind, manner.besides)


@dataclass(frozen=True)
class _FaultGenerator:
    instance_context: InstanceContext
    gold: GoldPlanner
    context: ContextPackage
    plan: Plan
    kind: FaultKind | None
    besides: bool

    def generate(self) -> Iterator[Fault]:
        match self.kind:
            case FaultKind.FILE_HIDDEN | FaultKind.FILE_GUESSED:
                return self.hide_files()
            case FaultKind.SYMBOL_HIDDEN:
                return self.hide_symbols()
            case FaultKind.FILE_LOST:
                return self.lose_files()
            case FaultKind.PLAN_ABANDONED:
                return iter([self.fault("after the first part", self.plan, stops=True)])
            case FaultKind.STEP_DROPPED | FaultKind.STEP_SWAPPED | FaultKind.FILE_REMOVED:
                return self.mislead()
        return self.miscode()

    def hide_files(self) -> Iterator[Fault]:
        for path in self.changed:
            hidden = [step for step in self.plan.steps() if any(target.path == path for target in step.targets)]
            if not hidden:
                continue
            plan = self.plan.altered(without(hidden))
            strangers = [other for other in self.unchanged if other in {f.path for f in self.context.files}]
            corrupt: CorruptEdits = as_coded
            if self.kind is FaultKind.FILE_GUESSED:
                guess = (strangers or self.unchanged)[:1]
                if not guess:
                    continue
                plan = plan.with_step("guess", (Target(path=guess[0]),))
                corrupt = self._adds_to(guess[0])
            yield self.fault(path, plan, corrupt, without_file(self.context, path))

    def hide_symbols(self) -> Iterator[Fault]:
        for step in self.plan.steps():
            target = step.targets[0]
            if len(step.targets) == 1 and target.symbol and self._body(target) > 1:
                context = without_symbol(self.context, target.path, target.symbol)
                yield self.fault(str(target.symbol), self.plan.altered(without([step])), as_coded, context)

    def mislead(self) -> Iterator[Fault]:
        for number, step in enumerate(self.plan.steps()):
            path = step.targets[0].path
            if self.gold.gold.side_of(path) != "production":
                continue
            if self.kind is FaultKind.STEP_DROPPED:
                yield self.fault(_named(step), self.plan.altered(without([step])))
            elif self.kind is FaultKind.FILE_REMOVED:
                if step.targets[0].action is Action.MODIFY:
                    gone = step.model_copy(update={"targets": (Target(path=path, action=Action.DELETE),)})
                    rest = [s for s in self.plan.steps() if s != step and any(t.path == path for t in s.targets)]
                    plan = self.plan.altered(without(rest)).altered(replaced(step, gone))
                    yield self.fault(path, plan, _follows(gone, [DeleteFile(path=path)]))
            else:
                for other in self._elsewhere(step, number):
                    swapped = step.model_copy(update={"targets": (other,)})
                    plan = self.plan.altered(replaced(step, swapped))
                    yield self.fault(f"{_named(step)} -> {other.path}", plan, self._adds_to(other.path))

    def lose_files(self) -> Iterator[Fault]:
        for path in self.unchanged:
            plan = self.plan.with_step("removal", (Target(path=path, action=Action.DELETE),))
            yield self.fault(path, plan, _follows(plan.steps()[-1], [DeleteFile(path=path)]))

    def miscode(self) -> Iterator[Fault]:
        for step in self.plan.steps():
            if self.gold.gold.side_of(step.targets[0].path) != "production":
                continue
            for corrupt in self._corruptions(step):
                yield self.fault(_named(step), self.plan, corrupt)

    def _corruptions(self, step: PlanStep) -> Iterator[CorruptEdits]:
        match self.kind:
            case FaultKind.STEP_LEFT_OUT:
                yield _at(step, lambda edits: [])
            case FaultKind.STEP_HALVED:
                yield _at(step, halved)
            case FaultKind.EDIT_MISQUOTED:
                yield _at(step, misquoted)
            case FaultKind.EDIT_BROKEN:
                yield from (_at(step, partial(_broken, way)) for way in range(_MOST_WAYS))
            case _:
                yield from (_at(step, self._and_spoils(path)) for path in self.unchanged[:_MOST_WAYS])

    def fault(
        self,
        where: str,
        plan: Plan,
        corrupt: CorruptEdits = as_coded,
        context: ContextPackage | None = None,
        stops: bool = False,
    ) -> Fault:
        """A fault; with `besides`, the attempt also makes a harmless change if there is a file for it."""
        if self.besides and len(self.unchanged) > _MOST_WAYS:
            path = self.unchanged[-1]
            plan = plan.with_step("besides", (Target(path=path),))
            corrupt = _both(corrupt, self._adds_to(path))
        planner = PlantedPlanner(self.gold, plan, corrupt, stops)
        return Fault(self.kind, where, planner, context if context is not None else self.context)

    @property
    def changed(self) -> list[str]:
        """Existing production files that change."""
        changes = [change for change in self.gold.gold.production if change.before and change.side == "production"]
        return [change.old_path or change.path for change in changes]

    @property
    def unchanged(self) -> list[str]:
        """Python files of production code that the gold patch does not change, those of the context first."""
        touched = {path for change in self.gold.gold.production for path in (change.path, change.old_path)}
        shown = [file.path for file in self.context.files]
        tree = [
            entry.path for entry in self.instance_context.package.git.tree(self.instance_context.instance.base_commit)
        ]
        paths = [path for path in dict.fromkeys([*shown, *tree]) if path in tree and path.endswith(".py")]
        return [path for path in paths if self.gold.gold.side_of(path) == "production" and path not in touched]

    def _elsewhere(self, step: PlanStep, number: int) -> Iterator[Target]:
        """Places that the gold patch leaves unchanged: another symbol of the file, or another file, alternating."""
        path = step.targets[0].path
        text = self._text(path) or ""
        here = (Target(path=path, symbol=base_name(symbol.name)) for symbol in symbols(text, path))
        there = (Target(path=other) for other in self.unchanged)
        places = [*islice((t for t in here if not self.gold.reaches(t)), 1), *islice(there, 1)]
        yield from places if number % 2 else reversed(places)

    def _adds_to(self, path: str) -> CorruptEdits:
        """A coder that adds a function to a file that the change does not concern."""
        text = self._text(path) or ""
        added = text + ("" if text.endswith("\n") or not text else "\n") + "\n\ndef _unused():\n    return None\n"

        def corrupt(step: PlanStep, edits: list[Edit]) -> list[Edit]:
            if edits or step.targets[0].path != path or step.targets[0].action is not Action.MODIFY:
                return edits
            return [DeleteFile(path=path), CreateFile(path=path, content=added)]

        return corrupt if path in self.unchanged else as_coded

    def _and_spoils(self, path: str) -> Callable[[list[Edit]], list[Edit]]:
        text = (self._text(path) or "") + "\n\nraise RuntimeError\n"
        return lambda edits: [*edits, DeleteFile(path=path), CreateFile(path=path, content=text)]

    def _text(self, path: str) -> str | None:
        data = self.instance_context.package.git.read(self.instance_context.instance.base_commit, path)
        return None if data is None else data.decode()

    def _body(self, target: Target) -> int:
        """The number of lines of a symbol before the change, without its first."""
        found = [s for s in symbols(self._text(target.path) or "", target.path) if base_name(s.name) == target.symbol]
        return max((symbol.end_line - symbol.start_line for symbol in found), default=0)


def _named(step: PlanStep) -> str:
    target = step.targets[0]
    return f"{target.path} :: {target.symbol}" if target.symbol else target.path


def _broken(way: int, edits: list[Edit]) -> list[Edit]:
    return next(islice(broken(edits), way, None), edits)


def _at(step: PlanStep, change: Callable[[list[Edit]], Sequence[Edit]]) -> CorruptEdits:
    return lambda asked, edits: list(change(edits)) if asked.targets == step.targets else edits


def _both(first: CorruptEdits, second: CorruptEdits) -> CorruptEdits:
    return lambda step, edits: second(step, first(step, edits))


def _follows(step: PlanStep, edits: list[Edit]) -> CorruptEdits:
    return lambda asked, own: edits if asked.targets == step.targets else own
