"""The state of a running training, and its checkpoint: one file, replaced as a whole."""

import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from models.errors import TrainingError
from training.fit.recipe import Recipe
from training.fit.trainers import unwritable

CHECKPOINT = "checkpoint.pt"


@dataclass
class Training:
    """A model with its optimizer and schedule, and what it did so far."""

    model: Any
    trained: list[Any]
    optimizer: Any
    schedule: Any
    losses: list[float] = field(default_factory=list)
    tokens: int = 0
    whole_tokens: int = 0
    cpu_seconds: float = 0.0

    @classmethod
    def begin(cls, model: Any, recipe: Recipe, steps: int, warmup: int) -> "Training":
        """A training before its first step, with AdamW and a cosine schedule after a linear warm-up."""
        import torch

        trained = [each for each in model.parameters() if each.requires_grad]
        optimizer = torch.optim.AdamW(trained, lr=recipe.learning_rate, weight_decay=recipe.weight_decay)

        def factor(step: int) -> float:
            if step < warmup:
                return (step + 1) / (warmup + 1)
            return 0.5 * (1 + math.cos(math.pi * (step - warmup) / max(1, steps - warmup)))

        return cls(model, trained, optimizer, torch.optim.lr_scheduler.LambdaLR(optimizer, factor))

    @property
    def done(self) -> int:
        """Steps done."""
        return len(self.losses)

    def note(self, loss: float, tokens: int, whole_tokens: int, cpu_seconds: float) -> None:
        """Count a step, and set the learning rate of the next."""
        self.schedule.step()
        self.losses.append(loss)
        self.tokens += tokens
        self.whole_tokens += whole_tokens
        self.cpu_seconds += cpu_seconds


def write_checkpoint(folder: Path, training: Training) -> None:
    """Write the state in place of the checkpoint before. Raises TrainingError if the disk does not take it."""
    import torch

    state = {
        "weights": [each.detach().cpu() for each in training.trained],
        "optimizer": training.optimizer.state_dict(),
        "schedule": training.schedule.state_dict(),
        "losses": training.losses,
        "counted": [training.tokens, training.whole_tokens, training.cpu_seconds],
    }
    part = folder / f".{CHECKPOINT}"
    try:
        torch.save(state, part)
        part.replace(folder / CHECKPOINT)
    except (OSError, RuntimeError) as error:
        raise unwritable(folder / CHECKPOINT, error) from error


def read_checkpoint(folder: Path, training: Training) -> None:
    """Set a training to the state of the checkpoint, if there is one. Raises TrainingError for a damaged one."""
    import pickle

    import torch

    if not (folder / CHECKPOINT).exists():
        return
    try:
        state = torch.load(folder / CHECKPOINT, map_location="cpu", weights_only=True)
        with torch.no_grad():
            for parameter, saved in zip(training.trained, state["weights"], strict=True):
                parameter.copy_(saved)
        training.optimizer.load_state_dict(state["optimizer"])
        training.schedule.load_state_dict(state["schedule"])
        training.losses = list(state["losses"])
        training.tokens, training.whole_tokens, training.cpu_seconds = state["counted"]
    except (OSError, EOFError, KeyError, ValueError, RuntimeError, pickle.UnpicklingError) as error:
        raise TrainingError(
            f"{folder / CHECKPOINT} is damaged ({error}); remove it, and the training begins anew"
        ) from error
