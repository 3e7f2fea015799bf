"""When an answer has got its tokens: those of a thinking trace and those of the answer, counted apart as serving does.

A base that thinks opens a trace with `<think>`, or its prompt does; what the trace takes is not the answer's.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from training.fit.chat import ChatFormat

OPEN, CLOSE = "<think>", "</think>"


@dataclass(frozen=True)
class TraceTokens:
    """The tokens around a thinking trace, for bases that have them as tokens of their own."""

    open: int
    close: int

    @classmethod
    def of(cls, chat: "ChatFormat") -> "TraceTokens | None":
        """Those of a base; None if it has none, or is told not to think."""
        known = chat.tokenizer.get_added_vocab()
        if chat.thinking is False or OPEN not in known or CLOSE not in known:
            return None
        return cls(known[OPEN], known[CLOSE])

    def opened(self, prompt: Sequence[int]) -> bool:
        """Whether a prompt ends inside a trace."""
        last = [token for token in prompt if token in (self.open, self.close)][-1:]
        return last == [self.open]


class Allowance:
    """Follows the answers of one batch as they grow, a token each at a time.

    answers: tokens that each answer may have; traces: tokens that each trace may have, its ends included; opened:
    whether each prompt ends inside a trace.
    """

    def __init__(
        self, answers: Sequence[int], traces: Sequence[int], opened: Sequence[bool], tokens: TraceTokens | None
    ) -> None:
        self._answers, self._traces, self._tokens = answers, traces, tokens
        self._inside = list(opened)
        self._traced = [0] * len(answers)
        self._answered = [0] * len(answers)

    def take(self, written: Sequence[int]) -> list[bool]:
        """Whether each answer has all that it may have, now that it got one more token."""
        return [self._row(row, token) for row, token in enumerate(written)]

    def _row(self, row: int, token: int) -> bool:
        tokens = self._tokens
        if tokens is not None and token == tokens.open and not self._answered[row] and not self._traced[row]:
            self._inside[row] = True
        if not self._inside[row]:
            self._answered[row] += 1
            return self._answered[row] >= self._answers[row]
        self._traced[row] += 1
        if tokens is not None and token == tokens.close:
            self._inside[row] = False
            return False
        return self._traced[row] >= self._traces[row]


def stopping(allowance: Allowance) -> Any:
    """The criteria for `generate` that end each row of a batch by its allowance."""
    import torch
    from transformers import StoppingCriteriaList

    def full(input_ids: Any, scores: Any, **kwargs: Any) -> Any:
        return torch.tensor(allowance.take(input_ids[:, -1].tolist()), device=input_ids.device)

    return StoppingCriteriaList([full])
