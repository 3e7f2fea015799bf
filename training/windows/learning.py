"""Training all weights of a model on plain code, with a fixed number of tokens in each step whatever the window."""

import math
import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from models.errors import TrainingError
from models.plans import Frozen


class LearningSettings(Frozen):
    """learning_rate: the peak of a cosine schedule with a warm-up. step_tokens: of one optimizer step. bf16: a
    processor computes in bf16, on weights in float32."""

    learning_rate: float
    warmup: float = 0.05
    weight_decay: float = 0.01
    max_gradient: float = 1.0
    step_tokens: int = 2048
    bf16: bool = False


class Learned(NamedTuple):
    """What a training did: its losses by step, tokens, and seconds."""

    losses: list[float]
    tokens: int
    seconds: float


def learn(
    model: Any, chunks: Sequence[list[int]], settings: LearningSettings, told: Callable[[int, int], None]
) -> Learned:
    """Train the model in place, one sequence at a time, several to a step; `told` gets tokens done and of all.

    Raises TrainingError if the loss is not finite, or memory does not suffice for one sequence.
    """
    import torch

    rows = max(1, settings.step_tokens // len(chunks[0]))
    steps = math.ceil(len(chunks) / rows)
    optimizer = torch.optim.AdamW(model.parameters(), lr=settings.learning_rate, weight_decay=settings.weight_decay)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: _rate(step, steps, settings.warmup))
    model.train()
    losses: list[float] = []
    started, tokens = time.monotonic(), 0
    for step in range(steps):
        batch = chunks[step * rows : (step + 1) * rows]
        try:
            loss = sum(_backward(model, ids, len(batch), settings) for ids in batch)
        except (MemoryError, torch.OutOfMemoryError) as error:
            raise TrainingError(
                f"a sequence of {len(batch[0])} tokens does not fit into memory; give smaller windows"
            ) from error
        if not math.isfinite(loss):
            raise TrainingError(f"step {step + 1}: the loss is {loss}; lower --learning-rate")
        torch.nn.utils.clip_grad_norm_(model.parameters(), settings.max_gradient)
        optimizer.step()
        schedule.step()
        optimizer.zero_grad(set_to_none=True)
        losses.append(loss)
        tokens += sum(map(len, batch))
        told(tokens, sum(map(len, chunks)))
    model.eval()
    return Learned(losses, tokens, time.monotonic() - started)


def _backward(model: Any, ids: list[int], rows: int, settings: LearningSettings) -> float:
    """Add the gradient of one of `rows` sequences; returns its share of the loss."""
    import torch

    tokens = torch.tensor([ids], device=model.device)
    with torch.autocast(model.device.type, torch.bfloat16, enabled=settings.bf16):
        loss = model(input_ids=tokens, labels=tokens, use_cache=False).loss / rows
    loss.backward()
    return float(loss.detach())


def _rate(step: int, steps: int, warmup: float) -> float:
    """The share of the peak learning rate at a step."""
    rising = int(steps * warmup)
    if step < rising:
        return (step + 1) / (rising + 1)
    return 0.5 * (1 + math.cos(math.pi * (step - rising) / max(1, steps - rising)))
