"""The events of a trace: what happened during a trajectory's attempts, and how they ended."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field

from models.attribution import Attribution
from models.outcomes import OutcomeKind, Validation
from models.plans import Frozen
from models.test_quality import TestQuality


class _Event(Frozen):
    """Something that happened during an attempt, at a position."""

    attempt: int
    seq: int
    created_at: datetime


class DecisionEvent(_Event):
    """A choice and its reason."""

    event: Literal["decision"] = "decision"
    stage: str
    subject: str
    decision: str
    reason: str


class CallEvent(_Event):
    """A request and its answer. The request as data is stored under its hash; `prompt` is set if asked for. A `void`
    answer was taken back later: it is not replayed any more."""

    event: Literal["call"] = "call"
    stage: str
    part_id: str | None
    step_id: str | None
    step_attempt: int
    request_hash: str
    prompt_hash: str | None
    prompt: str | None = None
    response: str
    reasoning: str
    model: str
    adapter: str | None
    endpoint: str
    temperature: float
    seed: int | None
    finish_reason: str
    prompt_tokens: int
    cached_tokens: int
    completion_tokens: int
    context_tokens: int | None
    cost: float
    latency: float
    retries: int
    reused: bool
    answer_id: str | None = None
    void: bool = False


class PlanEvent(_Event):
    """A well-formed plan, as JSON text."""

    event: Literal["plan"] = "plan"
    stage: str
    part_id: str | None
    plan: str


class EditEvent(_Event):
    """An edit, as JSON text, and the rung that applied it or why it was rejected."""

    event: Literal["edit"] = "edit"
    part_id: str
    step_id: str
    step_attempt: int
    path: str
    edit: str
    rung: str | None
    error: str | None
    before_hash: str | None
    after_hash: str | None


class TestEvent(_Event):
    """A run of tests; the whole report is stored under its hash."""

    __test__ = False  # keeps pytest from collecting it

    event: Literal["tests"] = "tests"
    purpose: str
    end: str
    exit_code: int | None
    counts: dict[str, int]
    seconds: float
    report_hash: str


Event = Annotated[DecisionEvent | CallEvent | PlanEvent | EditEvent | TestEvent, Field(discriminator="event")]


class OutcomeEvent(Frozen):
    """How an attempt ended, with its patch, the verdict it rests on, and the stage it failed at, if known.

    `own_tests` is the measured quality of the tests it wrote, if any. The test report behind the verdict is stored
    under `report_hash`.
    """

    attempt: int
    kind: OutcomeKind
    oracle: str | None
    patch: str
    alignment: dict[str, float] | None
    detail: str
    seconds: float
    created_at: datetime
    validation: Validation | None
    attribution: Attribution | None
    own_tests: TestQuality | None
    report_hash: str | None


class ReopeningEvent(Frozen):
    """The attempt that had closed a trajectory, its outcome, and why the trajectory was opened again."""

    attempt: int
    outcome: OutcomeKind
    reason: str
    created_at: datetime


class Trace(Frozen):
    """All evidence of a trajectory. If it is closed, `closed_attempt` is the attempt that counts."""

    id: str
    campaign: str
    repository: str
    instance: str
    commit: str
    base_commit: str
    package: str
    planner: str
    planner_identity: str
    temperature: float
    sample: int
    source: str
    attempts: int
    closed_attempt: int | None
    outcome: OutcomeKind | None
    opened_at: datetime
    closed_at: datetime | None
    events: tuple[Event, ...]
    outcomes: tuple[OutcomeEvent, ...]
    reopenings: tuple[ReopeningEvent, ...] = ()
