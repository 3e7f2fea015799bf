"""Prompts that begin alike, computed once as far as they do.

The keys and values of the common beginning are computed for one row and repeated over the batch; the rest of each row
attends to them. With 30 candidates of one task it is a quarter of the tokens. The logits are those of whole rows, up to
rounding, and gradients flow through the beginning as well.
"""

from collections.abc import Sequence
from contextlib import nullcontext
from itertools import takewhile
from typing import Any, NamedTuple

ROWS = 10
"""Rows per forward pass: padding and memory grow with them."""


class SharedPrompts(NamedTuple):
    """Token ids of prompts: what all begin with, and the rest of each, which is never empty."""

    prefix: list[int]
    rests: list[list[int]]

    @property
    def tokens(self) -> int:
        """Tokens that are computed, without padding."""
        return len(self.prefix) + sum(map(len, self.rests))

    @property
    def longest(self) -> int:
        """Tokens of the longest prompt."""
        return len(self.prefix) + max(map(len, self.rests))


def share(prompts: Sequence[Sequence[int]]) -> SharedPrompts:
    """Prompts cut after their longest common beginning, each with one token left at least."""
    alike = sum(1 for _ in takewhile(lambda column: len(set(column)) == 1, zip(*prompts, strict=False)))
    common = min(alike, min(map(len, prompts)) - 1)
    return SharedPrompts(list(prompts[0][:common]), [list(each[common:]) for each in prompts])


def next_token_logits(model: Any, prompts: SharedPrompts, pad: int, *, half: bool = False) -> Any:
    """Logits (rows x vocabulary, fp32) of the token after each prompt, by a causal model with or without an adapter.

    With `half`, the hidden states are computed in bf16 and only they: logits in bf16 would tie where probabilities are
    close, and a ranking by them would be arbitrary.
    """
    import torch

    device, rows = model.device, len(prompts.rests)
    width, begun = max(map(len, prompts.rests)), len(prompts.prefix)
    ids = torch.tensor([[pad] * (width - len(each)) + each for each in prompts.rests], device=device)
    mask = torch.tensor([[0] * (width - len(each)) + [1] * len(each) for each in prompts.rests], device=device)
    positions = (mask.cumsum(1) - 1).clamp(min=0) + begun
    whole = model.get_base_model() if hasattr(model, "get_base_model") else model
    decoder, cache = whole.get_decoder(), None
    with torch.autocast(device.type, torch.bfloat16) if half else nullcontext():
        if begun:
            prefix = torch.tensor([prompts.prefix], device=device)
            cache = decoder(input_ids=prefix, use_cache=True).past_key_values
            cache.batch_repeat_interleave(rows)
            mask = torch.cat([mask.new_ones(rows, begun), mask], 1)
        hidden = decoder(
            input_ids=ids,
            attention_mask=mask,
            position_ids=positions,
            past_key_values=cache,
            use_cache=cache is not None,
        ).last_hidden_state[:, -1]
    head = whole.get_output_embeddings()
    return head(hidden.to(head.weight.dtype)).float()
