"""Coverage of a gold patch by a context package."""

from collections.abc import Iterator

from harness.planners.gold_plan import GoldPlan
from harness.planners.hunks import FileHunks, Hunk
from harness.planners.pieces import ChangePiece, changes_inside
from models.attribution import CodePlace
from models.context import ContextFile, ContextPackage
from models.plans import PlanStep
from repos.index.symbols import IMPORTS, MODULE, base_name, symbols
from repos.text import lines_of


def unseen(step: PlanStep, plan: GoldPlan, context: ContextPackage | None) -> list[CodePlace]:
    """Places that a step of the gold plan changes, that exist before it, and that the context does not show.

    A file must be among the context's files. In a file that is shown in part, each symbol that changes must be whole,
    or, if it has inner symbols, show its head and the lines that change; imports need not be shown. The result is empty
    where there was no retrieval.
    """
    if context is None:
        return []
    shown = {file.path: file for file in context.files}
    return [place for piece in plan.work[step.targets] for place in _unseen(piece, shown)]


def _unseen(piece: ChangePiece, shown: dict[str, ContextFile]) -> Iterator[CodePlace]:
    change = piece.change
    if change.before is None:
        return
    path = change.old_path or change.path
    file = shown.get(path)
    if file is None:
        yield CodePlace(path=path)
        return
    if file.whole or not changes_inside(change) or piece.hunks is None:
        return
    assert change.after is not None
    hunks = FileHunks(change.path, change.before.text, change.after.text).hunks
    for name in sorted({name for index in piece.hunks for name in _hidden(hunks[index], change.before.text, file)}):
        yield CodePlace(path=path, symbol=name)


def _hidden(hunk: Hunk, before: str, file: ContextFile) -> Iterator[str]:
    lines = lines_of(before)
    found = symbols(before, file.path)
    touched = "".join(lines[hunk.b0 : hunk.b1])
    for name in hunk.names - {IMPORTS}:
        if name == MODULE:
            if touched not in file.text:
                yield name
            continue
        for symbol in (each for each in found if base_name(each.name) == name):
            whole = "".join(lines[symbol.start_line - 1 : symbol.end_line])
            holds_others = any(each.name.startswith(f"{symbol.name}.") for each in found)
            parts = lines[symbol.start_line - 1] in file.text and touched in file.text
            if whole not in file.text and not (holds_others and parts):
                yield name
