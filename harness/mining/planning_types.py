"""Which planning capabilities a commit exercises."""

from collections.abc import Iterable

from models.manifest import Change, PlanningType
from repos.changed_symbols import ChangedSymbols


def planning_types(changes: tuple[Change, ...], symbols: ChangedSymbols | None) -> tuple[PlanningType, ...]:
    """Which planning capabilities a commit exercises; without symbols only those that the files alone tell.

    Files are code files. A new or existing symbol counts if it lies in production code.
    """
    code = [change for change in changes if change.kind != "other"]
    production = {change.path for change in code if change.kind == "production"}
    tests = len(code) > len(production)
    types = []
    if symbols is not None:
        if len(code) >= 4 and _any_in(symbols.new, production):
            types.append(PlanningType.META)
        if len(code) <= 3 and _any_in((*symbols.existing, *symbols.module_level), production):
            types.append(PlanningType.STEP)
    if tests:
        types.append(PlanningType.ALL if production else PlanningType.TEST)
    return tuple(types)


def _any_in(names: Iterable[str], paths: set[str]) -> bool:
    return any(name.split("::")[0] in paths for name in names)
