"""What the planner was asked and answered in one commit, held in memory until it is known to be right."""

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from agent.asking import MALFORMED
from agent.retrieve.judgements import parse_precision, parse_scope
from harness.planners.student import StudentLimits
from llm.tokens import MESSAGE_FRAME, PROMPT_FRAME
from models.edits import EditResult
from models.plans import MetaPlan, PartPlan
from models.protocols import JUDGING_STAGES, Answer, Recorder, Request, Stage
from models.suite import SuiteReport

UNREADABLE, OVER_WINDOW = "answer not readable", "prompt and answer over the window"
Event = Callable[[Recorder], None]


@dataclass
class Recording:
    """`models.protocols.Recorder` in memory: the calls of some stages, in order, and what else was recorded of them."""

    stages: frozenset[Stage]
    limits: StudentLimits
    known: frozenset[str | None] = frozenset()
    """Prompts that another recording has, whose calls are not kept again."""
    events: list[tuple[Stage, Event]] = field(default_factory=list)
    calls: list[tuple[Request, Answer]] = field(default_factory=list)
    _kept: bool = False
    refused: Counter[tuple[str, str]] = field(default_factory=Counter)
    """Calls that are left out, by stage and reason."""

    def call(self, request: Request, answer: Answer) -> None:
        """Keep a call that a student could be trained on; one that outgrows the window is counted."""
        stage, self._kept = request.stage, False
        if stage not in self.stages or (answer.prompt in self.known and answer.prompt is not None):
            return
        if self._tokens(answer) > self.limits.windows[stage]:
            self.refused[stage.value, OVER_WINDOW] += 1
            return
        self._kept = True
        self.calls.append((request, answer))
        self.events.append((stage, lambda recorder: recorder.call(request, answer)))

    def plan(self, stage: Stage, plan: MetaPlan | PartPlan) -> None:
        """Keep a plan."""
        if stage in self.stages:
            self.events.append((stage, lambda recorder: recorder.plan(stage, plan)))

    def edits(self, part_id: str, step_id: str, attempt: int, results: list[EditResult]) -> None:
        """Keep the results of edits, if their call was kept."""
        if Stage.CODE in self.stages and self._kept:
            self.events.append((Stage.CODE, lambda recorder: recorder.edits(part_id, step_id, attempt, results)))

    def tests(self, purpose: str, report: SuiteReport) -> None:
        """No test is run."""

    def decision(self, stage: Stage, subject: str, decision: str, reason: str) -> None:
        """Keep a decision; the call before one that could not be read is left out, and counted."""
        if stage not in self.stages:
            return
        if decision == MALFORMED:
            self._drop_last(stage)
            return
        self.events.append((stage, lambda recorder: recorder.decision(stage, subject, decision, reason)))

    def of(self, stages: Iterable[Stage]) -> list[Event]:
        """The events of some stages, in order."""
        wanted = frozenset(stages)
        return [event for stage, event in self.events if stage in wanted]

    def drop(self, stages: Iterable[Stage], reason: str) -> None:
        """Leave out all calls of some stages, and count them."""
        wanted = frozenset(stages)
        for request, _ in self.calls:
            if request.stage in wanted:
                self.refused[request.stage.value, reason] += 1
        self.calls = [call for call in self.calls if call[0].stage not in wanted]
        self.events = [event for event in self.events if event[0] not in wanted]

    def _drop_last(self, stage: Stage) -> None:
        """Leave out the last call, of this stage, whose answer its parser refused, if it was kept."""
        if self._kept:
            self._kept = False
            self.refused[stage.value, UNREADABLE] += 1
            self.calls.pop()
            self.events.pop(max(index for index, (of, _) in enumerate(self.events) if of is stage))

    @property
    def prompts(self) -> frozenset[str | None]:
        """The prompts of its calls."""
        return frozenset(answer.prompt for _, answer in self.calls)

    def counts(self) -> tuple[Counter[str], Counter[tuple[str, str]]]:
        """Calls by stage, and judgements by stage and class."""
        classes: Counter[tuple[str, str]] = Counter()
        for request, answer in self.calls:
            classes.update((request.stage.value, each) for each in judged(request, answer.text))
        return Counter(request.stage.value for request, _ in self.calls), classes

    @staticmethod
    def _tokens(answer: Answer) -> int:
        return answer.prompt_tokens + 2 * MESSAGE_FRAME + PROMPT_FRAME + answer.completion_tokens


def judged(request: Request, text: str) -> list[str]:
    """The classes that an answer of scope or precision gives, one for each candidate or symbol; of others none."""
    if request.stage is Stage.SCOPE:
        return [each.relevance.value for each in parse_scope(text, request.candidates)]
    if request.stage is Stage.PRECISION:
        return [each.use.value for each in parse_precision(text, request.outlines)]
    return []


WORKING_STAGES = tuple(stage for stage in Stage if stage not in JUDGING_STAGES)
"""The stages after retrieval."""
