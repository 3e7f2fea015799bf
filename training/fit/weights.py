"""Weights of an answer's tokens in the loss: little for what is forced, its class's weight for what decides."""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from models.protocols import Stage
from training.data.sources.reading import CLASSES
from training.fit.decisions import Decision, Span, decisions_of, forced_spans, token_at, tokens_within


class AnswerTokens(NamedTuple):
    """What an answer's tokens do: `decisions` are (index of the token, class), `forced` indices of forced ones."""

    length: int
    decisions: tuple[tuple[int, str], ...] = ()
    forced: frozenset[int] = frozenset()


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
    return AnswerTokens(count, (), frozenset(tokens_within(offsets, forced_spans(stage, answer))))


def _placed(decisions: Iterable[Decision], offsets: Sequence[Span]) -> Iterable[tuple[int, str]]:
    for decision in decisions:
        yield token_at(offsets, decision.place), decision.label


def token_weights(tokens: AnswerTokens, forced: float, classes: Mapping[str, float]) -> list[float]:
    """The weight of each token of an answer."""
    labels = dict(tokens.decisions)
    return [
        classes.get(labels[index], 1.0) if index in labels else forced if index in tokens.forced else 1.0
        for index in range(tokens.length)
    ]
