"""Reasons for a gold plan, read from what the patch changes: every sentence is true of it, and the same each time."""

from collections.abc import Iterable, Sequence

from harness.packages.gold_patch import GoldFileChange
from harness.planners.hunks import FileHunks
from harness.planners.pieces import symbol_names
from models.plans import MetaPlanPart, PlanStep, StepResult, StepStatus
from repos.index.parse import form_of, parse_content
from repos.index.symbols import IMPORTS, MODULE, base_name, language_of

_NAMED = 6
"""Symbols that a sentence names; the others are counted."""
_SENTENCES = 8
_LONGEST_SIGNATURE = 160


def of_change(change: GoldFileChange) -> str:
    """One file's change in a sentence: the symbols that are added, changed or removed, and new signatures."""
    if change.before is None:
        return f"{change.path} is new{_with(symbol_names(_after(change), change.path))}."
    if change.after is None:
        return f"{change.path} is removed{_with(symbol_names(_before(change), change.path))}."
    moved = f"{change.old_path} moves to {change.path}" if change.old_path else ""
    said = [*_by_symbol(change)] if change.before.text != change.after.text else []
    if change.before.executable != change.after.executable:
        said.append("becomes executable" if change.after.executable else "is no longer executable")
    if not said:
        return f"{moved}."
    return f"{f'{moved}; it' if moved else change.path} {'; '.join(said)}."


def of_patch(
    production: Sequence[GoldFileChange], tests: Sequence[GoldFileChange], parts: Sequence[MetaPlanPart]
) -> str:
    """Why the task has these parts: what changes file by file, what comes first, and which tests change with it."""
    said = [of_change(change) for change in production]
    said += [f"{part.id} uses what {_listed(part.depends_on)} introduces." for part in parts if part.depends_on]
    if tests:
        verb = "change" if len(tests) > 1 else "changes"
        said.append(f"{_listed([change.path for change in tests])} {verb} with it.")
    return _joined(said)


def of_part(changes: Sequence[GoldFileChange], steps: Sequence[PlanStep]) -> str:
    """Why a part has these steps."""
    said = [of_change(change) for change in changes]
    said += [f"{step.id} uses what {_listed(step.depends_on)} introduces." for step in steps if step.depends_on]
    return _joined(said)


def of_tests(changes: Sequence[GoldFileChange], covers: Sequence[str]) -> str:
    """Why a part has these tests, or none."""
    if not changes:
        return "No test changes with this part."
    of = f"The tests name {_quoted(covers)}." if covers else ""
    return _joined([*(of_change(change) for change in changes), *([of] if of else [])])


def of_results(part: str, results: Iterable[StepResult], parts: Iterable[MetaPlanPart]) -> str:
    """Why the plan goes on after a part: what came of its steps, and which of all `parts` are left."""
    results = list(results)
    own = [result for result in results if result.part_id == part]
    done = sum(result.status is StepStatus.DONE for result in own)
    begun = {result.part_id for result in results} | {part}
    left = [each.id for each in parts if each.id not in begun]
    said = f"{done} of {len(own)} steps of {part} were carried out" if own else f"{part} has no steps"
    return f"{said}; {_listed(left)} {'is' if len(left) == 1 else 'are'} left." if left else f"{said}; no part is left."


def _by_symbol(change: GoldFileChange) -> list[str]:
    """What a change inside a file does, in clauses without a subject."""
    before, after = _before(change), _after(change)
    if language_of(change.path) is None:
        hunks = FileHunks(change.path, before, after).hunks
        return [f"changes in {len(hunks)} place{'s' if len(hunks) > 1 else ''}"]
    touched = {name for hunk in FileHunks(change.path, before, after).hunks for name in hunk.names}
    old, new = symbol_names(before, change.path), symbol_names(after, change.path)
    heads = _signatures(before, change.path), _signatures(after, change.path)
    both = sorted(name for name in touched & old & new)
    resigned = [name for name in both if heads[0].get(name) != heads[1].get(name)]
    said = []
    if added := sorted((touched & new) - old):
        said.append(f"gains {_quoted(added)}")
    said += [f"`{name}` becomes `{heads[1].get(name, name)}`" for name in resigned[:_NAMED]]
    if inside := [name for name in both if name not in resigned[:_NAMED]]:
        said.append(f"changes {_quoted(inside)}")
    if gone := sorted((touched & old) - new):
        said.append(f"loses {_quoted(gone)}")
    if IMPORTS in touched:
        said.append("changes its imports")
    if MODULE in touched:
        said.append("changes code outside its symbols")
    return said


def _signatures(text: str, path: str) -> dict[str, str]:
    """Signatures by symbol; of one that is defined repeatedly, all of them."""
    found: dict[str, str] = {}
    for symbol in parse_content(text.encode(), form_of(path)).outline.symbols:
        name = base_name(symbol.name)
        found[name] = f"{found[name]} | {symbol.signature}" if name in found else symbol.signature
    return {name: head[:_LONGEST_SIGNATURE] for name, head in found.items()}


def _before(change: GoldFileChange) -> str:
    return change.before.text if change.before else ""


def _after(change: GoldFileChange) -> str:
    return change.after.text if change.after else ""


def _with(names: Iterable[str]) -> str:
    outer = sorted(name for name in names if "." not in name)
    return f", with {_quoted(outer)}" if outer else ""


def _quoted(names: Sequence[str]) -> str:
    return _listed([f"`{name}`" for name in names])


def _listed(names: Sequence[str]) -> str:
    """Names as an enumeration, the later ones as a count."""
    shown = [*names[:_NAMED], *([f"{len(names) - _NAMED} more"] if len(names) > _NAMED else [])]
    return shown[0] if len(shown) == 1 else f"{', '.join(shown[:-1])} and {shown[-1]}"


def _joined(sentences: Sequence[str]) -> str:
    shown = list(sentences[:_SENTENCES])
    if len(sentences) > _SENTENCES:
        shown.append(f"{len(sentences) - _SENTENCES} more changes belong to it.")
    return " ".join(shown)
