"""Bias-only vector scaling of a judge's decisions: one additive offset per class, fitted after the training.

Vector scaling (Guo et al., "On Calibration of Modern Neural Networks", 2017) with the scale left at 1, so that only
the thresholds between classes move. What is maximised is macro F1 on the validation rows, which gates measure, and not
a likelihood: training has weighted the classes already, and the threshold that is best for macro F1 lies between those
of a balanced and of a plain likelihood. The search is coordinate ascent on a grid, deterministic and coarse, and of
equal offsets it takes the smallest. The offsets are kept only if they gain on rows that they were not fitted to: in all
and in four of five folds, with a loss in none. On noise that leaves few of them.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from models.class_bias import ClassBias
from models.errors import TrainingError
from training.bases.chat_format import ChatFormat
from training.fit.data import TrainingRow, TrainingRows
from training.fit.decision_scores import DecisionScores, class_tokens, macro_f1, score_decisions

FOLDS = 5
"""Parts of the validation rows; fewer rows than these give no bias."""
STEP, MOST = 0.25, 4.0
"""Grid of an offset, in nats."""
_SWEEPS = 10
_DIGITS = 4


def bias_after(model: Any, data: TrainingRows, chat: ChatFormat) -> ClassBias | None:
    """The bias of a trained model's classes, by the validation rows of its data; None for answers without classes."""
    rows: list[TrainingRow] = data.validation
    if not any(row.decisions for row in (*data.train, *rows)):
        return None
    tokens = tokens_for_bias(data.train, rows, chat)
    if isinstance(tokens, ClassBias):
        return tokens
    model.eval()
    numbers = [number for number, row in enumerate(rows) for _ in row.decisions]
    return fit_bias(score_decisions(model, rows, tokens), numbers, tokens)


def tokens_for_bias(
    train: Sequence[TrainingRow], validation: Sequence[TrainingRow], chat: ChatFormat
) -> ClassBias | dict[str, tuple[int, ...]]:
    """The tokens that begin each class, or a bias without offsets whose note says why there can be none."""
    rows = [row for row in validation if row.decisions]
    if chat.thinks:
        return ClassBias(note="its answers begin with a thinking trace, in which the classes' tokens are words")
    if len(rows) < FOLDS:
        return ClassBias(note=f"{len(rows)} validation rows have decisions, and {FOLDS} are needed")
    try:
        tokens = class_tokens([*train, *validation])
    except TrainingError as error:
        return ClassBias(note=str(error))
    for label, ids in tokens.items():
        for token in ids:
            if re.sub(r"[\W_]", "", chat.text([token])) != label[0].upper():
                return ClassBias(note="its answers name classes in full, whose tokens occur in paths as well")
    return tokens


def fit_bias(scores: DecisionScores, rows: Sequence[int], tokens: Mapping[str, tuple[int, ...]]) -> ClassBias:
    """The bias by scored decisions; `rows` is the number of each decision's row. Each fold is every fifth row."""
    logs, gold = np.asarray(scores.log_probs, dtype=np.float64), np.asarray(scores.gold)
    fold = np.asarray(rows) % FOLDS
    offsets = _best(logs, gold)
    across, gains = logs.argmax(1), []
    for each in range(FOLDS):
        out = fold == each
        if out.any() and not out.all():
            shifted = logs[out] + _best(logs[~out], gold[~out])
            across[out] = shifted.argmax(1)
            gains.append(_macro_f1(shifted, gold[out]) - _macro_f1(logs[out], gold[out]))
    before, after, held = (
        round(macro_f1(chosen.tolist(), scores.gold), _DIGITS)
        for chosen in (logs.argmax(1), (logs + offsets).argmax(1), across)
    )
    note = ""
    steady = len(gains) == FOLDS and min(gains) >= 0 and sum(gain > 0 for gain in gains) >= FOLDS - 1
    if held <= before or not steady:
        offsets, after = np.zeros(len(scores.labels)), before
        note = f"no steady gain on rows that it was not fitted to: macro F1 {before:.3f} without, {held:.3f} with"
    return ClassBias(
        offsets=dict(zip(scores.labels, map(float, offsets), strict=True)),
        tokens=dict(tokens),
        decisions=len(scores.gold),
        macro_f1_without=before,
        macro_f1_with=after,
        macro_f1_across=held,
        note=note,
    )


def _best(logs: np.ndarray, gold: np.ndarray) -> np.ndarray:
    """The offsets of the classes; the commonest in `gold` and those that do not occur there have 0."""
    offsets = np.zeros(logs.shape[1])
    counts = np.bincount(gold, minlength=logs.shape[1])
    moved = [label for label in np.flatnonzero(counts) if label != counts.argmax()]
    grid = sorted(np.arange(-MOST, MOST + STEP, STEP), key=lambda value: (abs(value), value))
    most = _macro_f1(logs, gold)
    for _ in range(_SWEEPS):
        before = most
        for label in moved:
            for value in grid:
                trial = offsets.copy()
                trial[label] = value
                gain = _macro_f1(logs + trial, gold)
                if gain > most or (gain == most and abs(value) < abs(offsets[label])):
                    most, offsets = gain, trial
        if most == before:
            break
    return offsets


def _macro_f1(logs: np.ndarray, gold: np.ndarray) -> float:
    """`macro_f1` of the likeliest classes."""
    count = logs.shape[1]
    both = np.bincount(gold * count + logs.argmax(1), minlength=count * count).reshape(count, count)
    occurs = both.sum(1) > 0
    return float((2 * both.diagonal() / np.maximum(1, both.sum(0) + both.sum(1)))[occurs].mean())
