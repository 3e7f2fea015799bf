"""Each answer of a planner as a task: a person sees a commit's stages, and a restart does not ask twice."""

from dataclasses import dataclass
from pathlib import Path

from prefect import task

from harness.store import RawStore, digest
from models.edits import EditFormat
from models.errors import DatabaseError
from models.protocols import Answer, Planner, Request, Stage
from tasks.caching import RETRY_DELAYS, is_infrastructure, kept_under


@task(
    task_run_name="{label}",
    retries=2,
    retry_delay_seconds=RETRY_DELAYS,
    retry_condition_fn=is_infrastructure,
    persist_result=True,
    result_serializer="json",
)
def answer_stage(label: str, planner: Planner, request: Request, store: RawStore) -> str:
    """Ask a planner one stage; the answer goes to the database, its hash is the result."""
    return store.put_text(planner.answer(request).model_dump_json())


@dataclass(frozen=True)
class AsTasks:
    """A planner whose every answer is a task, cached under the trajectory and the question."""

    planner: Planner
    store: RawStore
    trajectory: str
    cache_dir: Path

    @property
    def name(self) -> str:
        """The slot's name."""
        return self.planner.name

    @property
    def identity(self) -> str:
        """The wrapped planner's identity."""
        return self.planner.identity

    @property
    def edit_format(self) -> EditFormat:
        """The wrapped planner's edit format."""
        return self.planner.edit_format

    @property
    def judges(self) -> bool:
        """Whether the wrapped planner answers the stages of retrieval."""
        return self.planner.judges

    @property
    def plans(self) -> bool:
        """Whether the wrapped planner answers the stages of planning."""
        return self.planner.plans

    def room(self, stage: Stage) -> int:
        """The wrapped planner's room."""
        return self.planner.room(stage)

    def count(self, text: str) -> int:
        """The wrapped planner's count."""
        return self.planner.count(text)

    def answer(self, request: Request) -> Answer:
        """The planner's answer, or the one it gave when the same was asked before in this trajectory."""
        label = request.stage.value
        if request.step is not None:
            label += f" {request.step.id}" + (f" retry {request.attempt}" if request.attempt else "")
        elif request.part is not None:
            label += f" {request.part.id}"
        key = digest(self.trajectory, request.model_dump(mode="json"))
        one = answer_stage.with_options(**kept_under(key, self.cache_dir))
        try:
            return Answer.model_validate_json(self.store.get_text(one(label, self.planner, request, self.store)))
        except DatabaseError:  # the engine remembers an answer that this database does not hold
            again = one.with_options(refresh_cache=True)(label, self.planner, request, self.store)
            return Answer.model_validate_json(self.store.get_text(again))
