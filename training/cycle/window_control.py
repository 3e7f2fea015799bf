"""The control of a tuned base with a smaller window: its sibling, tuned on the same data with the window as it was.

A gate compares a candidate with the base in use, so what the data brought counts for the window as well. Only the
sibling separates the two: it was trained on the same rows, by the same recipe, with as many tokens. Unless the gate
promotes the candidate over its control, the window is not justified, and nothing is promoted.
"""

from pathlib import Path
from typing import NamedTuple

from models.base_evaluation import BaseReport, WindowControl
from models.evaluation import GateVerdict
from training.adapters.registry.base_registry import BaseRegistry
from training.adapters.registry.base_statement import BaseLineage
from training.bases.bases import PARENT, Base
from training.bases.windows import has_smaller_window
from training.data.datasets import dataset_or_mixture

_RECIPE = ("learning_rate", "epochs", "batch_size", "max_steps", "max_tokens", "masters", "tokens", "watch")
"""What a control's recipe shares, and the tokens of the training."""


class ReducedWindow(NamedTuple):
    """A tuned base with a smaller window than the base that it was tuned from, and its control if there is one."""

    base: Base
    parent: Base
    control: Base | None
    lineage: BaseLineage


def reduced_window(registry: BaseRegistry, bases: list[Base], base: Base) -> ReducedWindow | None:
    """What is known of a tuned base's smaller window, with its newest control; None for a base with the whole one."""
    parent = next((each for each in bases if each.id == base.facts.get(PARENT)), None)
    if parent is None or not has_smaller_window(base, parent):
        return None
    lineage = registry.lineage(base)
    controls = [each for each in bases if _is_control(registry, each, lineage, parent)]
    return ReducedWindow(base, parent, controls[-1] if controls else None, lineage)


def judge_window(report: BaseReport, reduced: ReducedWindow, against: BaseReport | None, data_dir: Path) -> BaseReport:
    """A report on a base with a smaller window, with what the gate says of it `against` its control (None: there is no
    control): a promotion that the control does not bear out is inconclusive."""
    judged = _judged(reduced, against, data_dir)
    changes: dict[str, object] = {"window": judged}
    if report.verdict is GateVerdict.PROMOTE and not judged.justified:
        reason = f"{report.reason.partition('; ')[0]} is a gain, but the window is not justified: {judged.reason}"
        changes |= {"verdict": GateVerdict.INCONCLUSIVE, "reason": reason}
    return report.model_copy(update=changes)


def _judged(reduced: ReducedWindow, against: BaseReport | None, data_dir: Path) -> WindowControl:
    sizes = {"window": reduced.base.facts["window"], "whole": reduced.parent.facts["window"]}
    if reduced.control is None or against is None:
        return WindowControl(
            **sizes, control=None, verdict=None, reason=f"it has no control; {how_to_tune(reduced, data_dir)}"
        )
    return WindowControl(**sizes, control=reduced.control.name, verdict=against.verdict, reason=against.reason)


def how_to_tune(reduced: ReducedWindow, data_dir: Path) -> str:
    """The command that makes the control of a base: on the same dataset, or with the same mixture."""
    lineage = reduced.lineage
    tokens = lineage.config.get("max_tokens")
    limit = "" if tokens is None else f"CRA_TRAINING__MAX_TOKENS={tokens} "
    command = f"{limit}cra bases tune {lineage.role} --base {reduced.parent.name}"
    if lineage.datasets:
        return f"run `{command} --mix FILE` with the same mixture, without --window"
    return f"run `{command} --dataset {dataset_or_mixture(data_dir, lineage.dataset) or 'DIR'}`, without --window"


def _is_control(registry: BaseRegistry, base: Base, lineage: BaseLineage, parent: Base) -> bool:
    """Whether a base was tuned from the same one, on the same data by the same recipe, with the whole window."""
    if base.facts.get(PARENT) != parent.id or base.id == lineage.base or has_smaller_window(base, parent):
        return False
    other = registry.lineage(base)
    alike = (other.role, other.dataset, other.datasets) == (lineage.role, lineage.dataset, lineage.datasets)
    return alike and all(other.config.get(name) == lineage.config.get(name) for name in _RECIPE)
