"""Margins of preferences before the first step: how far the starting point prefers the chosen answer already.

DPO's own loss says nothing of it: at the first step it is log 2 for any pair. A pair of large margin teaches little.
"""

import math
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from training.fit.data import PreferenceRow

SAMPLE = 64
"""Rows that the report is of, if no weights depend on them."""


def margins_of(model: Any, rows: Sequence[PreferenceRow]) -> list[float]:
    """Of each row, the mean log-probability (nats) of the chosen answer's tokens minus that of the rejected one's."""
    import torch

    was_training = model.training
    model.eval()
    found = []
    with torch.no_grad():
        for row in rows:
            chosen, rejected = (_mean_log_prob(model, row.prompt, each) for each in (row.chosen, row.rejected))
            found.append(chosen - rejected)
    model.train(was_training)
    return found


def _mean_log_prob(model: Any, prompt: list[int], answer: list[int]) -> float:
    import torch

    ids = torch.tensor([prompt + answer], device=model.device)
    logits = model(input_ids=ids, logits_to_keep=len(answer) + 1, use_cache=False).logits[0, :-1]
    wanted = torch.tensor(answer, device=logits.device)
    return float(logits.float().log_softmax(-1).gather(1, wanted[:, None]).mean())


def summarised(rows: Sequence[PreferenceRow], margins: Sequence[float]) -> dict[str, dict[str, float]]:
    """By kind of preference: how many pairs, their mean margin per token, and the share with a margin above 0."""
    kinds: dict[str, list[float]] = defaultdict(list)
    for row, margin in zip(rows, margins, strict=True):
        kinds[row.kind].append(margin)
    return {
        kind: {
            "pairs": len(found),
            "margin": sum(found) / len(found),
            "preferred": sum(margin > 0 for margin in found) / len(found),
        }
        for kind, found in sorted(kinds.items())
    }


def taught(rows: Sequence[PreferenceRow], margins: Sequence[float]) -> list[PreferenceRow]:
    """Before-and-after pairs with a weight by what they teach: in full up to a margin of 0, above it 2 sigmoid(-margin)
    of that. Others, which experiments attributed, keep theirs."""
    return [
        row._replace(weight=row.weight * 2 / (1 + math.exp(min(margin, 30.0))))
        if row.kind == "before-after" and margin > 0
        else row
        for row, margin in zip(rows, margins, strict=True)
    ]
