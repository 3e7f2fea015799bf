"""The task of the validate flow: one prediction judged."""

import threading

from prefect import task

from exchange.predictions import judge_prediction
from harness.packages.package import RepoPackage
from models.manifest import Instance
from models.predictions import Judged, Prediction
from runtime.trees import Runtime
from store.runs import RawStore
from tasks.caching import RETRY_DELAYS, is_infrastructure


class PredictionCase:
    """A prediction with what it takes to judge it. A plain class, so that the engine does not walk through it."""

    def __init__(
        self,
        prediction: Prediction,
        found: tuple[RepoPackage, Instance, str] | None,
        store: RawStore,
        runtime: Runtime,
        slots: threading.BoundedSemaphore,
    ) -> None:
        self.prediction, self.found, self.store, self.runtime, self.slots = prediction, found, store, runtime, slots

    @property
    def label(self) -> str:
        """What a person sees: the instance, and whose patch it is."""
        return f"{self.prediction.instance_id} {self.prediction.model_name_or_path}".strip()

    @property
    def tags(self) -> set[str]:
        """What a person filters by: repository and commit."""
        return {self.found[0].manifest.name, self.found[1].commit[:7]} if self.found else set()


@task(
    task_run_name="{label}",
    retries=2,
    retry_delay_seconds=RETRY_DELAYS,
    retry_condition_fn=is_infrastructure,
    persist_result=False,
)
def judge_case(label: str, case: PredictionCase) -> Judged:
    """Judge one prediction; its verdict is in the database by then."""
    with case.slots:
        return judge_prediction(case.store, case.runtime, case.found, case.prediction)
