"""Bias-only vector scaling of a judge's decisions: one additive offset per class, fitted after the training.

Vector scaling (Guo et al., "On Calibration of Modern Neural Networks", 2017) with the scale left at 1, so that only
the thresholds between classes move. What is maximised is macro F1 on the validation rows, which gates measure, and not
a likelihood: training has weighted the classes already, and the threshold that is best for macro F1 lies between those
of a balanced and of a plain likelihood. The search is coordinate ascent on a grid, deterministic and coarse, and of
equal offsets it takes the smallest. Of the class whose recall the gate asks for (`evals/thresholds.py`) no more
decisions may be missed than show that recall (`evals/recall_floor.py`), where there are enough of them. The offsets are
kept only if they gain on rows that they were not fitted to: in all and in four of five folds, with a loss in none; if
those for the recall do not or miss it, others are tried that are fitted without it. On noise that leaves few of them.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from evals.recall_floor import RecallFloor
from evals.thresholds import LEAST_RECALLS
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
    floor = floor_of(scores, rows)
    fitted = _cross_fitted(scores, rows, floor)
    if floor is not None and not (fitted.steady and _reached(fitted.chosen[0], scores.gold, floor)):
        floor, fitted = None, _cross_fitted(scores, rows, None)
    before, after, held = (round(macro_f1(each, scores.gold), _DIGITS) for each in (scores.chosen, *fitted.chosen))
    offsets, note = fitted.offsets, ""
    if held <= before or not fitted.steady:
        offsets, after, floor = np.zeros(len(scores.labels)), before, None
        note = f"no steady gain on rows that it was not fitted to: macro F1 {before:.3f} without, {held:.3f} with"
    return ClassBias(
        offsets=dict(zip(scores.labels, map(float, offsets), strict=True)),
        tokens=dict(tokens),
        decisions=len(scores.gold),
        macro_f1_without=before,
        macro_f1_with=after,
        macro_f1_across=held,
        least_recall=None if floor is None else {scores.labels[floor.label]: floor.recall},
        note=note,
    )


def floor_of(scores: DecisionScores, rows: Sequence[int]) -> RecallFloor | None:
    """The recall that the gate asks for of one of the classes; None where too few decisions are for it, in all or
    without those of a fold: offsets for it would be judged by others that were fitted without."""
    parts = [[g for g, row in zip(scores.gold, rows, strict=True) if row % FOLDS != fold] for fold in range(FOLDS)]
    floors = [RecallFloor(n, LEAST_RECALLS[each]) for n, each in enumerate(scores.labels) if each in LEAST_RECALLS]
    return next((floor for floor in floors if all(floor.allowed(part) is not None for part in parts)), None)


def _reached(chosen: Sequence[int], gold: Sequence[int], floor: RecallFloor) -> bool:
    """Whether no more decisions of the floor's class are missed than it allows."""
    missed = sum(right == floor.label != each for each, right in zip(chosen, gold, strict=True))
    return missed <= (floor.allowed(gold) or 0)


class _CrossFitted(NamedTuple):
    """Offsets fitted to all decisions, and what is chosen with them and with offsets fitted to the other folds.

    steady: whether the latter gain macro F1 in all folds together and in four of five, with a loss in none.
    """

    offsets: np.ndarray
    chosen: tuple[list[int], list[int]]
    steady: bool


def _cross_fitted(scores: DecisionScores, rows: Sequence[int], floor: RecallFloor | None) -> _CrossFitted:
    logs, gold = np.asarray(scores.log_probs, dtype=np.float64), np.asarray(scores.gold)
    fold = np.asarray(rows) % FOLDS
    offsets = _best(logs, gold, floor)
    across, gains = logs.argmax(1), []
    for each in range(FOLDS):
        out = fold == each
        if out.any() and not out.all():
            shifted = logs[out] + _best(logs[~out], gold[~out], floor)
            across[out] = shifted.argmax(1)
            gains.append(_macro_f1(shifted, gold[out]) - _macro_f1(logs[out], gold[out]))
    steady = len(gains) == FOLDS and min(gains) >= 0 and sum(gain > 0 for gain in gains) >= FOLDS - 1
    more = macro_f1(across.tolist(), scores.gold) > macro_f1(scores.chosen, scores.gold)
    return _CrossFitted(offsets, ((logs + offsets).argmax(1).tolist(), across.tolist()), steady and more)


def _best(logs: np.ndarray, gold: np.ndarray, floor: RecallFloor | None = None) -> np.ndarray:
    """The offsets of the classes; the commonest in `gold` and those that do not occur there have 0.

    For a floor the search goes on from the offsets without one, or from 0 where these are worth more.
    """
    allowed = None if floor is None else floor.allowed(gold.tolist())

    def worth(shifted: np.ndarray) -> tuple[int, float]:
        if floor is None or allowed is None:
            return 0, _macro_f1(shifted, gold)
        missed = int((shifted.argmax(1)[gold == floor.label] != floor.label).sum())
        return -max(0, missed - allowed), _macro_f1(shifted, gold)

    none = np.zeros(logs.shape[1])
    offsets = none if floor is None else max(none, _best(logs, gold), key=lambda start: worth(logs + start))
    counts = np.bincount(gold, minlength=logs.shape[1])
    moved = [label for label in np.flatnonzero(counts) if label != counts.argmax()]
    grid = sorted(np.arange(-MOST, MOST + STEP, STEP), key=lambda value: (abs(value), value))
    most = worth(logs + offsets)
    for _ in range(_SWEEPS):
        before = most
        for label in moved:
            for value in grid:
                trial = offsets.copy()
                trial[label] = value
                gain = worth(logs + trial)
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
