"""Trajectories whose prompts become the items of an evaluation set."""

from sqlalchemy import Engine

from models.chat import Message, prompt_text
from models.manifest import Instance, Manifest, MiningFunnel, PlanningType
from models.outcomes import OutcomeKind
from models.protocols import Answer, Request, Stage, Task
from store.rows import add, writing
from store.runs import RawStore
from store.tables import Blob, TrainingDataset, TrainingPlan

GOLD = {
    Stage.TASK_ANALYSIS: '{"summary": "s", "files": ["a.py"]}',
    Stage.SCOPE: '{"files": {"a.py": "relevant", "b.py": "irrelevant"}}',
    Stage.PRECISION: '{"symbols": {"a.py": {"f": "primary"}}}',
}


def manifest(name: str, instances: int) -> Manifest:
    made = tuple(
        Instance(
            instance_id=f"{name}-{n}", commit=f"{name}{n}".ljust(40, "0"), base_commit="b" * 40, task=f"Task {n}",
            planning_types=(PlanningType.META,) if n == 0 else (PlanningType.STEP,), production_files=("a.py",),
            test_files=("t.py",), environment="e", fail_to_pass=("t.py::t",),
        )
        for n in range(instances)
    )  # fmt: skip
    return Manifest(
        name=name, source="s", license=None, organisation=None, domain=None, head="c" * 40, python="3.11",
        test_command=("pytest",), lines_of_code=1, instances=made,
        funnel=MiningFunnel(total=1, dropped={}, needs_message=0, kept=1, mixed=1),
    )  # fmt: skip


def prompt(name: str, n: int, stage: Stage, more: str = "") -> tuple[Message, ...]:
    return (Message(role="system", content="judge"), Message(role="user", content=f"{name} {n} {stage.value}{more}"))


def run(
    store: RawStore,
    name: str,
    instances: int = 2,
    planner: str = "gold",
    outcome: OutcomeKind | None = OutcomeKind.PASSED,
    identity: str = "v1",
    sample: int = 0,
    more: str = "",
) -> None:
    """Trajectories of a planner on a repository's instances, each of which asked the three retrieval stages."""
    keys = store.register_package(manifest(name, instances))
    campaign = store.register_campaign({"n": 1})
    store.start_run(campaign, "c", "flow", [])
    for n in range(instances):
        trajectory = store.open_trajectory(campaign, keys[f"{name}-{n}"], planner, identity, 0.6, sample)
        attempt = store.begin_attempt(trajectory)
        assert attempt is not None
        recorder = store.recorder(trajectory, attempt)
        for stage, answer in GOLD.items():
            asked = Request(stage=stage, task=Task(text="t", repository=name, base="b"))
            recorder.call(asked, Answer(text=answer, model="gold", prompt=prompt_text(prompt(name, n, stage, more))))
        if outcome is not None:
            store.close_trajectory(trajectory, attempt, outcome)


def train_on(raw: Engine, repository: str, planned: bool = True) -> None:
    with writing(raw) as connection:
        add(connection, Blob(sha256="0" * 64, codec="raw", size=0, data=b""))
        config = {"repositories": [repository]}
        data = TrainingDataset(
            id="d" * 64, stage="scope", source="synthetic", examples=1, config=config, content_hash="0" * 64
        )
        add(connection, data)
        if planned:
            plan = TrainingPlan(id="p", stage="scope", source="synthetic", base="b", dataset_id="d" * 64, config={})
            add(connection, plan)
