"""The control of a tuned base with a smaller window: its sibling, tuned on the same data with the window as it was.

A gate compares a candidate with the base in use, so what the data brought counts for the window as well. Only the
sibling separates the two.
"""

from models.base_evaluation import BaseReport
from training.adapters.registry.base_registry import BaseRegistry
from training.adapters.registry.base_statement import BaseLineage
from training.bases.bases import PARENT, Base


def window_note(registry: BaseRegistry, bases: list[Base], challenger: Base, champion: Base) -> str:
    """What is known of the part that the smaller window has in a comparison; empty for a base whose window is whole."""
    parent = next((base for base in bases if base.id == challenger.facts.get(PARENT)), None)
    if parent is None or not _smaller(challenger, parent):
        return ""
    lineage = registry.lineage(challenger)
    siblings = [base for base in bases if _is_sibling(registry, base, lineage, parent)]
    reduced, whole = challenger.facts["window"], parent.facts["window"]
    sizes = f"{challenger.name} has a window of {reduced}, {parent.name} one of {whole}"
    if not siblings:
        return (
            f"{sizes}: whether that or the data made a difference is not known without a control: tune {parent.name} "
            f"on the same data without --window, and evaluate {challenger.name} --against that"
        )
    control = siblings[-1]
    if control.id == champion.id:
        return f"{sizes}: {control.name} was tuned on the same data with the whole window, so only the window differs"
    found = [
        report.verdict.value
        for row in registry.log(lineage.role)
        if row.base == challenger.id and row.action == "evaluate"
        if (report := BaseReport.model_validate(row.report)).champion.base == control.id
    ]
    command = f"run `cra bases evaluate {challenger.name} --against {control.name}`"
    told = f"the gate against it says {found[-1]}" if found else command
    return f"{sizes}: its control is {control.name}, tuned on the same data with the whole window; {told}"


_RECIPE = ("learning_rate", "epochs", "batch_size", "max_steps", "masters")
"""What a control's recipe shares; the most tokens of a row follow from the window."""


def _smaller(base: Base, than: Base) -> bool:
    sizes = (base.facts.get("window"), than.facts.get("window"))
    return isinstance(sizes[0], int) and isinstance(sizes[1], int) and sizes[0] < sizes[1]


def _is_sibling(registry: BaseRegistry, base: Base, lineage: BaseLineage, parent: Base) -> bool:
    """Whether a base was tuned from the same one, on the same data by the same recipe, with the whole window."""
    if base.facts.get(PARENT) != parent.id or base.id == lineage.base or _smaller(base, parent):
        return False
    other = registry.lineage(base)
    alike = (other.role, other.dataset, other.datasets) == (lineage.role, lineage.dataset, lineage.datasets)
    return alike and all(other.config.get(name) == lineage.config.get(name) for name in _RECIPE)
