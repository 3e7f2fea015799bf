"""Rows in the trainers' column format: one by one, or packed."""

from collections.abc import Sequence
from typing import Any

from models.objectives import Objective
from training.fit.data import PreferenceRow, TrainingRow

WEIGHTS = "token_weights"
"""The column of the tokens' weights."""
OBJECTIVES = "token_objectives"
"""The column of the tokens' objectives, as their places in `PLACES`."""
PLACES = {objective: place for place, objective in enumerate(Objective)}
_OPEN_PACKS = 32


def packs_of(rows: Sequence[TrainingRow], order: Sequence[int], limit: int) -> list[list[TrainingRow]]:
    """Rows in packs of up to `limit` tokens, nearly in order: first fit over the open packs."""
    done: list[list[TrainingRow]] = []
    still_open: list[tuple[list[TrainingRow], int]] = []
    for row in (rows[index] for index in order):
        for place, (pack, used) in enumerate(still_open):
            if used + len(row.ids) <= limit:
                pack.append(row)
                still_open[place] = (pack, used + len(row.ids))
                break
        else:
            still_open.append(([row], len(row.ids)))
        if len(still_open) > _OPEN_PACKS:
            done.append(still_open.pop(0)[0])
    done.extend(pack for pack, _ in still_open)
    return done


def packed(rows: Sequence[TrainingRow], order: Sequence[int], limit: int) -> list[dict[str, list[Any]]]:
    """The packs of rows as sequences. Each has the lengths of its rows, by which positions restart and attention is
    separated."""
    return [
        {
            "input_ids": [token for row in pack for token in row.ids],
            "labels": [label for row in pack for label in row.labels],
            "seq_lengths": [len(row.ids) for row in pack],
            **_of_tokens(pack),
        }
        for pack in packs_of(rows, order, limit)
    ]


def columns(rows: Sequence[TrainingRow | PreferenceRow]) -> list[dict[str, list[Any]]]:
    """Rows in the trainers' column format."""
    return [
        {"input_ids": row.ids, "labels": row.labels, **_of_tokens([row])}
        if isinstance(row, TrainingRow)
        else {"prompt_ids": row.prompt, "chosen_ids": row.chosen, "rejected_ids": row.rejected}
        for row in rows
    ]


def _of_tokens(pack: Sequence[TrainingRow]) -> dict[str, list[Any]]:
    """The columns of weights and objectives of the tokens of rows in one sequence, if they have them."""
    weights = [weight for row in pack for weight in row.weights or ()]
    objectives = [PLACES[row.objective] for row in pack if row.objective is not None for _ in row.ids]
    return ({WEIGHTS: weights} if weights else {}) | ({OBJECTIVES: objectives} if objectives else {})
