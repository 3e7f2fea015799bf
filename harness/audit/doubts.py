"""A model's doubts about a log: it reads the whole attempt in one window and cites what it does not believe.

A doubt counts if it cites rows of the log and quotes one of them; what it says is not checked, so it is no fault. Each
answer is kept among those of planners (`cra answers`), and the same question is answered from there.
"""

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

from pydantic import Field

from agent.answers import read_answer
from harness.audit.findings import Finding
from harness.audit.record import AttemptLog
from llm import ChatRequest, Router
from models.chat import Message, prompt_text
from models.errors import PlanError, PromptTooLong
from models.plans import Frozen
from models.protocols import JUDGING_STAGES, Answer, Stage
from store.keys import digest
from store.runs import RawStore
from store.runs.answers import AUDIT, AnswerSlot
from store.runs.events import CallEvent, DecisionEvent, EditEvent, Event, PlanEvent

ANSWER_TOKENS = 1200
STAGE = Stage.ADJUSTMENT
"""The stage under which a router is asked; of an endpoint's router, all stages are the same."""
_SAME = (
    "model", "adapter", "endpoint", "prompt_tokens", "cached_tokens", "completion_tokens", "cost", "latency", "seed",
    "finish_reason", "retries",
)  # fmt: skip
"""Fields that an answer has of its completion."""
_MOST, _LEAST_QUOTE, _ATTEMPTS, _FRAME = 8, 6, 2, 8
_INSTRUCTIONS = """\
You audit the log of a coding agent. Each row begins with its number in brackets. A task led to questions, answers,
decisions, plans, edits, test runs and an outcome. Say what you doubt: a decision that its reason does not support, a
plan that misses the task, an edit that does not do what its step says, an outcome that the rows do not explain.
Answer with one JSON object: {"doubts": [{"cites": [row numbers], "quote": "text copied from a cited row", "why": "one
sentence"}]}. Copy each quote exactly. If you doubt nothing, answer {"doubts": []}.
"""
SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "doubts": {
            "type": "array",
            "maxItems": _MOST,
            "items": {
                "type": "object",
                "properties": {
                    "cites": {"type": "array", "items": {"type": "integer"}, "minItems": 1, "maxItems": 6},
                    "quote": {"type": "string"},
                    "why": {"type": "string"},
                },
                "required": ["cites", "quote", "why"],
                "additionalProperties": False,
            },
        }
    },
    "required": ["doubts"],
    "additionalProperties": False,
}


class Doubt(Frozen):
    """A doubt as a model writes it."""

    cites: tuple[int, ...] = Field(min_length=1, max_length=6)
    quote: str
    why: str = Field(min_length=1, max_length=2000)


class DoubtsAnswer(Frozen):
    """A model's answer."""

    doubts: tuple[Doubt, ...] = Field(max_length=_MOST)


class Doubts(NamedTuple):
    """Doubts that cite the log, how many do not, and what of the log was left out; `unreadable` says why there are
    none where no answer could be read. `answers` are the ids of the kept answers, of which `asked` are new; `cited` has
    the rows that the doubts cite as the model saw them."""

    findings: tuple[Finding, ...]
    dropped: int
    left_out: str
    unreadable: str = ""
    answers: tuple[str, ...] = ()
    asked: int = 0
    cited: Mapping[int, str] = MappingProxyType({})


def ask_doubts(log: AttemptLog, router: Router, endpoint: str, keep: RawStore) -> Doubts:
    """A model's doubts about an attempt; its answers are kept in `keep`, and not asked for again.

    Raises Unrestorable or DatabaseError if the task cannot be read, PromptTooLong if the log does not fit into the
    model's window, ProviderError, CapReached.
    """
    rows = {event.seq: row_text(event) for event in log.events}
    messages, left_out = _fitted(log, router, endpoint)
    wrong, answers, asked = "", list[str](), 0
    for attempt in range(_ATTEMPTS):
        most = router.max_output_tokens(STAGE, ANSWER_TOKENS)
        request = ChatRequest(messages=messages, max_tokens=most, temperature=0.0, seed=attempt, schema_=SCHEMA)
        slot, text = _kept(request, router, keep)
        answers.append(slot.id)
        asked += slot.answer is None
        try:
            said = read_answer(DoubtsAnswer, text, "doubts").doubts
        except PlanError as error:
            wrong = str(error)
            continue
        kept = tuple(
            Finding(check="doubt", cites=each.cites, detail=f"{each.why} ({each.quote!r})", severity="doubt")
            for each in said
            if _is_cited(each, rows)
        )
        cited = {row: rows[row] for each in kept for row in each.cites}
        return Doubts(kept, len(said) - len(kept), left_out, "", tuple(answers), asked, cited)
    why = f"endpoint {endpoint!r} gave no answer that can be read: {wrong}"
    return Doubts((), 0, left_out, why, tuple(answers), asked)


def _kept(request: ChatRequest, router: Router, keep: RawStore) -> tuple[AnswerSlot, str]:
    """The answer to a question, asked now if its place in the database was empty."""
    question = digest(AUDIT, router.identity, request.model_dump(mode="json"))
    slot = keep.answer_slot(question)
    if slot.answer is not None:
        return slot, slot.answer.text
    [completion] = router.complete(STAGE, request)
    answer = Answer(
        text=completion.text,
        reasoning=completion.reasoning,
        prompt=prompt_text(completion.sent or request.messages),
        **{name: getattr(completion, name) for name in _SAME},
    )
    keep.keep_answer(slot, AUDIT, answer)
    return slot, answer.text


def _is_cited(doubt: Doubt, rows: dict[int, str]) -> bool:
    """Whether all rows that a doubt cites are in the log, and one of them holds its quote."""
    quote = " ".join(doubt.quote.split())
    if len(quote) < _LEAST_QUOTE or any(cite not in rows for cite in doubt.cites):
        return False
    return any(quote in " ".join(rows[cite].split()) for cite in doubt.cites)


def _fitted(log: AttemptLog, router: Router, endpoint: str) -> tuple[tuple[Message, ...], str]:
    """The prompt with the whole log, or without the decisions of retrieval if that is too long; what was left out."""
    limit, size = router.max_prompt_tokens(STAGE, ANSWER_TOKENS), 0
    for whole in (True, False):
        text, left_out = packed(log, whole=whole)
        messages = (Message(role="system", content=_INSTRUCTIONS), Message(role="user", content=text))
        size = sum(router.count(STAGE, message.content) + _FRAME for message in messages)
        if size <= limit:
            return messages, left_out
    raise PromptTooLong(
        f"the log of {log.trace.id[:12]} has {size} tokens and endpoint {endpoint!r} takes {limit}; "
        "name one with a larger window: --with"
    )


def packed(log: AttemptLog, *, whole: bool = True) -> tuple[str, str]:
    """The log of an attempt as text, one paragraph a row, and what was left out of it.

    Prompts are not part of it: they are what their requests render to, which is checked otherwise. Without `whole`, the
    decisions of retrieval are left out, which are checked against the answers.
    """
    judging = {stage.value for stage in JUDGING_STAGES}
    shown = [
        event for event in log.events if whole or not (isinstance(event, DecisionEvent) and event.stage in judging)
    ]
    left = len(log.events) - len(shown)
    left_out = f"{left} decisions of retrieval" if left else ""
    note = f"\n\n{left_out} are left out here." if left_out else ""
    rows = "\n".join(row_text(event) for event in shown)
    task = log.request(log.calls[0]).task.text if log.calls else ""
    return f"Task:\n{task}\n\nLog:\n{rows}{note}\n\n{''.join(_outcome(log))}", left_out


def row_text(event: Event) -> str:
    """A row with its number."""
    number = f"[{event.seq}]"
    if isinstance(event, CallEvent):
        where = "/".join(filter(None, [event.part_id, event.step_id]))
        return f"{number} {event.stage} {where} attempt {event.step_attempt} answered:\n{event.response}"
    if isinstance(event, DecisionEvent):
        return f"{number} {event.stage} decided {event.subject}: {event.decision} ({event.reason})"
    if isinstance(event, PlanEvent):
        return f"{number} {event.stage} plan accepted{f' for {event.part_id}' if event.part_id else ''}"
    if isinstance(event, EditEvent):
        came = f"applied ({event.rung})" if event.rung else f"rejected: {event.error}"
        return f"{number} edit {event.part_id}/{event.step_id} {event.path}: {came}"
    counts = ", ".join(f"{count} {name}" for name, count in event.counts.items()) or "none"
    return f"{number} tests {event.purpose}: {event.end}, {counts}"


def _outcome(log: AttemptLog) -> Iterator[str]:
    outcome = log.outcome
    if outcome is None:
        yield "Outcome: none yet"
        return
    yield f"Outcome: {outcome.kind.value}. {outcome.detail}\n"
    if outcome.validation is not None:
        verdict = outcome.validation
        yield f"Hidden tests: {len(verdict.f2p_passed)} of those to mend pass, {len(verdict.f2p_failed)} fail; "
        yield f"{len(verdict.p2p_failed)} others broke.\n"
    yield f"Patch:\n{outcome.patch}"
