"""The training loss of each objective of a mixture.

It is noted as the trainer computes its own, from the same log-probabilities of tokens. Where the model's forward keeps
these to itself (Unsloth's fused loss), it is measured apart, of one step in `MEASURED_EVERY`: a forward pass without
gradients for each objective in the batch, in which the labels of the others are left out.
"""

from collections.abc import Callable
from functools import cache
from typing import Any

from models.objectives import Objective
from training.fit.columns import OBJECTIVES, PLACES
from training.fit.data import IGNORED
from training.fit.weighted_loss import column_collator

MEASURED_EVERY = 10
NoteObjective = Callable[[Objective, float, int], None]
"""Called with an objective, nats of a batch, and their tokens."""


@cache
def objective_trainer(parent: Any) -> Any:
    """`parent`, a supervised trainer of TRL, for data with a column of objectives; the loss stays as it is."""

    class ByObjective(parent):  # type: ignore[misc]
        note_objective: NoteObjective

        def __init__(self, *rest: Any, **named: Any) -> None:
            super().__init__(*rest, **named)
            collate: Any = getattr(self, "data_collator")  # noqa: B009 - the libraries' classes are untyped
            self.data_collator = column_collator(collate, OBJECTIVES, "int64")

        def _set_signature_columns_if_needed(self) -> None:
            super()._set_signature_columns_if_needed()
            if OBJECTIVES not in self._signature_columns:
                self._signature_columns.append(OBJECTIVES)

        def compute_loss(
            self, model: Any, inputs: dict[str, Any], return_outputs: bool = False, num_items_in_batch: Any = None
        ) -> Any:
            places = inputs.pop(OBJECTIVES, None)
            if places is None:  # validation rows are judged by objective elsewhere
                return super().compute_loss(model, inputs, return_outputs, num_items_in_batch)
            labels = inputs["labels"]
            learned = labels[:, 1:] != IGNORED
            noted: list[bool] = []

            def noting(*rest: Any, **named: Any) -> Any:
                outputs = model(*rest, **named)
                chances = getattr(outputs, "log_probs", None)
                if chances is not None:
                    self._note(chances.detach(), learned, places[:, 1:])
                    noted.append(True)
                return outputs

            result = super().compute_loss(noting, inputs, return_outputs, num_items_in_batch)
            if not noted and self.state.global_step % MEASURED_EVERY == 0:
                self._measure(model, {**inputs, "labels": labels}, learned, places[:, 1:])
            return result

        def _measure(self, model: Any, inputs: dict[str, Any], learned: Any, places: Any) -> None:
            import torch

            devices = [torch.cuda.current_device()] if torch.cuda.is_available() else []
            with torch.no_grad(), torch.random.fork_rng(devices=devices):  # dropout here changes none of the training
                for objective, place in PLACES.items():
                    own = learned & (places == place)
                    if tokens := int(own.sum()):
                        labels = torch.full_like(inputs["labels"], IGNORED)
                        labels[:, 1:][own] = inputs["labels"][:, 1:][own]
                        loss = model(**{**inputs, "labels": labels}).loss
                        self.note_objective(objective, float(loss) * tokens, tokens)

        def _note(self, chances: Any, learned: Any, places: Any) -> None:
            for objective, place in PLACES.items():
                own = learned & (places == place)
                if tokens := int(own.sum()):
                    self.note_objective(objective, -float(chances[own].float().sum()), tokens)

    return ByObjective
