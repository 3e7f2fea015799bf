"""The task of the validate flow: one prediction judged."""

import threading
from dataclasses import dataclass

from exchange.predictions import judge_prediction
from harness.packages.package import RepoPackage
from models.manifest import Instance
from models.predictions import Judged, Prediction
from runtime.trees import Runtime
from store.runs import RawStore
from tasks.define import engine_task


@dataclass(frozen=True)
class PredictionCase:
    """A prediction with the context to judge it. `found`: the instance's package, the instance, and its key."""

    prediction: Prediction
    found: tuple[RepoPackage, Instance, str] | None
    store: RawStore
    runtime: Runtime
    slots: threading.BoundedSemaphore

    @property
    def label(self) -> str:
        """Display label: the instance, and the model name of its patch."""
        return f"{self.prediction.instance_id} {self.prediction.model_name_or_path}".strip()

    @property
    def tags(self) -> set[str]:
        """Tags for filtering: repository and commit."""
        return {self.found[0].manifest.name, self.found[1].commit[:7]} if self.found else set()


@engine_task("{label}")
def judge_case(label: str, case: PredictionCase) -> Judged:
    """Judge one prediction and store its verdict in the database."""
    with case.slots:
        return judge_prediction(case.store, case.runtime, case.found, case.prediction)
