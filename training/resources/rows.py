"""The rows of a dataset, counted for a plan."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from models.errors import TrainingError
from models.tokens import estimate_tokens
from training.bases.bases import Base
from training.fit.data import read_card
from training.resources.setup import Rows

Count = Callable[[dict[str, Any], str], tuple[int, int]]
"""Tokens of a record's prompt, and of one of its answers."""


def rows_of(dataset: Path, base: Base | None, *, preferences: bool, limit: int) -> Rows:
    """The training rows of a dataset: as the base's tokenizer has them, else estimated. Rows over `limit` tokens are
    left out, as a training leaves them out.

    Raises TrainingError for a dataset that training would not take, or that has no such rows.
    """
    card = read_card(dataset)
    file = dataset / ("dpo.jsonl" if preferences else "sft.jsonl")
    count = _counter(base)
    kept: list[tuple[int, int, float]] = []
    for line in file.read_text(encoding="utf-8").splitlines():
        record = json.loads(line)
        if record["split"] != "train":
            continue
        answers = [record[name] for name in (("chosen", "rejected") if preferences else ("completion",))]
        sizes = [count(record, answer[0]["content"]) for answer in answers]
        prompt, answer = sizes[0][0], max(size for _, size in sizes)
        if prompt + answer <= limit:
            kept.append((prompt, answer, record["weight"]))
    if not kept:
        what = "preferences" if preferences else "pairs"
        raise TrainingError(f"dataset {card['id'][:12]} has no {what} of at most {limit} tokens; raise --window")
    return Rows(
        tokens=round(sum((prompt + answer) * weight for prompt, answer, weight in kept)) * (2 if preferences else 1),
        longest=max(prompt + answer for prompt, answer, _ in kept),
        answer=max(answer for _, answer, _ in kept),
        count=max(1, round(sum(weight for _, _, weight in kept))),
        measured=f"{len(kept):,} rows of {dataset.name}, "
        + ("estimated without a tokenizer" if base is None else f"counted by the tokenizer of {base.name}"),
    )


def _counter(base: Base | None) -> Count:
    if base is None:
        return lambda record, answer: (
            sum(estimate_tokens(message["content"]) for message in record["prompt"]),
            estimate_tokens(answer),
        )
    from training.bases.chat_format import ChatFormat

    chat = ChatFormat.load(base.path)
    return lambda record, answer: (
        len(chat.prompt_ids(record["prompt"])),
        len(chat.answer_ids(record["prompt"], answer)),
    )
