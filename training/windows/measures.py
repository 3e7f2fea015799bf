"""What a model does at each position of its context: loss, memory of keys and values, tokens a second."""

import time
from collections import defaultdict
from collections.abc import Sequence
from typing import Any, NamedTuple

from training.windows.texts import CodeSequence

_SLICE = 512
"""Positions whose logits are in memory at a time."""
_DECODED = 16
"""Tokens generated to measure decoding."""


class KeyValueMemory(NamedTuple):
    """Bytes of keys and values for each token: computed from the configuration, and of the cache of a real prompt."""

    computed: int
    measured: int


class Speed(NamedTuple):
    """Tokens a second with a window in full use: reading a prompt of its length, and writing after it."""

    prefill: float
    decode: float


def losses_by_position(
    model: Any, sequences: Sequence[CodeSequence], size: int, bf16: bool = False
) -> dict[str, list[float]]:
    """Mean loss (nats a token) of each repository in buckets of `size` positions: the loss of predicting the token at
    that position from all before it."""
    import torch

    rows: dict[str, list[Any]] = defaultdict(list)
    for sequence in sequences:
        losses = torch.cat([torch.zeros(1), token_losses(model, sequence.ids, bf16)])  # nothing predicts the first
        sums = losses.reshape(-1, size).sum(1)
        counts = torch.full_like(sums, size)
        counts[0] -= 1
        rows[sequence.repository].append(sums / counts)
    return {name: [float(value) for value in torch.stack(each).mean(0)] for name, each in sorted(rows.items())}


def token_losses(model: Any, ids: list[int], bf16: bool = False) -> Any:
    """The loss of each token but the first, on the CPU; logits are computed for a slice of positions at a time."""
    import torch

    tokens = torch.tensor([ids], device=model.device)
    head = model.get_output_embeddings()
    found = []
    with torch.no_grad(), torch.autocast(model.device.type, torch.bfloat16, enabled=bf16):
        hidden = model.get_decoder()(input_ids=tokens, use_cache=False).last_hidden_state[0, :-1]
        for start in range(0, len(hidden), _SLICE):
            logits = head(hidden[start : start + _SLICE]).float()
            wanted = tokens[0, start + 1 : start + 1 + len(logits)]
            found.append(torch.nn.functional.cross_entropy(logits, wanted, reduction="none").cpu())
    return torch.cat(found)


def key_value_memory(model: Any, ids: list[int]) -> KeyValueMemory:
    """Bytes of keys and values for each token in the model's own precision."""
    import torch

    config = model.config
    heads = getattr(config, "num_key_value_heads", None) or config.num_attention_heads
    head = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    size = torch.empty(0, dtype=model.dtype).element_size()
    with torch.no_grad():
        cache = model(
            input_ids=torch.tensor([ids], device=model.device), use_cache=True, logits_to_keep=1
        ).past_key_values
    measured = sum(layer.keys.nbytes + layer.values.nbytes for layer in cache.layers)
    return KeyValueMemory(2 * config.num_hidden_layers * heads * head * size, measured // len(ids))


def speed_at(model: Any, ids: list[int], bf16: bool = False) -> Speed:
    """How fast a prompt of these tokens is read, and tokens are written after it."""
    import torch

    tokens = torch.tensor([ids], device=model.device)
    with torch.no_grad(), torch.autocast(model.device.type, torch.bfloat16, enabled=bf16):
        started = time.monotonic()
        state = model(input_ids=tokens, use_cache=True, logits_to_keep=1)
        read = time.monotonic()
        for _ in range(_DECODED):
            following = state.logits[:, -1:].argmax(-1)
            state = model(input_ids=following, past_key_values=state.past_key_values, use_cache=True)
        done = time.monotonic()
    return Speed(len(ids) / (read - started), _DECODED / (done - read))
