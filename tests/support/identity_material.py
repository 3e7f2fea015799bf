"""Fixed inputs from which the identities of `test_identities` are derived. Changing one changes what is compared."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

from harness.packages.gold_patch import GoldFileChange, GoldPatch
from harness.packages.package import RepoPackage
from harness.runs.attempt import AttemptResult, File
from llm.chat import Completion
from models.chat import Message
from models.context import Candidate as FileCandidate
from models.context import (
    CandidateTier,
    ContextFile,
    ContextPackage,
    FileOutline,
    Relevance,
    SymbolOutline,
    TaskAnalysis,
)
from models.edits import EditFormat
from models.evaluation import EvaluationItem
from models.files import FileContent
from models.generated import Failing, GeneratedFile, GeneratedTests
from models.limits import Limits
from models.llm_settings import Endpoint, ModelSettings, Roles, Teachers
from models.manifest import Commit, Environment, Instance, Manifest, MiningFunnel
from models.plans import Action, MetaPlan, MetaPlanPart, PartPlan, PlanStep, StepResult, StepStatus, Target
from models.protocols import Request, SourceFile, Stage, Task
from models.training import Pair, PairSource, Preference, Provenance
from runtime.environments.discovery import Project
from runtime.trees import Runtime

TASK = Task(text="Make `area` reject negative sides", repository="shapes", base="b" * 40)
TARGET = Target(path="src/a.py", symbol="area")
MOVED = Target(path="src/b.py", action=Action.RENAME, new_path="src/c.py")
PART = MetaPlanPart(id="p1", title="reject", description="raise ValueError", targets=(TARGET, MOVED))
META = MetaPlan(rationale="small", parts=(PART,))
STEP = PlanStep(id="s1", description="check the sign", targets=(TARGET,))
PLAN = PartPlan(part_id="p1", rationale="one step", steps=(STEP,))
CONTEXT = ContextPackage(
    files=(
        ContextFile(
            path="src/b.py", relevance=Relevance.RELEVANT, text="x = 1\n", whole=True, tokens=4, reason="imports it"
        ),
    ),
    tokens=4,
    budget=32_000,
)
CANDIDATE = FileCandidate(
    path="src/a.py", score=1.0, tier=CandidateTier.MENTIONED, reason="names it", outline="def area(side)"
)
OUTLINE = FileOutline(
    path="src/a.py",
    relevance=Relevance.RELEVANT,
    symbols=(SymbolOutline(name="area", kind="function", signature="def area(side)", tokens=12),),
)
RESULT = StepResult(part_id="p1", step_id="s1", status=StepStatus.DONE, attempts=1)
FIELDS: dict[Stage, dict[str, Any]] = {
    Stage.TASK_ANALYSIS: {"overview": "src/\n  a.py"},
    Stage.SCOPE: {"analysis": TaskAnalysis(kind="fix", summary="reject"), "candidates": (CANDIDATE,)},
    Stage.PRECISION: {"analysis": TaskAnalysis(kind="fix"), "outlines": (OUTLINE,)},
    Stage.META_PLAN: {"context": CONTEXT},
    Stage.PART_PLAN: {"context": CONTEXT, "meta": META, "part": PART},
    Stage.CODE: {
        "context": CONTEXT,
        "meta": META,
        "part": PART,
        "plan": PLAN,
        "step": STEP,
        "files": (SourceFile(path="src/a.py", text="def area(side):\n    return side**2\n"),),
        "edit_format": EditFormat.SEARCH_REPLACE,
        "attempt": 1,
        "failure": "no such place",
    },
    Stage.TEST_PLAN: {"context": CONTEXT, "meta": META, "part": PART, "changes": "--- a\n+++ b\n"},
    Stage.ADJUSTMENT: {"context": CONTEXT, "meta": META, "part": PART, "results": (RESULT,), "changes": "--- a\n"},
}
REQUESTS = {stage: Request(stage=stage, task=TASK, **FIELDS[stage]) for stage in Stage}
MESSAGES = (Message(role="system", content="Plan."), Message(role="user", content="Grüße: do it."))
INSTANCE = Instance(
    instance_id="shapes-1",
    commit="a" * 40,
    base_commit="b" * 40,
    task=TASK.text,
    planning_types=(),
    production_files=("src/a.py",),
    test_files=("tests/test_a.py",),
    symbols=("src/a.py::area",),
    version="1.2",
    environment="env-1",
    fail_to_pass=("tests/test_a.py::test_area",),
)
GENERATED = INSTANCE.model_copy(
    update={
        "generated": GeneratedTests(
            files=(GeneratedFile(path="tests/test_g.py", sha256="d" * 64),),
            told_apart={"tests/test_g.py::test": Failing.ASSERTION},
            instead_of="no-fail-to-pass",
            model="m",
            prompt_hash="e" * 64,
            answer_hash="f" * 64,
            round=1,
        )
    }
)
WHEEL = "pluggy-1.0-py3-none-any.whl"
ENVIRONMENT = Environment(
    key="env-1",
    python="3.12",
    abi="cp312",
    requires=("pluggy",),
    cutoff="2024-05-01",
    lock="pluggy==1.0\n",
    wheels=(WHEEL,),
)
MANIFEST = Manifest(
    name="shapes",
    source="https://example.org/shapes",
    license="MIT",
    organisation="people",
    domain="geometry",
    head="c" * 40,
    python="3.12",
    test_command=("pytest",),
    lines_of_code=10,
    funnel=MiningFunnel(total=2, dropped={"merge": 1}, needs_message=0, kept=1, mixed=1),
    environments=(ENVIRONMENT,),
    wheels={WHEEL: "9" * 64},
    instances=(INSTANCE,),
)
COMMIT = Commit(
    sha="a" * 40,
    parent="b" * 40,
    subject="Reject",
    message="Reject",
    author_date="2024-05-01T00:00:00+00:00",
    committed=1,
    changes=(),
    planning_types=(),
)
LIMITS = Limits(wall_seconds=60)
CHANGES = {"src/a.py": (b"def area(side): ...\n", False), "old.py": None, "run": (b"\xff\n", True)}
PROVENANCE = Provenance(
    campaign="c",
    trajectory="t",
    attempt=1,
    seq=2,
    instance="i",
    repository="shapes",
    organisation="people",
    domain="geometry",
    license="MIT",
    commit="a" * 40,
    base_commit="b" * 40,
    planner="gold",
    model="gold",
    adapter=None,
    outcome="passed",
    oracle="f2p-p2p",
    attribution=None,
    alignment=1.0,
)
ENDPOINT = Endpoint(url="http://127.0.0.1:1/v1", model="tiny", revision="r1", window=8192, json_schema=True)
MODELS = ModelSettings(
    endpoints={
        "here": ENDPOINT,
        "coder": ENDPOINT.model_copy(
            update={"model": "coder", "edit_format": EditFormat.WHOLE_SYMBOL, "thinking": True, "answer_tokens": 512}
        ),
    },
    roles=Roles(reasoning="here", coding="coder", generalist="here"),
    teachers=Teachers(reasoning="here", coding="coder"),
    overrides={Stage.SCOPE: "scope-v1"},
    windows={Stage.SCOPE: 1280},
)

PROJECT = Project(
    name="shapes",
    requires_python=">=3.9",
    requires=("pluggy>=1", "pytest"),
    constraints=("pluggy==1.0",),
    import_roots=("src",),
    import_names=("shapes",),
    needs_build=False,
    build_backend="",
    backend_path=(),
    test_command=("pytest",),
    runtime=(),
    extras=(),
    headers=(),
    entry_points=(),
    generated=(),
    aliases=("shape",),
)
PAIR = Pair(
    stage=Stage.PART_PLAN,
    source=PairSource.HARNESS,
    messages=MESSAGES,
    answer="{}",
    reasoning="because",
    provenance=PROVENANCE,
)
PREFERENCE = Preference(
    stage=Stage.CODE,
    source=PairSource.HARNESS,
    kind="attributed",
    messages=MESSAGES,
    chosen="a",
    rejected="b",
    chosen_by=PROVENANCE,
    rejected_by=PROVENANCE,
)
ITEM = EvaluationItem(
    id="i",
    stage=Stage.SCOPE,
    repository="shapes",
    instance="shapes-1",
    commit="a" * 40,
    messages=MESSAGES,
    expected='{"files": {}}',
    answer_tokens=64,
)


def gold_patch() -> GoldPatch:
    before, after = FileContent("def area(side):\n    return side\n"), FileContent("def area(side):\n    return 2\n")
    return GoldPatch(
        "a" * 40,
        "b" * 40,
        (
            GoldFileChange("src/a.py", before, after, "production"),
            GoldFileChange("src/n.py", None, after, "production"),
        ),
        (GoldFileChange("tests/test_a.py", None, FileContent("def test_area(): ...\n"), "test"),),
    )


def a_runtime(folder: Path) -> Runtime:
    sandbox: Any = SimpleNamespace(kind="bubblewrap")
    environments: Any = None
    return Runtime(sandbox, environments, LIMITS, folder)


def a_package(folder: Path) -> RepoPackage:
    (folder / "packages").mkdir(parents=True)
    (folder / "packages" / WHEEL).write_bytes(b"a wheel")
    return RepoPackage(folder, MANIFEST)


class ScoringRouter:
    """The router of a teacher that answers any question with a score; the last question is kept."""

    identity = "router"

    def complete(self, stage: Stage, request: Any) -> list[Completion]:
        self.asked = request
        return [Completion(text='{"reason": "good", "score": 7}', model="m", endpoint="e", finish_reason="stop")]


def work() -> AttemptResult:
    return AttemptResult(patch="p", files={"a": File(text="x"), "b": None}, end=None, detail="", alignment={})
