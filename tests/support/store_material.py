"""A package and one trajectory with one of everything that the raw store keeps."""

from models.edits import CreateFile, EditResult, Rung, SearchReplace
from models.manifest import Instance, Manifest, MiningFunnel
from models.plans import MetaPlan, MetaPlanPart, PartPlan, PlanStep, Target
from models.protocols import Answer, Recorder, Request, SourceFile, Stage, Task
from models.suite import CaseResult, CaseStatus, SuiteEnd, SuiteReport
from store.runs import RawStore

PART = MetaPlanPart(id="p1", title="Part", description="Do it", targets=(Target(path="lib.py"),))
META = MetaPlan(parts=(PART,))
STEP = PlanStep(id="s1", description="Change it", targets=(Target(path="lib.py"),))
PLAN = PartPlan(part_id="p1", steps=(STEP,))
TASK = Task(text="Add it", repository="lib", base="b" * 40)
EDIT = SearchReplace(path="lib.py", search="1", replace="2")
SUITE = SuiteReport(
    end=SuiteEnd.COMPLETED,
    exit_code=0,
    seconds=1.0,
    cases={"t.py::test": CaseResult(id="t.py::test", status=CaseStatus.PASSED)},
)


def make_manifest(count: int = 2, **changes: object) -> Manifest:
    instances = tuple(
        Instance(
            instance_id=f"lib-{n}",
            commit=f"{n:040x}",
            base_commit="b" * 40,
            task="Add it",
            planning_types=(),
            production_files=("lib.py",),
            test_files=("t.py",),
            environment="env",
            fail_to_pass=("t.py::test",),
        )
        for n in range(count)
    )
    manifest = Manifest(
        name="lib", source="https://example.org/me/lib", license=None, organisation=None, domain=None,
        head="c" * 40, python="3.11", test_command=("pytest",), lines_of_code=10, instances=instances,
        funnel=MiningFunnel(total=2, dropped={}, needs_message=0, kept=2, mixed=2),
    )  # fmt: skip
    return manifest.model_copy(update=changes)


def open_one(store: RawStore, planner: str = "gold", instance: str = "lib-0", **config: object) -> str:
    keys = store.register_package(make_manifest())
    campaign = store.register_campaign({"planners": ["gold", "null"], **config})
    return store.open_trajectory(campaign, keys[instance], planner, f"{planner} v1")


def record_all(recorder: Recorder, task: Task = TASK) -> None:
    """One of everything, in the order in which the loop does it."""
    recorder.decision(Stage.SCOPE, "lib.py", "include", "named in the task")
    meta = Request(stage=Stage.META_PLAN, task=task)
    recorder.call(meta, Answer(text=META.model_dump_json(), model="gold", reasoning="because", latency=0.5))
    recorder.plan(Stage.META_PLAN, META)
    recorder.plan(Stage.PART_PLAN, PLAN)
    code = Request(
        stage=Stage.CODE, task=task, meta=META, part=PART, plan=PLAN, step=STEP,
        files=(SourceFile(path="lib.py", text="x = 1\n"), SourceFile(path="new.py", text=None)),
    )  # fmt: skip
    recorder.call(code, Answer(text="edit", model="gold", prompt="the prompt", prompt_tokens=7))
    applied = EditResult(edit=EDIT, rung=Rung.EXACT, before_hash="0", after_hash="1")
    rejected = EditResult(edit=CreateFile(path="lib.py", content=""), error="exists")
    recorder.edits("p1", "s1", 0, [applied, rejected])
    recorder.tests("affected", SUITE)
