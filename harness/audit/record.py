"""The log of one attempt as values: its events in order, with requests and test reports restored."""

import json
from dataclasses import dataclass
from functools import cached_property

from pydantic import ValidationError

from models.context import ContextPackage
from models.errors import CleanRoomError
from models.protocols import JUDGING_STAGES, Request, SourceFile
from models.suite import SuiteReport
from store.runs import RawStore, Trace
from store.runs.events import CallEvent, DecisionEvent, Event, OutcomeEvent, TestEvent
from store.runs.measurements import MEASURED


class Unrestorable(CleanRoomError):
    """A stored request or report is not what its kind of text is."""


@dataclass(frozen=True)
class AttemptLog:
    """The attempt of a trace that counts, or the last one."""

    store: RawStore
    trace: Trace

    @cached_property
    def attempt(self) -> int | None:
        """Its number; None: none was begun."""
        if self.trace.closed_attempt is not None:
            return self.trace.closed_attempt
        return max((event.attempt for event in self.trace.events), default=None)

    @cached_property
    def events(self) -> tuple[Event, ...]:
        """Its events, in order."""
        return tuple(event for event in self.trace.events if event.attempt == self.attempt)

    @cached_property
    def calls(self) -> tuple[CallEvent, ...]:
        """Its calls, in order."""
        return tuple(event for event in self.events if isinstance(event, CallEvent))

    @cached_property
    def outcome(self) -> OutcomeEvent | None:
        """How it ended; None: it has no outcome yet."""
        return next((each for each in self.trace.outcomes if each.attempt == self.attempt), None)

    @property
    def ended(self) -> bool:
        """Whether the attempt came to its end: one that a fault cut short may lack what follows from its last rows."""
        return self.outcome is not None and self.outcome.kind.final

    @cached_property
    def loop_events(self) -> tuple[Event, ...]:
        """The events of the main loop after retrieval, without the measurement of tests that follows it."""
        judging = {stage.value for stage in JUDGING_STAGES}

        def of_loop(event: Event) -> bool:
            if isinstance(event, DecisionEvent):
                return event.stage not in judging and event.decision != MEASURED
            return not isinstance(event, CallEvent) or event.stage not in judging

        return tuple(event for event in self.events if of_loop(event))

    def request(self, call: CallEvent) -> Request:
        """The request of a call, with its files and context. Raises Unrestorable, DatabaseError."""
        try:
            question = json.loads(self.store.get_text(call.request_hash))
            files = question.pop("files")
            context = question.pop("context")
            request = Request.model_validate(question)
            return request.model_copy(
                update={
                    "context": None
                    if context is None
                    else ContextPackage.model_validate_json(self.store.get_text(context["sha256"])),
                    "files": tuple(
                        SourceFile(
                            path=file["path"],
                            text=None if file["sha256"] is None else self.store.get_text(file["sha256"]),
                        )
                        for file in files
                    ),
                }
            )
        except (ValueError, ValidationError, KeyError, TypeError) as error:
            raise Unrestorable(f"the request {call.request_hash[:12]} is none: {_first_line(error)}") from error

    def report(self, event: TestEvent) -> SuiteReport:
        """The report of a test run. Raises Unrestorable, DatabaseError."""
        return self.report_of(event.report_hash)

    def report_of(self, key: str) -> SuiteReport:
        """The report under a hash. Raises Unrestorable, DatabaseError."""
        try:
            return SuiteReport.model_validate_json(self.store.get_text(key))
        except (ValueError, ValidationError) as error:
            raise Unrestorable(f"the report {key[:12]} is none: {_first_line(error)}") from error

    def context(self) -> ContextPackage | None:
        """The context that the first question after retrieval shows. Raises Unrestorable, DatabaseError."""
        judging = {stage.value for stage in JUDGING_STAGES}
        first = next((call for call in self.calls if call.stage not in judging), None)
        return None if first is None else self.request(first).context


def damaged(error: Exception) -> str:
    """What is wrong with a text, in one line."""
    return _first_line(error)


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
