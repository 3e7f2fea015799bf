"""The loss of a supervised trainer with a weight for each token: sum of weight x loss over sum of weights, per step.

With all weights 1 it is the trainer's own mean over the answers' tokens, to the last bit: its own code computes it,
from log-probabilities that are multiplied by 1.
"""

from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

from training.fit.columns import WEIGHTS
from training.fit.data import IGNORED

Collator = Callable[[Sequence[dict[str, Any]]], dict[str, Any]]


def column_collator(collate: Collator, column: str, dtype: str) -> Collator:
    """`collate`, with a column of the tokens padded by 0 (or, for packed rows, concatenated) as the tokens are."""
    import torch

    def collated(examples: Sequence[dict[str, Any]]) -> dict[str, Any]:
        batch = collate(examples)
        if column not in examples[0]:
            return batch
        kind = getattr(torch, dtype)
        rows = [torch.tensor(example[column], dtype=kind) for example in examples]
        if batch["input_ids"].shape[0] != len(rows):
            rows = [torch.cat(rows)]
        values = torch.zeros(batch["input_ids"].shape, dtype=kind)
        for place, row in enumerate(rows):
            values[place, : len(row)] = row
        return {**batch, column: values}

    return collated


@cache
def weighted_trainer(parent: Any) -> Any:
    """`parent`, a supervised trainer of TRL, for data with a column of weights."""

    class Weighted(parent):  # type: ignore[misc]
        def __init__(self, *rest: Any, **named: Any) -> None:
            super().__init__(*rest, **named)
            collate: Any = getattr(self, "data_collator")  # noqa: B009 - the libraries' classes are untyped
            self.data_collator = column_collator(collate, WEIGHTS, "float32")

        def _set_signature_columns_if_needed(self) -> None:
            super()._set_signature_columns_if_needed()
            if WEIGHTS not in self._signature_columns:
                self._signature_columns.append(WEIGHTS)

        def _get_num_items_in_batch(self, batch_samples: list[dict[str, Any]], device: Any) -> Any:
            """The sum of the weights of the step, in place of the count of its tokens."""
            if super()._get_num_items_in_batch(batch_samples, device) is None:
                return None
            return sum(_sum_of(batch["labels"], batch[WEIGHTS]) for batch in batch_samples).to(device)

        def compute_loss(
            self, model: Any, inputs: dict[str, Any], return_outputs: bool = False, num_items_in_batch: Any = None
        ) -> Any:
            weights = inputs.pop(WEIGHTS, None)
            if weights is None:  # validation rows have none
                return super().compute_loss(model, inputs, return_outputs, num_items_in_batch)
            total = _sum_of(inputs["labels"], weights) if num_items_in_batch is None else num_items_in_batch
            least = total.clamp(max=1)  # the trainer divides by 1 at least
            scale = least if float(least) < 1 else None

            def weighing(*rest: Any, **named: Any) -> Any:
                outputs = model(*rest, **named)
                factors = weights[:, 1:] if scale is None else weights[:, 1:] / scale
                outputs.log_probs = outputs.log_probs * factors
                return outputs

            return super().compute_loss(weighing, inputs, return_outputs, total)

    return Weighted


def _sum_of(labels: Any, weights: Any) -> Any:
    """The sum of the weights of the tokens that are learned."""
    return weights[:, 1:][labels[:, 1:] != IGNORED].sum()
