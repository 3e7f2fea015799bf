"""The attempts of a trajectory as events of an Inspect sample: a span for each attempt, in it one for each stage."""

import json
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import PurePath
from typing import Any

from models.chat import messages_by_role
from models.protocols import Stage
from models.suite import CaseStatus, SuiteReport
from store.runs import ExportedTrajectory, digest
from store.runs.events import CallEvent, DecisionEvent, EditEvent, Event, OutcomeEvent, PlanEvent, TestEvent

Json = dict[str, Any]
_ID = 22
_CASES = 30
"""Tests that did not pass, of a run, that are listed with their messages."""
_MESSAGE = 1000
"""Characters of a failure message."""
_STOPS = {"stop": "stop", "length": "max_tokens", "tool_calls": "tool_calls", "content_filter": "content_filter"}


def short_id(*parts: Any) -> str:
    """An id of the length of Inspect's own, derived from `parts`."""
    return digest("inspect", *parts)[:_ID]


def plain(value: Any) -> Any:
    """Data with lone surrogates, which JSON readers refuse, as escapes."""
    if isinstance(value, str):
        return value if value.isascii() else value.encode("utf-8", "backslashreplace").decode()
    if isinstance(value, dict):
        return {plain(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return value


def attempt_events(found: ExportedTrajectory, attempt: int) -> Iterator[Json]:
    """The events of an attempt in order, each within the span of its stage, and last how the attempt ended."""
    trace = found.trace
    own = [event for event in trace.events if event.attempt == attempt]
    ended = next((each for each in trace.outcomes if each.attempt == attempt), None)
    begin = _start(own[0]) if own else ended.created_at if ended else trace.opened_at
    writer = _Spans(trace.id, attempt, begin)
    outer = writer.open(f"attempt {attempt}", "attempt", None, begin)
    yield outer
    stage, step, last, span = "", "", begin, ""
    for event in own:
        last = event.created_at
        if (wanted := _stage(event)) != stage or _step(event) not in ("", step):
            if span:
                yield writer.close(span, event.created_at)
            stage, step = wanted, _step(event)
            opened = writer.open(f"{stage} {step}".strip(), "stage", outer["id"], _start(event))
            span = opened["id"]
            yield opened
        for number, each in enumerate(_event(found, event)):
            yield writer.place(each, span, f"{event.seq}.{number}", _start(event))
    if span:
        yield writer.close(span, last)
    if ended is not None:
        yield from _ending(found, ended, writer, outer["id"])
        last = ended.created_at
    yield writer.close(outer["id"], last)


class _Spans:
    """Gives events their ids, times and spans."""

    def __init__(self, trajectory: str, attempt: int, begin: datetime) -> None:
        self._key, self._begin, self._latest, self._count = (trajectory, attempt), begin, begin, 0

    def open(self, name: str, kind: str, parent: str | None, at: datetime) -> Json:
        self._count += 1
        key = short_id(*self._key, "span", self._count)
        data = {"event": "span_begin", "id": key, "name": name, "type": kind, "parent_id": parent}
        return self.place(data, key, f"begin {self._count}", at)

    def close(self, span: str, at: datetime) -> Json:
        return self.place({"event": "span_end", "id": span}, span, f"end {span}", at)

    def place(self, data: Json, span: str, position: int | str, at: datetime) -> Json:
        # What a row tells of began before it was written, but not before the event above it.
        at = self._latest = max(at, self._latest)
        since = (at - self._begin).total_seconds()
        return {
            **data,
            "uuid": short_id(*self._key, position),
            "span_id": span,
            "timestamp": at.isoformat(),
            "working_start": since,
        }


def _stage(event: Event) -> str:
    return Stage.CODE.value if event.event == "edit" or event.event == "tests" else event.stage


def _step(event: Event) -> str:
    """The part and step that an event is about, or nothing."""
    if event.event == "call" or event.event == "edit":
        return " ".join(filter(None, [event.part_id, event.step_id]))
    return (event.part_id or "") if event.event == "plan" else ""


def _start(event: Event) -> datetime:
    """When what a row tells began; the row itself was written at its end."""
    if event.event == "call" and not event.reused:
        return event.created_at - timedelta(seconds=event.latency)
    if event.event == "tests":
        return event.created_at - timedelta(seconds=event.seconds)
    return event.created_at


def _event(found: ExportedTrajectory, event: Event) -> list[Json]:
    if event.event == "call":
        return [_call(found.trace.id, event)]
    if event.event == "tests":
        return _tests(event, found.reports.get(event.report_hash))
    if event.event == "edit":
        return [_edit(event)]
    return [_plan(event)] if event.event == "plan" else [_decision(event)]


def _call(trajectory: str, event: CallEvent) -> Json:
    content: Any = event.response
    if event.reasoning:
        content = [{"type": "reasoning", "reasoning": event.reasoning}, {"type": "text", "text": event.response}]
    answer = {"id": short_id(trajectory, event.attempt, event.seq, "answer"), "role": "assistant", "content": content}
    return {
        "event": "model",
        "model": event.model,
        "role": event.stage,
        "input": [
            {"id": short_id("message", role, text), "role": role, "content": text}
            for role, text in messages_by_role(event.prompt)
        ],
        "tools": [],
        "tool_choice": "none",
        "config": {"temperature": event.temperature, "seed": event.seed},
        "output": {
            "model": event.model,
            "choices": [{"message": answer, "stop_reason": _STOPS.get(event.finish_reason, "unknown")}],
            "usage": call_usage(event),
            "time": event.latency,
        },
        "retries": event.retries or None,
        "cache": "read" if event.reused else None,
        "completed": event.created_at.isoformat(),
        "working_time": event.latency,
        "metadata": {
            "adapter": event.adapter,
            "endpoint": event.endpoint,
            "finish_reason": event.finish_reason,
            "step_attempt": event.step_attempt,
            "context_tokens": event.context_tokens,
            "request": event.request_hash,
            "prompt": event.prompt_hash,
        },
    }


def call_usage(call: CallEvent) -> Json:
    """Tokens and cost of a call; tokens that came from the server's cache are counted apart from the other input."""
    return {
        "input_tokens": max(0, call.prompt_tokens - call.cached_tokens),
        "input_tokens_cache_read": call.cached_tokens,
        "output_tokens": call.completion_tokens,
        "total_tokens": call.prompt_tokens + call.completion_tokens,
        "total_cost": call.cost,
    }


def _decision(event: DecisionEvent) -> Json:
    data = {"subject": event.subject, "decision": event.decision, "reason": event.reason}
    return {"event": "info", "source": f"decision: {event.stage}", "data": data}


def _plan(event: PlanEvent) -> Json:
    data = {"stage": event.stage, "part": event.part_id, "plan": _parsed(event.plan)}
    return {"event": "info", "source": f"plan accepted: {event.stage}", "data": data}


def _edit(event: EditEvent) -> Json:
    data = {
        "path": event.path,
        "edit": _parsed(event.edit),
        "applied by": event.rung,
        "rejected": event.error,
        "before": event.before_hash,
        "after": event.after_hash,
    }
    return {"event": "info", "source": f"edit: {'applied' if event.rung else 'rejected'}", "data": data}


def _parsed(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


def _tests(event: TestEvent, report: SuiteReport | None) -> list[Json]:
    said = f"{event.purpose} tests: {event.end}, {_counted(event.counts)} in {event.seconds:.1f} s"
    return _run(said, event.exit_code, event.created_at, report)


def _run(said: str, exit_code: int | None, ended: datetime, report: SuiteReport | None) -> list[Json]:
    """A test run as a command in the sandbox, which viewers hide at first, after its result in short."""
    command, printed, ill = (_command(report), report.output, _failures(report)) if report else ("", "", [])
    result = {"event": "info", "source": "test run", "data": "\n\n".join([said, *ill])}
    run = {
        "event": "sandbox",
        "action": "exec",
        "cmd": command or said,
        "result": exit_code,
        "output": printed or said,
        "completed": ended.isoformat(),
    }
    return [result, run]


def _command(report: SuiteReport) -> str:
    """The command as one would type it: without the folder that this machine keeps the interpreter in."""
    program, *rest = report.command or ("",)
    return " ".join([PurePath(program).name, *rest])


def _counted(counts: dict[str, int]) -> str:
    return ", ".join(f"{number} {status}" for status, number in sorted(counts.items())) or "no test"


def _failures(report: SuiteReport) -> list[str]:
    ill = [case for case in report.cases.values() if case.status in (CaseStatus.FAILED, CaseStatus.ERROR)]
    texts = [f"{case.status.value} {case.id}\n{case.message[:_MESSAGE]}" for case in ill[:_CASES]]
    texts += [f"not collected {path}\n{why[:_MESSAGE]}" for path, why in [*report.collection_errors.items()][:_CASES]]
    return texts + ([f"... and {len(ill) - _CASES} more"] if len(ill) > _CASES else [])


def _ending(found: ExportedTrajectory, ended: OutcomeEvent, writer: _Spans, parent: str) -> Iterator[Json]:
    """How an attempt ended: the hidden tests' run, the stage at fault, and the outcome."""
    at = ended.created_at
    opened = writer.open("validation", "stage", parent, at)
    yield opened
    if verdict := ended.validation:
        report = found.reports.get(ended.report_hash or "")
        said = (
            f"hidden tests ({verdict.oracle.value}): {verdict.kind.value}, {len(verdict.f2p_passed)} F2P passed, "
            f"{len(verdict.f2p_failed)} failed; {len(verdict.p2p_failed)} P2P not passed; {verdict.seconds:.1f} s"
        )
        for number, each in enumerate(_run(said, report.exit_code if report else None, at, report)):
            yield writer.place(each, opened["id"], f"verdict {number}", at)
    if found_fault := ended.attribution:
        data = found_fault.model_dump(mode="json")
        info = {"event": "info", "source": f"attribution: {found_fault.label.value}", "data": data}
        yield writer.place(info, opened["id"], "attribution", at)
    data = {
        "outcome": ended.kind.value,
        "blame by shape": ended.kind.blame.value,
        "detail": ended.detail,
        "confirmation": ended.validation.confirmation.sentence
        if ended.validation and ended.validation.confirmation
        else None,
        "own tests": ended.own_tests.sentence if ended.own_tests else None,
    }
    info = {"event": "info", "source": f"outcome: {ended.kind.value}", "data": data}
    yield writer.place(info, opened["id"], "outcome", at)
    if ended.patch:  # a text of its own is shown with its lines
        yield writer.place({"event": "info", "source": "patch", "data": ended.patch}, opened["id"], "patch", at)
    yield writer.close(opened["id"], at)
