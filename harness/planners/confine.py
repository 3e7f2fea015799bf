"""The part of a gold patch within another planner's target."""

from harness.packages.gold_patch import GoldFileChange
from harness.planners.hunks import FileHunks
from harness.planners.pieces import WORD, changes_inside, symbol_names
from models.plans import Action, Target
from repos.index.symbols import IMPORTS, MODULE, base_name
from repos.text import lines_of


def contradicts(change: GoldFileChange, target: Target) -> bool:
    """Whether fulfilling a target cannot be a step towards the change."""
    if target.action is Action.RENAME:
        return target.path != change.old_path
    if target.path == change.old_path:
        return target.action is not Action.DELETE
    if target.action is not Action.DELETE or change.after is None:
        return False
    if target.symbol is None:
        return True
    wanted = base_name(target.symbol)
    return wanted in symbol_names(change.after.text, change.path)


def hunks_in(change: GoldFileChange, target: Target) -> frozenset[int] | None:
    """The hunks of a change in a target; None for all. The hunks of a symbol are its own, those inside it, those of a
    new symbol around it, and those of the imports."""
    if target.symbol is None or not changes_inside(change):
        return frozenset() if target.action is Action.RENAME else None
    assert change.before is not None
    old = symbol_names(change.before.text, change.path)
    wanted = base_name(target.symbol)

    def inside(name: str) -> bool:
        return f"{name}.".startswith(f"{wanted}.") or (name not in old and wanted.startswith(f"{name}."))

    hunks = {index for index, hunk in enumerate(_file(change).hunks) if any(map(inside, hunk.names))}
    return frozenset(hunks) | import_hunks(change)


def with_helpers(change: GoldFileChange, hunks: frozenset[int]) -> frozenset[int]:
    """Hunks of a change, plus those that only create new symbols mentioned in the lines that the others add."""
    if not changes_inside(change):
        return hunks
    assert change.before is not None
    file, old = _file(change), symbol_names(change.before.text, change.path)
    lines = lines_of(file.after)
    words = [frozenset(WORD.findall("".join(lines[hunk.a0 : hunk.a1]))) for hunk in file.hunks]
    new = {i for i, h in enumerate(file.hunks) if not h.names & {MODULE, IMPORTS} and h.names.isdisjoint(old)}
    found = set(hunks - import_hunks(change))
    while more := {
        index
        for index in new - found
        if any(name.rpartition(".")[2] in words[other] for name in file.hunks[index].names for other in found)
    }:
        found |= more
    return hunks | found


def import_hunks(change: GoldFileChange) -> frozenset[int]:
    """The hunks that change the imports of a file and nothing else."""
    if not changes_inside(change):
        return frozenset()
    return frozenset(index for index, hunk in enumerate(_file(change).hunks) if hunk.names == {IMPORTS})


def _file(change: GoldFileChange) -> FileHunks:
    assert change.before is not None and change.after is not None
    return FileHunks(change.path, change.before.text, change.after.text)
