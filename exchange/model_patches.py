"""The patches of a campaign as SWE-bench predictions, which `cra validate` and SWE-bench's own harness read."""

import json
from collections.abc import Iterator

from models.predictions import Prediction
from store.runs import RawStore


def export_predictions(store: RawStore, name: str) -> Iterator[str]:
    """A JSON line for each closed trajectory of the campaign that last ran under a label, by planner and instance.

    Each planner, temperature and sample index counts as a model of its own: it has one patch for an instance. The patch
    is as it was judged, empty where there was none. Raises UsageError for a label never used.
    """
    for group in store.export_groups(name):
        for instance, temperature, sample, patch in store.patches(group):
            line = Prediction(
                instance_id=instance,
                model_name_or_path=f"{group.planner}-t{temperature:g}-s{sample}",
                model_patch=patch,
            )
            yield json.dumps(line.model_dump())
