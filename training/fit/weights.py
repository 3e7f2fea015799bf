"""Weights of an answer's tokens in the loss: little for what is forced, its class's weight for what decides."""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from models.protocols import Stage
from training.data.sources.reading import CLASSES
from training.fit.decisions import Decision, Span, decisions_of, forced_spans, reasoning_spans, token_at, tokens_within


class AnswerTokens(NamedTuple):
    """What an answer's tokens do: `decisions` are (index of the token, class), `forced` and `reasoning` indices of
    tokens that are forced, and of reasoning in a plan."""

    length: int
    decisions: tuple[tuple[int, str], ...] = ()
    forced: frozenset[int] = frozenset()
    reasoning: frozenset[int] = frozenset()


def answer_tokens(stage: Stage, answer: str, offsets: Sequence[Span] | None, count: int) -> AnswerTokens:
    """The roles of an answer's `count` tokens, given the characters that each stands for.

    In a judge's answer all but the decisions is forced, in a plan the names of its JSON. Nothing is forced in an answer
    of an unknown form, or whose tokens cannot be placed in its text (None).
    """
    if offsets is None:
        return AnswerTokens(count)
    decisions = tuple(_placed(decisions_of(stage, answer), offsets))
    if stage in CLASSES:
        places = {index for index, _ in decisions}
        return AnswerTokens(count, decisions, frozenset(range(count)) - places if decisions else frozenset())
    forced = frozenset(tokens_within(offsets, forced_spans(stage, answer)))
    return AnswerTokens(count, (), forced, frozenset(tokens_within(offsets, reasoning_spans(stage, answer))) - forced)


def _placed(decisions: Iterable[Decision], offsets: Sequence[Span]) -> Iterable[tuple[int, str]]:
    for decision in decisions:
        yield token_at(offsets, decision.place), decision.label


def token_weights(
    tokens: AnswerTokens, forced: float, classes: Mapping[str, float], reasoning: float = 1.0
) -> list[float]:
    """The weight of each token of an answer: its class's for a decision, `forced` and `reasoning` for tokens that are,
    else 1."""
    weights = dict.fromkeys(tokens.reasoning, reasoning) | dict.fromkeys(tokens.forced, forced)
    weights |= {index: classes.get(label, 1.0) for index, label in tokens.decisions}
    return [weights.get(index, 1.0) for index in range(tokens.length)]
