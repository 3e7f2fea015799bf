"""A step of a rehearsal as a task, so that it is seen in the UI. It is not retried: a fault is evidence."""

from collections.abc import Callable

from models.rehearsal import StepEvidence
from tasks.define import engine_task


@engine_task("rehearse {label}", retries=0)
def run_step(label: str, do: Callable[[], StepEvidence]) -> StepEvidence:
    """The evidence of a step."""
    return do()
