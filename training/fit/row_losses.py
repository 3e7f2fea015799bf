"""Losses of given answers under a causal language model, one row at a time, without gradients."""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from training.fit.data import IGNORED, TrainingRow


class AnswerLoss(NamedTuple):
    """The loss of one answer: nats in all, its tokens, and those of them that the model would have written there."""

    nats: float
    tokens: int
    agreed: int

    @property
    def mean(self) -> float:
        """Nats per token."""
        return self.nats / self.tokens


def answer_losses(model: Any, rows: Sequence[TrainingRow]) -> Iterator[AnswerLoss]:
    """The loss of each row's labelled tokens, which are at its end."""
    import torch

    with torch.no_grad():
        for row in rows:
            first = next(index for index, label in enumerate(row.labels) if label != IGNORED)
            kept = len(row.ids) - first + 1
            ids = torch.tensor([row.ids], device=model.device)
            logits = model(input_ids=ids, logits_to_keep=kept, use_cache=False).logits[0, :-1].float()
            answer = torch.tensor(row.ids[first:], device=model.device)
            nats = -float(logits.log_softmax(-1).gather(1, answer[:, None]).sum())
            yield AnswerLoss(nats, len(answer), int((logits.argmax(-1) == answer).sum()))
