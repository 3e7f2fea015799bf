"""The gate flow: what a gate says of an adapter that is registered, and what follows from it."""

from pathlib import Path

from prefect import flow, tags

from flows.training_context import open_training_context
from flows.training_steps import engine_steps
from training.cycle import lifecycle
from training.cycle.orders import TrainOrder, TrainReport
from training.data.datasets import dataset_dir


@flow(name="gate", flow_run_name="gate {name}", persist_result=False)
def gate(
    name: str,
    dataset: Path | None = None,
    item_level: bool = False,
    end_to_end: tuple[Path, ...] = (),
    end_to_end_limit: int | None = None,
) -> TrainReport:
    """Measure the champion and a registered adapter, and promote it if a gate says so.

    `dataset`: that of its training, where it is not in its usual place. Raises as the train flow does.
    """
    context = open_training_context()
    version = context.registry.show(name)
    order = TrainOrder(
        target=version.target,
        base=version.base,
        dataset=dataset or dataset_dir(context.settings.data_dir, version.target, version.dataset_id),
        item_level=item_level,
        end_to_end=end_to_end,
        end_to_end_limit=end_to_end_limit,
    )
    with tags("gate", version.target.value):
        return lifecycle.gate_registered(context, engine_steps(), order, version.name)
