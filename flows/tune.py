"""The tune flow: a full fine-tune of a base, registered as the role's next base."""

from pathlib import Path

from prefect import flow, tags

from flows.training_context import open_training_context
from flows.training_steps import engine_steps
from models.targets import Role
from training.bases.bases import Base
from training.cycle import tuning


@flow(name="tune", flow_run_name="tune {role}", persist_result=False)
def tune(role: Role, base: str, dataset: Path) -> Base:
    """Train all parameters of a base on a dataset's pairs; returns the new base.

    Raises GuardrailError for reserved repositories in the data or a base that is a merge, TrainingError, RegistryError.
    A finished training is reused.
    """
    with tags("tune", role):
        return tuning.tune(open_training_context(), engine_steps(), role, base, dataset)
