"""The train flow: the lifecycle of one adapter."""

from prefect import flow, tags

from flows.training_context import open_training_context
from flows.training_steps import engine_steps
from training.cycle import lifecycle
from training.cycle.orders import TrainOrder, TrainReport


@flow(name="train", flow_run_name="train {order.target.value}", persist_result=False)
def train(order: TrainOrder) -> TrainReport:
    """Train an adapter for a target and promote it if a gate says so.

    Raises GuardrailError for a broken rule, EvaluationError without a frozen evaluation set, TrainingError,
    RegistryError. Finished steps of any run are reused.
    """
    with tags("train", order.target.value):
        return lifecycle.train(open_training_context(), engine_steps(), order)
