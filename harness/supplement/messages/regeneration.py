"""One commit: a model looks and writes, checks and a judge decide."""

from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from harness.supplement.messages.answers import (
    SCORES_SCHEMA,
    Description,
    Look,
    answer_schema,
    read_description,
    read_scores,
)
from harness.supplement.messages.asking import Answers, Asked, Endpoint, Unreadable, ask
from harness.supplement.messages.change import CodeChange
from harness.supplement.messages.checks import refuse
from harness.supplement.messages.surroundings import Surroundings, first_lines
from harness.supplement.templates import block
from models.chat import Message
from models.errors import ProviderError
from models.manifest import Commit
from models.messages import MessageRecord, MessageRefusal, MessageState, RubricScores
from store.keys import digest

REVISION = 1
"""Raised with every change of the templates or checks: decisions of older ones are made anew."""
THRESHOLD = 4.0
"""The least mean score of a description that is accepted."""
STEPS = 3
"""Questions to the writer at most: it may look at code in all but the last."""
WRITE_TOKENS, SCORE_TOKENS = 768, 192
_FOLDER = Path(__file__).parent
_DIFF, _SYMBOLS, _TESTS, _LOOKS = 6000, 1500, 500, 3000
"""Most tokens of a part of a prompt; in a small window each gets its part of the same whole."""
_ALL = 2 * (_DIFF + _SYMBOLS + _TESTS + _LOOKS)


@dataclass(frozen=True)
class Seen:
    """Code that a model asked to see."""

    path: str
    symbol: str
    code: str


@dataclass(frozen=True)
class MessageModels:
    """The writer and the judge, and the least mean score of what is accepted."""

    writer: Endpoint
    judge: Endpoint
    threshold: float = THRESHOLD

    @property
    def key(self) -> str:
        """The identity of a decision by these. Raises ProviderError."""
        return digest("message", REVISION, self.writer.identity, self.judge.identity, self.threshold)


@dataclass
class Decision:
    """What is known of a commit so far."""

    commit: Commit
    fault: str
    writing: Asked = field(default_factory=Asked)
    judging: Asked = field(default_factory=Asked)
    written: Description | None = None
    scores: RubricScores | None = None

    def record(self, models: MessageModels, reason: MessageRefusal | None, detail: str = "") -> MessageRecord:
        """The record of the decision: refused for a reason, or accepted."""
        return MessageRecord(
            commit=self.commit.sha,
            original=self.commit.message,
            fault=self.fault,
            text=self.written.text if self.written else "",
            state=MessageState.ACCEPTED if reason is None else MessageState.REFUSED,
            reason=reason,
            detail=detail,
            scores=self.scores,
            threshold=models.threshold,
            model=self.writing.model,
            judge=self.judging.model,
            prompt_hashes=tuple(self.writing.prompt_hashes),
            judge_prompt_hash=self.judging.prompt_hashes[-1] if self.judging.prompt_hashes else "",
            cost=self.writing.cost + self.judging.cost,
            key=models.key,
        )


def decide(
    models: MessageModels,
    answers: Answers,
    decision: Decision,
    change: CodeChange,
    surroundings: Surroundings,
    min_words: int,
) -> MessageRecord:
    """Have a commit's change described, and decide about the description.

    Raises ProviderError (also where a judge's answers cannot be read, which says nothing of the text), CapReached,
    PromptTooLong, InfrastructureError.
    """
    if not change.describable:
        return decision.record(models, MessageRefusal.NO_DIFF, "the change has no lines of text")
    try:
        decision.written = describe(models.writer, answers, change, surroundings, decision.writing)
    except Unreadable as error:
        return decision.record(models, MessageRefusal.MALFORMED, str(error))
    if refusal := refuse(decision.written, change, min_words):
        return decision.record(models, *refusal)
    try:
        decision.scores = judge(models.judge, answers, change, decision.written.text, decision.judging)
    except Unreadable as error:
        raise ProviderError(
            f"endpoint {models.judge.name!r} gave no scores that can be read ({error}); name another --judge"
        ) from error
    if decision.scores.mean < models.threshold:
        low = f"mean {decision.scores.mean:g} is below {models.threshold:g}"
        return decision.record(models, MessageRefusal.BELOW_THRESHOLD, low)
    return decision.record(models, None)


def describe(
    writer: Endpoint, answers: Answers, change: CodeChange, surroundings: Surroundings, asked: Asked
) -> Description:
    """A description of a change. Raises as `ask` does."""
    looks: list[list[Seen]] = []
    for steps_left in range(STEPS - 1, -1, -1):
        found = ask(
            writer,
            answers,
            partial(_writing, writer, change, surroundings, looks, steps_left),
            answer_schema(steps_left > 0),
            partial(read_description, may_look=steps_left > 0),
            asked,
        )
        if isinstance(found, Description):
            return found
        looks.append(_seen(found, surroundings, _budgets(writer)["looks"] // (STEPS - 1)))
    raise AssertionError("the last answer cannot be a look")


def judge(endpoint: Endpoint, answers: Answers, change: CodeChange, text: str, asked: Asked) -> RubricScores:
    """A judge's scores of a description, of which it is not told who wrote it. Raises as `ask` does."""
    budget = _budgets(endpoint)["diff"]

    def prompt(wrong: str, share: float) -> tuple[Message, ...]:
        others = first_lines(change.others, 200)
        shown = {"diff": change.cut(int(budget * share)), "others": others, "text": text, "wrong": wrong}
        return _messages("judge.jinja", shown)

    return ask(endpoint, answers, prompt, SCORES_SCHEMA, read_scores, asked)


def _writing(
    writer: Endpoint,
    change: CodeChange,
    surroundings: Surroundings,
    looks: list[list[Seen]],
    steps_left: int,
    wrong: str,
    share: float,
) -> tuple[Message, ...]:
    most = {name: int(tokens * share) for name, tokens in _budgets(writer).items()}
    shown = {
        "diff": change.cut(most["diff"]),
        "others": first_lines(change.others, 200),
        "symbols": first_lines(surroundings.symbols, most["symbols"]),
        "tests": first_lines(surroundings.tests, most["tests"]),
        "looks": looks,
        "steps_left": steps_left,
        "wrong": wrong,
    }
    return _messages("describe.jinja", shown)


def _messages(template: str, shown: dict[str, Any]) -> tuple[Message, ...]:
    return (
        Message(role="system", content=block(_FOLDER, template, "system", **shown)),
        Message(role="user", content=block(_FOLDER, template, "user", **shown)),
    )


def _budgets(endpoint: Endpoint) -> dict[str, int]:
    """Tokens of each part of a prompt."""
    parts = {"diff": _DIFF, "symbols": _SYMBOLS, "tests": _TESTS, "looks": _LOOKS}
    scale = min(1.0, 1.6 * endpoint.max_prompt_tokens / _ALL)
    return {name: int(tokens * scale) for name, tokens in parts.items()}


def _seen(look: Look, surroundings: Surroundings, budget: int) -> list[Seen]:
    each = budget // len(look.look)
    return [Seen(sight.path, sight.symbol, surroundings.code_of(sight.path, sight.symbol, each)) for sight in look.look]
