"""The plan behind a gold patch: its independent parts, the steps of each, and their order.

A part is a changed file (with its stub); files that are not code share one. A step is a symbol, or the symbols that a
hunk changes together. Files that import another, or mention a symbol that is new in it, come after it.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TypeVar

from harness.packages.gold_patch import GoldFileChange, GoldPatch
from harness.planners.imports import imported
from harness.planners.pieces import WORD, ChangePiece, pieces, whole
from harness.planners.rationale import of_part, of_patch, of_tests
from models.plans import Action, MetaPlan, MetaPlanPart, PartPlan, PlanStep, Target, TestPlan
from repos.edit_paths import parents
from repos.index.symbols import IMPORTS, MODULE

T = TypeVar("T")
_VERBS = {Action.CREATE: "Add", Action.MODIFY: "Change", Action.DELETE: "Remove", Action.RENAME: "Rename"}


@dataclass(frozen=True)
class GoldPlan:
    """Plans derived from a gold patch; `work` maps a step, by its targets, to the pieces of the patch that it makes."""

    meta: MetaPlan
    part_plans: dict[str, PartPlan]
    test_plans: dict[str, TestPlan]
    work: dict[tuple[Target, ...], tuple[ChangePiece, ...]]


@dataclass(frozen=True, eq=False)
class _Group:
    """Changes that make one part, in steps of one or more pieces each."""

    changes: tuple[GoldFileChange, ...]
    steps: tuple[tuple[ChangePiece, ...], ...]

    @cached_property
    def introduces(self) -> frozenset[str]:
        return frozenset().union(*(piece.introduces for step in self.steps for piece in step))

    def uses(self, other: "_Group") -> bool:
        """Whether it imports a file of the other's or mentions a symbol that the other introduces."""
        new = other.introduces - self.introduces
        if any(piece.mentions & new for step in self.steps for piece in step):
            return True
        paths = [change.path for change in other.changes]
        return any(imported(c.path, c.after.text, paths) for c in self.changes if c.after)


def derive_plan(gold: GoldPatch) -> GoldPlan:
    """The plan of a gold patch: taking all its steps in order makes the whole change."""
    groups, edges = ordered_by_use(_groups(gold.production), _Group.uses)
    names = {id(group): f"part-{number}" for number, group in enumerate(groups, 1)}
    parts: list[MetaPlanPart] = []
    part_plans: dict[str, PartPlan] = {}
    work: dict[tuple[Target, ...], tuple[ChangePiece, ...]] = {}
    for group in groups:
        name = names[id(group)]
        parts.append(_part(name, group, sorted(names[id(other)] for other in edges.get(id(group), ()))))
        part_plans[name] = _part_plan(name, group)
        work |= {_targets(step): step for step in group.steps}
    if gold.tests and not parts:
        parts = [MetaPlanPart(id="part-1", title="Tests", description="Change the tests alone.")]
        part_plans["part-1"] = PartPlan(part_id="part-1")
    test_steps: dict[str, list[tuple[ChangePiece, ...]]] = {part.id: [] for part in parts}
    tested: dict[str, list[GoldFileChange]] = {part.id: [] for part in parts}
    for change in gold.tests:
        steps = [(piece,) for piece in _whole_pieces(change)]
        part = _tested_part(change, parts)
        test_steps[part] += steps
        tested[part].append(change)
        work |= {_targets(step): step for step in steps}
    test_plans = {part.id: _test_plan(part, test_steps[part.id], tested[part.id]) for part in parts}
    meta = MetaPlan(rationale=of_patch(gold.production, gold.tests, parts), parts=tuple(parts))
    return GoldPlan(meta, part_plans, test_plans, work)


def ordered_by_use(nodes: Sequence[T], uses: Callable[[T, T], bool]) -> tuple[list[T], dict[int, list[T]]]:
    """Nodes so that each comes after those it uses, and by id() of each those it uses; ties keep order.

    In a cycle of uses, the edge that would close it is left out (depth-first post-order).
    """
    order: list[T] = []
    edges: dict[int, list[T]] = {}
    placed: set[int] = set()

    def visit(node: T, above: frozenset[int]) -> None:
        above |= {id(node)}
        for other in nodes:
            if id(other) not in above and uses(node, other):
                if id(other) not in placed:
                    visit(other, above)
                edges.setdefault(id(node), []).append(other)
        placed.add(id(node))
        order.append(node)

    for node in nodes:
        if id(node) not in placed:
            visit(node, frozenset())
    return order, edges


def _groups(changes: Sequence[GoldFileChange]) -> list[_Group]:
    if _folder_takes_the_place_of_file(changes):
        first = sorted(changes, key=lambda change: (change.after is not None, change.old_path is None))
        return [_Group(tuple(changes), (tuple(p for change in first for p in _whole_pieces(change)),))]
    together: dict[str, list[GoldFileChange]] = {}
    for change in changes:
        stem = change.path.removesuffix("i") if change.path.endswith(".pyi") else change.path
        together.setdefault("" if change.side == "other" else stem, []).append(change)
    surroundings = together.pop("", None)
    groups = [*together.values(), *([surroundings] if surroundings else [])]
    return [_Group(tuple(group), _steps(group)) for group in groups]


def _steps(group: Sequence[GoldFileChange]) -> tuple[tuple[ChangePiece, ...], ...]:
    order, _ = ordered_by_use([piece for change in group for piece in pieces(change)], ChangePiece.uses)
    return tuple((piece,) for piece in order)


def _whole_pieces(change: GoldFileChange) -> list[ChangePiece]:
    """The rename, if it is one, and the file as a whole, unless the rename is all."""
    renames = [piece for piece in pieces(change)[:1] if piece.targets[0].action is Action.RENAME]
    return renames if renames and change.before == change.after else [*renames, whole(change)]


def _folder_takes_the_place_of_file(changes: Sequence[GoldFileChange]) -> bool:
    """Whether a path is a file before and a folder after, or vice versa: removals must come first."""
    gone = {change.old_path or change.path for change in changes if change.after is None or change.old_path}
    made = {change.path for change in changes if change.before is None or change.old_path}
    return any(not gone.isdisjoint(parents(path)) for path in made) or any(
        not made.isdisjoint(parents(path)) for path in gone
    )


def _targets(step: Sequence[ChangePiece]) -> tuple[Target, ...]:
    return tuple(target for piece in step for target in piece.targets)


def _describe(target: Target) -> str:
    verb = _VERBS[target.action]
    if target.action is Action.RENAME:
        return f"{verb} {target.path} to {target.new_path}"
    return f"{verb} {target.path}" if target.symbol is None else f"{verb} {target.symbol} in {target.path}"


def _part(name: str, group: _Group, depends_on: list[str]) -> MetaPlanPart:
    targets = tuple(dict.fromkeys(target for step in group.steps for target in _targets(step)))
    paths = ", ".join(change.path for change in group.changes)
    described = "; ".join(map(_describe, targets))
    return MetaPlanPart(
        id=name, title=paths, description=f"{described}.", targets=targets, depends_on=tuple(depends_on)
    )


def _part_plan(name: str, group: _Group) -> PartPlan:
    ids = {id(step[0]): f"step-{number}" for number, step in enumerate(group.steps, 1)}
    _, edges = ordered_by_use([step[0] for step in group.steps], ChangePiece.uses)
    steps = tuple(
        _step(ids[id(step[0])], step, tuple(ids[id(other)] for other in edges.get(id(step[0]), ())))
        for step in group.steps
    )
    return PartPlan(part_id=name, rationale=of_part(group.changes, steps), steps=steps)


def _step(name: str, step: Sequence[ChangePiece], depends_on: tuple[str, ...]) -> PlanStep:
    targets = _targets(step)
    return PlanStep(id=name, description="; ".join(map(_describe, targets)), targets=targets, depends_on=depends_on)


def _tested_part(change: GoldFileChange, parts: Sequence[MetaPlanPart]) -> str:
    """The last part whose files the test file imports, else the last part."""
    text = change.after.text if change.after else ""
    tested = [part.id for part in parts if imported(change.path, text, {target.path for target in part.targets})]
    return (tested or [parts[-1].id])[-1]


def _test_plan(
    part: MetaPlanPart, steps: Sequence[Sequence[ChangePiece]], changes: Sequence[GoldFileChange]
) -> TestPlan:
    named = dict.fromkeys(target.symbol for target in part.targets if target.symbol not in (None, MODULE, IMPORTS))
    said = {word for change in changes if change.after for word in WORD.findall(change.after.text)}
    covers = tuple(name for name in named if name and name.rpartition(".")[2] in said)
    numbered = tuple(_step(f"test-{number}", step, ()) for number, step in enumerate(steps, 1))
    return TestPlan(part_id=part.id, rationale=of_tests(changes, covers), steps=numbered, covers=covers)
