"""The tune flow: a full fine-tune of a base, recorded as the role's next one."""

from pathlib import Path

from prefect import flow, tags

from evals.sets import all_sets, contamination, reserved_repositories
from flows.train import open_training_context
from models.targets import Role
from tasks.learning import train_adapter
from training.bases.bases import Base, add_tuned_base, find_base
from training.cycle import guardrails
from training.data.datasets import read_dataset
from training.fit.training_run import order_for


@flow(name="tune", flow_run_name="tune {role}", persist_result=False)
def tune(role: Role, base: str, dataset: Path) -> Base:
    """Train all parameters of a base on a dataset's pairs; the new base.

    Raises GuardrailError for reserved repositories in the data or a base that is a merge, TrainingError, RegistryError.
    A training that is finished is not done again.
    """
    context = open_training_context()
    start, card = find_base(context.curated, base), read_dataset(dataset)
    guardrails.check_frozen_base(start.name, start.facts)
    guardrails.check_uncontaminated([hit.item for hit in contamination(dataset, all_sets(context.curated))])
    guardrails.check_held_out(list(card.repositories), list(reserved_repositories(context.curated, context.raw_engine)))
    with tags("tune", role):
        done = train_adapter(
            f"{role} base", context, order_for(card, dataset, start, "full", context.settings.training)
        )
    return add_tuned_base(context.curated, context.settings.data_dir, done.adapter_dir, role)
