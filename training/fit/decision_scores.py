"""How a model decides on rows with known decisions: probabilities of the classes, and metrics of them.

The answer up to each decision is given (teacher forcing), and the probabilities of the classes' tokens there are
normalised over the classes: what decoding under a JSON schema chooses from.
"""

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Any, NamedTuple

from models.errors import TrainingError
from training.fit.data import IGNORED, TrainingRow


class DecisionScores(NamedTuple):
    """Decisions in the order of the rows.

    log_probs: of each decision, by class in the order of `labels`; gold: the index of the right class. loss: mean over
    the rows of the mean loss (nats) of the answers' tokens.
    """

    labels: tuple[str, ...]
    log_probs: list[list[float]]
    gold: list[int]
    loss: float

    @property
    def chosen(self) -> list[int]:
        """The index of the likeliest class of each decision, the first if tied."""
        return [row.index(max(row)) for row in self.log_probs]


def class_tokens(rows: Sequence[TrainingRow]) -> dict[str, tuple[int, ...]]:
    """The tokens that begin each class in these answers. Raises TrainingError if one token begins two classes."""
    found: dict[str, set[int]] = defaultdict(set)
    for row in rows:
        for index, label in row.decisions:
            found[label].add(row.ids[index])
    owners: dict[int, str] = {}
    for label, ids in sorted(found.items()):
        for token in sorted(ids):
            if token in owners:
                raise TrainingError(
                    f"token {token} of the base begins both {owners[token]!r} and {label!r}, so a decision cannot be "
                    "told by it; use another base or another form of answers"
                )
            owners[token] = label
    return {label: tuple(sorted(ids)) for label, ids in sorted(found.items())}


def score_decisions(model: Any, rows: Sequence[TrainingRow], tokens: Mapping[str, Sequence[int]]) -> DecisionScores:
    """Score the decisions of rows by a causal language model, one row at a time."""
    import torch

    labels = tuple(sorted(tokens))
    places = {label: index for index, label in enumerate(labels)}
    log_probs: list[list[float]] = []
    gold: list[int] = []
    losses: list[float] = []
    device = model.device
    with torch.no_grad():
        for row in rows:
            first = next(index for index, label in enumerate(row.labels) if label != IGNORED)
            kept = len(row.ids) - first + 1
            ids = torch.tensor([row.ids], device=device)
            logs = model(input_ids=ids, logits_to_keep=kept, use_cache=False).logits[0, :-1].float().log_softmax(-1)
            answer = torch.tensor(row.ids[first:], device=device)
            losses.append(-float(logs.gather(1, answer[:, None]).mean()))
            for index, label in row.decisions:
                if label not in places:
                    continue
                at = logs[index - first]
                scores = torch.stack([at[list(tokens[each])].logsumexp(0) for each in labels])
                log_probs.append(scores.log_softmax(0).tolist())
                gold.append(places[label])
    return DecisionScores(labels, log_probs, gold, sum(losses) / len(losses) if losses else math.nan)


def metrics_of(scores: DecisionScores, classes: Mapping[str, float], sought: str) -> dict[str, float]:
    """The metrics of scored decisions: `decision_loss` (mean of -log p of the right class, weighted by class),
    `accuracy`, `macro_f1` over the classes that occur, and `average_precision` of the class `sought` if it occurs."""
    if not scores.gold:
        return {}
    weights = [classes.get(scores.labels[each], 1.0) for each in scores.gold]
    losses = [-row[each] for row, each in zip(scores.log_probs, scores.gold, strict=True)]
    chosen = scores.chosen
    metrics = {
        "decision_loss": sum(w * loss for w, loss in zip(weights, losses, strict=True)) / sum(weights),
        "accuracy": sum(a == b for a, b in zip(chosen, scores.gold, strict=True)) / len(scores.gold),
        "macro_f1": macro_f1(chosen, scores.gold),
    }
    if sought in scores.labels and scores.labels.index(sought) in scores.gold:
        place = scores.labels.index(sought)
        positive = [each == place for each in scores.gold]
        metrics["average_precision"] = average_precision([row[place] for row in scores.log_probs], positive)
    return metrics


def macro_f1(chosen: Sequence[int], gold: Sequence[int]) -> float:
    """The mean of F1 over the classes that occur in `gold`."""
    f1 = []
    for label in sorted(set(gold)):
        both = sum(a == b == label for a, b in zip(chosen, gold, strict=True))
        f1.append(2 * both / (sum(each == label for each in chosen) + sum(each == label for each in gold)))
    return sum(f1) / len(f1)


def average_precision(scores: Sequence[float], positive: Sequence[bool]) -> float:
    """The sum over thresholds of precision times the gain in recall; equal scores share a threshold."""
    ordered = sorted(zip(scores, positive, strict=True), key=lambda pair: -pair[0])
    total, found, seen, area = sum(positive), 0, 0, 0.0
    for _, group in groupby(ordered, key=lambda pair: pair[0]):
        hits = [hit for _, hit in group]
        seen += len(hits)
        found += sum(hits)
        area += found / seen * sum(hits) / total
    return area
