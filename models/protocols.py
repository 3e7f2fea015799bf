"""The agent's interfaces: a planner that answers one stage at a time, a workspace, a recorder.

The main loop depends on these only, and runs without an engine, a database or a model.
"""

from enum import StrEnum
from typing import Protocol

from pydantic import Field

from models.context import Candidate, ContextPackage, FileOutline, TaskAnalysis
from models.edits import Edit, EditFormat, EditResult
from models.judging import AnswerForm, QuestionForm, Slice
from models.plans import Frozen, MetaPlan, MetaPlanPart, PartPlan, PlanStep, StepResult
from models.suite import SuiteReport


class Stage(StrEnum):
    """A stage of the pipeline; each model call belongs to exactly one."""

    TASK_ANALYSIS = "task_analysis"
    SCOPE = "scope"
    PRECISION = "precision"
    META_PLAN = "meta_plan"
    PART_PLAN = "part_plan"
    CODE = "code"
    TEST_PLAN = "test_plan"
    ADJUSTMENT = "adjustment"


JUDGING_STAGES = (Stage.TASK_ANALYSIS, Stage.SCOPE, Stage.PRECISION)
"""Stages that are not sampled: all samples of a task shall see one context, and share its prefill."""


GENERALIST = "generalist"
"""What stands in place of a planner's name where its generalist answered."""
FALLBACK = "fallback"
"""The decision recorded for an answer that the generalist gave in place of a stage's own model, with the reason."""


class Task(Frozen):
    """The work to do: the text, and the repository state it starts from (commit or tree id)."""

    text: str
    repository: str
    base: str


class SourceFile(Frozen):
    """A file as the coder sees it; `text` is None when it does not exist yet."""

    path: str
    text: str | None


class Request(Frozen):
    """One question to a planner. Which fields are set follows from the stage:

    task_analysis: task, overview; scope: + analysis, candidates, answers, shown; precision: + analysis, outlines,
    answers, shown;
    meta_plan: task, context; part_plan and test_plan: + meta, part, changes; code: + meta, part, plan, step, files,
    edit_format; adjustment: + meta, part, results, changes (the patch so far). A second attempt brings `failure`:
    what was wrong with the first.
    """

    stage: Stage
    task: Task
    overview: str = ""
    analysis: TaskAnalysis | None = None
    candidates: tuple[Candidate, ...] = ()
    outlines: tuple[FileOutline, ...] = ()
    answers: AnswerForm = AnswerForm.PATHS
    shown: Slice | None = None
    context: ContextPackage | None = None
    meta: MetaPlan | None = None
    part: MetaPlanPart | None = None
    plan: PartPlan | None = None
    step: PlanStep | None = None
    for_tests: bool = False
    files: tuple[SourceFile, ...] = ()
    edit_format: EditFormat | None = None
    attempt: int = 0
    failure: str = ""
    results: tuple[StepResult, ...] = ()
    changes: str = ""


class Answer(Frozen):
    """A planner's reply: raw text, which the stage's parser reads. `reasoning` is kept apart from the answer."""

    text: str
    reasoning: str = ""
    model: str
    adapter: str | None = None
    prompt: str | None = Field(default=None, description="rendered prompt; None for planners that need none")
    prompt_tokens: int = 0
    cached_tokens: int = Field(default=0, description="prompt tokens that the server had computed before")
    completion_tokens: int = 0
    cost: float = 0.0
    latency: float = 0.0  # seconds
    temperature: float = 0.0
    seed: int | None = None
    finish_reason: str = "stop"
    retries: int = Field(default=0, description="times the provider was asked again before it answered")
    endpoint: str = Field(default="", description="name of the endpoint that answered, as in the settings")
    second: str | None = Field(default=None, description="a second teacher's opinion, as JSON; None if unasked")
    fallback: str | None = Field(
        default=None,
        exclude_if=lambda value: value is None,
        description="why the generalist answered in place of the stage's own model; None: it did not",
    )
    reused: bool = Field(default=False, description="given before to the same question; nothing was paid for it now")
    answer_id: str | None = Field(default=None, exclude=True, description="its row in the database, if it is kept")


class Planner(Protocol):
    """A planner and coder. It answers one stage at a time."""

    @property
    def name(self) -> str:
        """The slot's name: gold, null, teacher, student, no-plan."""
        ...

    @property
    def identity(self) -> str:
        """Text that changes whenever the answers may: model revision, templates, edit format."""
        ...

    @property
    def edit_format(self) -> EditFormat:
        """The format in which the code stage writes changes inside files."""
        ...

    @property
    def question_form(self) -> QuestionForm:
        """How it is asked to judge files and symbols."""
        ...

    @property
    def judges(self) -> bool:
        """Whether it answers the stages of retrieval; if not, only the deterministic ranking is used."""
        ...

    @property
    def classified(self) -> frozenset[Stage]:
        """Stages of retrieval that the relevance classifier answers in its place; empty: none."""
        ...

    @property
    def guides_ranking(self) -> bool:
        """Whether its analysis of the task guides the ranking. False for a planner that knows the answer: later
        prompts, which are trained on, would leak it."""
        ...

    @property
    def plans(self) -> bool:
        """Whether it answers the stages of planning; if not, the task goes straight to the coder."""
        ...

    @property
    def falls_back(self) -> bool:
        """Whether a generalist answers once more where the stage's own model gave no usable answer."""
        ...

    def max_prompt_tokens(self, stage: Stage) -> int:
        """Most tokens of a prompt of this stage: the model's window less what is reserved for the answer."""
        ...

    def max_output_tokens(self, stage: Stage) -> int:
        """Most tokens of an answer of this stage; questions are cut so that they suffice."""
        ...

    def count(self, text: str) -> int:
        """Tokens of a text, by the planner's own tokenizer or by an estimate that is not too low."""
        ...

    def answer(self, request: Request) -> Answer:
        """Answer one stage. Raises InfrastructureError when no model could be reached."""
        ...


class Workspace(Protocol):
    """A tree of files that can be read, edited and tested."""

    def read(self, path: str) -> str | None:
        """Text of a file, or None if it does not exist. Raises EditError for a path that is not text or not inside."""
        ...

    def paths(self) -> list[str]:
        """All regular files, sorted, relative, with forward slashes."""
        ...

    def apply(self, edits: list[Edit]) -> list[EditResult]:
        """Apply edits in order, all or nothing: after a rejected edit the tree is as it was before the call."""
        ...

    def patch(self) -> str:
        """The changes so far, as a git patch; the same changes give the same bytes."""
        ...

    def run_affected_tests(self, changed: list[str]) -> SuiteReport | None:
        """Run the tests that the changed files may break; None if there are none or testing is off."""
        ...


class Recorder(Protocol):
    """Where a trajectory's rows are written. Every method is idempotent for the same arguments."""

    def call(self, request: Request, answer: Answer) -> None:
        """One question and its answer."""
        ...

    def plan(self, stage: Stage, plan: MetaPlan | PartPlan) -> None:
        """A plan that was parsed and is well-formed."""
        ...

    def edits(self, part_id: str, step_id: str, attempt: int, results: list[EditResult]) -> None:
        """The results of a step's edits."""
        ...

    def tests(self, purpose: str, report: SuiteReport) -> None:
        """A run of tests."""
        ...

    def decision(self, stage: Stage, subject: str, decision: str, reason: str) -> None:
        """A choice that shaped the outcome, with its reason."""
        ...
