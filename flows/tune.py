"""The tune flow: a full fine-tune of a base, registered as a candidate for its role."""

from prefect import flow, tags

from flows.training_context import open_training_context
from flows.training_steps import engine_steps
from training.bases.bases import Base
from training.cycle import tuning
from training.cycle.tuning import TuneOrder


@flow(name="tune", flow_run_name="tune {order.role}", persist_result=False)
def tune(order: TuneOrder) -> Base:
    """Train all parameters of a base on a dataset's pairs, or on a mixture; returns the candidate.

    Raises GuardrailError for reserved repositories in the data or a base that is a merge, TrainingError, RegistryError.
    A finished training is reused.
    """
    with tags("tune", order.role):
        return tuning.tune(open_training_context(), engine_steps(), order)
