"""Structural alignment: a plan compared with the gold patch, without executing it.

Production code is compared (tests, if the commit changes no other code). Files and symbols are scored by F1, which
penalises too many as well as too few. Order is the share of the gold plan's dependent pairs that the plan has in the
same order (one step for both counts), among the pairs that the plan contains.
"""

from collections.abc import Callable, Iterator, Sequence, Set

from harness.packages.gold_patch import FileRole, GoldPatch
from harness.planners.gold_plan import GoldPlan, derive_plan
from models.alignment import Alignment
from models.plans import MetaPlan, MetaPlanPart, PartPlan, PlanStep, Target
from repos.index.symbols import IMPORTS, MODULE, base_name

SymbolPlace = tuple[str, str | None]
Counts = Callable[[str], bool]
"""Whether a path is on the side that is compared."""


def align(meta: MetaPlan, part_plans: Sequence[PartPlan], gold: GoldPatch) -> Alignment:
    """The agreement of a plan's targets and order with a gold patch.

    Test plans may be among `part_plans`; a part without steps counts with its own targets. If the patch
    names no symbol, symbols are scored as files. Without dependent pairs in the gold plan, or in the plan, order
    is 1 if the plan touches a changed file and 0 if not. A patch that changes nothing agrees only with an empty
    plan.
    """
    derived = derive_plan(gold)
    side = _side(gold)

    def counts(path: str) -> bool:
        return gold.side_of(path) == side

    ours = _steps(meta, part_plans, counts)
    theirs = _steps(derived.meta, [*derived.part_plans.values(), *derived.test_plans.values()], counts)
    planned: set[SymbolPlace] = set().union(*ours)
    wanted: set[SymbolPlace] = set().union(*theirs)
    files = _f1({path for path, _ in planned}, {path for path, _ in wanted})
    symbols = {place for place in wanted if _is_name(place[1])}
    as_wholes = {path for path, _ in wanted} - {path for path, _ in symbols}
    named = {place for place in planned if _is_name(place[1]) and place[0] not in as_wholes}
    order = _order(ours, _dependent_pairs(derived, counts))
    return Alignment(
        files=files,
        symbols=_f1(named, symbols) if symbols else files,
        order=float(files > 0) if order is None else order,
    )


def _side(gold: GoldPatch) -> FileRole:
    sides = {change.side for change in (*gold.production, *gold.tests)}
    if "production" in sides or not sides:
        return "production"
    return "test" if "test" in sides else "other"


def _is_name(symbol: str | None) -> bool:
    return symbol is not None and symbol not in (MODULE, IMPORTS)


def _f1(planned: Set[object], wanted: Set[object]) -> float:
    if not planned and not wanted:
        return 1.0
    return 2 * len(planned & wanted) / (len(planned) + len(wanted))


def _steps(meta: MetaPlan, plans: Sequence[PartPlan], counts: Counts) -> list[set[SymbolPlace]]:
    """The places that each step targets, in the order in which the steps are taken."""
    steps: list[set[SymbolPlace]] = []
    for part in meta.in_order():
        taken = [step.targets for plan in plans if plan.part_id == part.id for step in plan.in_order()]
        steps += [set(_places(targets, counts)) for targets in taken or [part.targets]]
    return steps


def _places(targets: Sequence[Target], counts: Counts) -> Iterator[SymbolPlace]:
    for target in targets:
        symbol = base_name(target.symbol) if target.symbol else None
        for path in (target.path, target.new_path):
            if path is not None and counts(path):
                yield path, symbol


def _dependent_pairs(derived: GoldPlan, counts: Counts) -> list[tuple[set[SymbolPlace], set[SymbolPlace]]]:
    """Pairs of the gold plan: places of a part or step, and places of one that depends on it."""
    pairs = []
    nodes: list[tuple[MetaPlanPart, ...] | tuple[PlanStep, ...]] = [derived.meta.parts]
    nodes += [plan.steps for plan in derived.part_plans.values()]
    for group in nodes:
        places = {node.id: set(_places(node.targets, counts)) for node in group}
        pairs += [(places[first], places[node.id]) for node in group for first in node.depends_on]
    return [(first, then) for first, then in pairs if first and then]


def _order(
    steps: Sequence[set[SymbolPlace]], pairs: Sequence[tuple[set[SymbolPlace], set[SymbolPlace]]]
) -> float | None:
    found = [(_position(steps, first), _position(steps, then)) for first, then in pairs]
    both = [(first, then) for first, then in found if first is not None and then is not None]
    return sum(first <= then for first, then in both) / len(both) if both else None


def _position(steps: Sequence[set[SymbolPlace]], wanted: set[SymbolPlace]) -> int | None:
    """The first step that targets one of the places; else the first that targets an enclosing file or class."""
    exact = next((index for index, step in enumerate(steps) if step & wanted), None)
    if exact is not None:
        return exact
    return next((index for index, step in enumerate(steps) if _around(step, wanted)), None)


def _around(step: set[SymbolPlace], wanted: set[SymbolPlace]) -> bool:
    return any(
        path == goal and (symbol is None or (name or "").startswith(f"{symbol}."))
        for path, symbol in step
        for goal, name in wanted
    )
