"""Trajectories in ATIF, the Agent Trajectory Interchange Format of Harbor, in its version 1.7, which readers of later
ones accept.

A call of a model is an agent's step after the prompt it was shown (a system or user step, unless the step before showed
the same); edits and test runs are its tool calls, with what came of them as the observation; decisions of retrieval and
the outcome are system steps. Steps of all attempts follow each other, each naming its attempt.
"""

import json
from collections.abc import Iterator
from datetime import datetime
from importlib.metadata import version
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from exchange.inspect_events import plain
from models.chat import messages_by_role
from store.runs import ExportedTrajectory, ExportGroup, RawStore
from store.runs.events import CallEvent, DecisionEvent, EditEvent, Event, OutcomeEvent, PlanEvent, TestEvent, Trace


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class ToolCall(_Part):
    """Something that was done: an edit, or a run of tests."""

    tool_call_id: str
    function_name: str
    arguments: dict[str, Any]


class Result(_Part):
    """What came of a tool call, or of nothing that the agent asked for."""

    source_call_id: str | None = None
    content: str


class Observation(_Part):
    """Results of a step."""

    results: tuple[Result, ...]


class Metrics(_Part):
    """Tokens and cost of a call; `prompt_tokens` include the cached ones."""

    prompt_tokens: int
    completion_tokens: int
    cached_tokens: int
    cost_usd: float


class Step(_Part):
    """A step; only an agent's has a model, reasoning, tool calls or metrics."""

    step_id: Annotated[int, Field(ge=1)]
    timestamp: str
    source: Literal["system", "user", "agent"]
    message: str
    model_name: str | None = None
    reasoning_content: str | None = None
    tool_calls: tuple[ToolCall, ...] | None = None
    observation: Observation | None = None
    metrics: Metrics | None = None
    llm_call_count: int | None = None
    extra: dict[str, Any] | None = None

    @model_validator(mode="after")
    def _agents_alone(self) -> Self:
        own = (self.model_name, self.reasoning_content, self.tool_calls, self.metrics)
        if self.source != "agent" and any(each is not None for each in own):
            raise ValueError(f"step {self.step_id} is of the {self.source} and has what only an agent's may have")
        if self.llm_call_count == 0 and (self.metrics or self.reasoning_content):
            raise ValueError(f"step {self.step_id} asked no model and has a model's metrics or reasoning")
        return self

    @model_validator(mode="after")
    def _results_of_own_calls(self) -> Self:
        known = {call.tool_call_id for call in self.tool_calls or ()} | {None}
        for result in self.observation.results if self.observation else ():
            if result.source_call_id not in known:
                raise ValueError(f"step {self.step_id} has a result of {result.source_call_id}, which it did not call")
        return self


class Agent(_Part):
    """Who did it."""

    name: str
    version: str
    model_name: str | None = None
    extra: dict[str, Any] | None = None


class FinalMetrics(_Part):
    """Sums over all steps."""

    total_prompt_tokens: int
    total_completion_tokens: int
    total_cached_tokens: int
    total_cost_usd: float
    total_steps: int
    extra: dict[str, Any] | None = None


class Trajectory(_Part):
    """A trajectory; steps are numbered from 1."""

    schema_version: Literal["ATIF-v1.7"] = "ATIF-v1.7"
    session_id: str
    trajectory_id: str
    agent: Agent
    steps: Annotated[tuple[Step, ...], Field(min_length=1)]
    notes: str | None = None
    final_metrics: FinalMetrics
    extra: dict[str, Any] | None = None

    @model_validator(mode="after")
    def _numbered(self) -> Self:
        if [step.step_id for step in self.steps] != list(range(1, len(self.steps) + 1)):
            raise ValueError("steps are not numbered from 1 on")
        return self


def export_trajectories(store: RawStore, group: ExportGroup) -> Iterator[tuple[ExportedTrajectory, str]]:
    """The begun trajectories of a planner, each with its line of JSON."""
    for found in store.exported(group):
        yield found, json.dumps(trajectory(found, group).model_dump(mode="json", exclude_none=True))


def file_name(found: ExportedTrajectory) -> str:
    """Where a trajectory lies below the folder of an export: a folder each, as Harbor's viewer expects."""
    trace = found.trace
    return f"{found.label}__{trace.planner}-t{trace.temperature:g}-s{trace.sample}/agent/trajectory.json"


def trajectory(found: ExportedTrajectory, group: ExportGroup) -> Trajectory:
    """A trajectory in ATIF."""
    trace = found.trace
    steps = _Steps(found)
    for number in sorted({each.attempt for each in trace.events} | {each.attempt for each in trace.outcomes}):
        for event in trace.events:
            if event.attempt == number:
                steps.add(event)
        for outcome in trace.outcomes:
            if outcome.attempt == number:
                steps.end(outcome)
    calls = [event for event in trace.events if event.event == "call"]
    paid = [call for call in calls if not call.reused]
    return Trajectory(
        session_id=trace.id,
        trajectory_id=trace.id,
        agent=Agent(
            name=f"clean-room-agent {trace.planner}",
            version=version("clean-room-agent"),
            model_name=calls[0].model if calls else None,
            extra={"temperature": trace.temperature, "sample": trace.sample},
        ),
        steps=tuple(steps.made),
        notes=None if trace.outcome else "not finished: no attempt has reached a verdict",
        final_metrics=FinalMetrics(
            total_prompt_tokens=sum(call.prompt_tokens for call in paid),
            total_completion_tokens=sum(call.completion_tokens for call in paid),
            total_cached_tokens=sum(call.cached_tokens for call in paid),
            total_cost_usd=sum(call.cost for call in paid),
            total_steps=len(steps.made),
            extra={"seconds": sum(outcome.seconds for outcome in trace.outcomes)},
        ),
        extra=_about(trace, group),
    )


def _about(trace: Trace, group: ExportGroup) -> dict[str, Any]:
    return {
        "campaign": group.name,
        "campaign_id": trace.campaign,
        "instance_id": trace.instance,
        "repository": trace.repository,
        "commit": trace.commit,
        "base_commit": trace.base_commit,
        "outcome": trace.outcome.value if trace.outcome else None,
    }


class _Steps:
    """Steps in the making."""

    def __init__(self, found: ExportedTrajectory) -> None:
        self.made: list[Step] = []
        self._reports = found.reports
        self._shown: list[tuple[str, str]] = []
        self._step("user", found.trace.opened_at, found.task)

    def add(self, event: Event) -> None:
        """Add what an event tells."""
        if event.event == "call":
            self._call(event)
        elif event.event == "decision" or event.event == "plan":
            self._step("system", event.created_at, _said(event), extra=_where(event))
        else:
            self._done(event)

    def end(self, outcome: OutcomeEvent) -> None:
        """Add how an attempt ended."""
        extra: dict[str, Any] = {"attempt": outcome.attempt, "outcome": outcome.kind.value, "patch": outcome.patch}
        if outcome.attribution:
            extra["stage_at_fault"] = outcome.attribution.label.value
        message = f"attempt {outcome.attempt} ended: {outcome.kind.value}. {outcome.detail}".strip()
        self._step("system", outcome.created_at, message, extra=extra)

    def _call(self, event: CallEvent) -> None:
        shown = messages_by_role(event.prompt)
        for role, text in shown:
            if (role, text) not in self._shown:
                self._step("system" if role == "system" else "user", event.created_at, text, extra=_where(event))
        self._shown = shown
        metrics = Metrics(
            prompt_tokens=event.prompt_tokens,
            completion_tokens=event.completion_tokens,
            cached_tokens=event.cached_tokens,
            cost_usd=event.cost,
        )
        self._step(
            "agent",
            event.created_at,
            event.response,
            model_name=event.model,
            reasoning_content=event.reasoning or None,
            metrics=metrics,
            llm_call_count=1,
            extra={**_where(event), "adapter": event.adapter, "finish_reason": event.finish_reason},
        )

    def _done(self, event: EditEvent | TestEvent) -> None:
        """A step of the agent that asked no model: an edit or a test run, and what came of it."""
        if event.event == "edit":
            name, arguments = "edit", {"path": event.path, "edit": event.edit}
            content = f"applied ({event.rung})" if event.rung else f"rejected: {event.error}"
        else:
            report = self._reports.get(event.report_hash)
            name, arguments = "run_tests", {"purpose": event.purpose}
            content = f"{event.end} {event.counts}\n{report.output if report else ''}".strip()
        call = ToolCall(
            tool_call_id=f"call-{event.attempt}-{event.seq}", function_name=name, arguments=plain(arguments)
        )
        self._step(
            "agent",
            event.created_at,
            "",
            tool_calls=(call,),
            observation=Observation(results=(Result(source_call_id=call.tool_call_id, content=plain(content)),)),
            llm_call_count=0,
            extra=_where(event),
        )

    def _step(self, source: Literal["system", "user", "agent"], at: datetime, message: str, **more: Any) -> None:
        number = len(self.made) + 1
        text = {key: plain(value) if key in ("extra", "reasoning_content") else value for key, value in more.items()}
        self.made.append(Step(step_id=number, timestamp=at.isoformat(), source=source, message=plain(message), **text))


def _said(event: DecisionEvent | PlanEvent) -> str:
    if event.event == "plan":
        return f"{event.stage} plan accepted{f' for {event.part_id}' if event.part_id else ''}:\n{event.plan}"
    return f"{event.stage} decided {event.subject}: {event.decision} ({event.reason})"


def _where(event: Event) -> dict[str, Any]:
    found: dict[str, Any] = {"attempt": event.attempt}
    for name in ("stage", "part_id", "step_id"):
        if value := getattr(event, name, None):
            found[name] = value
    return found
