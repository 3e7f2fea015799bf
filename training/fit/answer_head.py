"""Logits of the answers' tokens only, on a CPU.

TRL's head computes log-probabilities without keeping all logits; on a GPU it projects the labelled positions only, but
elsewhere every one (so that shapes stay the same for compilers). A judge's prompt is ten times as long as its answer,
and the head of a small base with a large vocabulary is a fifth of its arithmetic.
"""

from collections.abc import Callable
from types import MethodType
from typing import Any

from training.fit.data import IGNORED


def score_answers_only(model: Any) -> None:
    """Let `model` (a causal language model with TRL's fused head) project the labelled positions only.

    The hidden states of the others are dropped before the head; its results are put back in their places, 0 elsewhere.
    """
    scored: list[Any] = []

    def select(module: Any, given: Any, output: Any) -> Any:
        if scored:
            output.last_hidden_state = output.last_hidden_state[:, :-1][scored[0]].unsqueeze(0)
        return output

    model.base_model.register_forward_hook(select)
    model.forward = MethodType(_forward(model.forward, scored), model)


def _forward(whole: Callable[..., Any], scored: list[Any]) -> Callable[..., Any]:
    def forward(self: Any, *rest: Any, fused_lm_head: bool = False, labels: Any = None, **named: Any) -> Any:
        if not fused_lm_head or labels is None:
            if labels is not None:
                named["labels"] = labels
            return whole(*rest, fused_lm_head=fused_lm_head, **named)
        shifted = labels[:, 1:]
        mask = shifted != IGNORED
        scored[:] = [mask]
        try:
            outputs = whole(*rest, fused_lm_head=True, shift_labels=shifted[mask].unsqueeze(0), **named)
        finally:
            scored.clear()
        for name in ("log_probs", "entropy", "log_sum_sq_probs", "mean_logits", "is_top1"):
            values = getattr(outputs, name)
            if values is not None:
                setattr(outputs, name, values.new_zeros(mask.shape).masked_scatter(mask, values))
        outputs.label_mask = mask
        return outputs

    return forward
