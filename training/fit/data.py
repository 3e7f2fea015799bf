"""Datasets in the form for a trainer: token ids, labels on the answer only, in training order.

Labels are -100 on the prompt and the token itself on the answer, including the end of the turn. Padding is added later
and ignored. Rows longer than the limit are left out and counted.

`weight` is a row's share in sampling: with weight w it occurs w times per epoch on average, at evenly spread epochs
(systematic sampling), instead of having a smaller gradient, so that a doubtful row also costs less time.
"""

import hashlib
import json
import random
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from host.packed import PackedFileError, restore
from models.errors import TrainingError
from models.objectives import Objective, objective_of
from models.protocols import Stage
from training.bases.chat_format import ChatFormat
from training.fit.decisions import class_weights
from training.fit.recipe import Recipe
from training.fit.sampler import mixture_order
from training.fit.watched import stopping_rows
from training.fit.weights import AnswerTokens, answer_tokens, token_weights

IGNORED = -100
"""The label of a token that is excluded from the loss."""


class TrainingRow(NamedTuple):
    """One example: ids of prompt and answer together, labels of the same length.

    weights: of each token in the loss; None: all 1. decisions: (index of the token, class) of each. objective: that of
    a mixture which it serves.
    """

    id: str
    weight: float
    ids: list[int]
    labels: list[int]
    weights: list[float] | None = None
    decisions: tuple[tuple[int, str], ...] = ()
    objective: Objective | None = None

    @property
    def answer(self) -> list[int]:
        """The ids that are learned."""
        return [token for token, label in zip(self.ids, self.labels, strict=True) if label != IGNORED]


class PreferenceRow(NamedTuple):
    """One preference: ids of the prompt and of both answers after it; `kind` is the evidence for it."""

    id: str
    weight: float
    prompt: list[int]
    chosen: list[int]
    rejected: list[int]
    kind: str = ""


class TrainingRows(NamedTuple):
    """The rows of a dataset by split, and the number of rows that were too long, in all and by stage."""

    train: list[Any]
    validation: list[Any]
    too_long: int
    too_long_by_stage: dict[str, int]


def read_card(dataset: Path) -> dict[str, Any]:
    """The card of a dataset, after checking its files and the revision of its templates.

    Raises TrainingError if it is missing, a file was altered, or the templates are not those that serving renders.
    """
    from agent.prompts import REVISION

    try:
        card: dict[str, Any] = json.loads((dataset / "card.json").read_text())
        files: dict[str, str] = card["files"]
        templates: str = card["templates"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise TrainingError(f"dataset {dataset}: no readable card.json; make it with `cra curate-data`") from error
    if templates != REVISION:
        raise TrainingError(
            f"dataset {dataset}: its prompts were rendered by templates {templates}, serving renders {REVISION}; "
            "curate it anew"
        )
    try:
        restore(dataset, files)
    except (OSError, PackedFileError) as error:
        raise TrainingError(f"dataset {dataset} cannot be restored ({error}); curate it anew") from error
    for name, expected in files.items():
        file = dataset / name
        if not file.is_file() or hashlib.sha256(file.read_bytes()).hexdigest() != expected:
            raise TrainingError(f"dataset {dataset}: {name} is missing or was altered after curation; curate it anew")
    return card


def supervised_rows(dataset: Path, chat: ChatFormat, recipe: Recipe) -> TrainingRows:
    """The pairs of `sft.jsonl` as token ids. Raises TrainingError if there is nothing to learn."""
    rows: dict[str, list[TrainingRow]] = {"train": [], "validation": []}
    roles: dict[str, AnswerTokens] = {}
    answers, too_long, validation = set(), Counter[str](), list[dict[str, Any]]()
    for number, record in _records(dataset / "sft.jsonl"):
        with _Faults(dataset / "sft.jsonl", number):
            text = _answer(record["completion"])
            prompt = chat.prompt_ids(record["prompt"])
            answer = chat.answer_ids(record["prompt"], text)
            weight, split = _weight(record), rows[record["split"]]
            stage = Stage(record["stage"])
            tokens = answer_tokens(stage, text, chat.answer_offsets(answer, text), len(answer))
            objective = objective_of(record["source"], stage) if recipe.mixture else None
            if record["split"] == "validation":
                validation.append({name: record[name] for name in record.keys() - {"prompt", "completion"}})
        if len(prompt) + len(answer) > recipe.max_tokens:
            too_long[record["stage"]] += 1
            continue
        answers.add(tuple(answer))
        roles[record["id"]] = tokens
        decisions = tuple((len(prompt) + index, label) for index, label in tokens.decisions)
        labels = [IGNORED] * len(prompt) + answer
        split.append(TrainingRow(record["id"], weight, prompt + answer, labels, None, decisions, objective))
    _check(dataset / "sft.jsonl", rows, too_long, recipe)
    _check_objectives(dataset / "sft.jsonl", rows["train"], recipe)
    if len(answers) == 1 and len(rows["train"]) > 1:
        raise TrainingError(f"{dataset / 'sft.jsonl'}: all answers are the same, so there is nothing to learn")
    train = _weighted(rows["train"], roles, recipe) if recipe.weighs else rows["train"]
    held = rows["validation"]
    if recipe.watch == "half":
        watched = stopping_rows(validation)
        held = [row for row in held if row.id in watched]
    return TrainingRows(train, _validation(held, recipe), too_long.total(), dict(too_long))


def weights_of_classes(rows: Sequence[TrainingRow], recipe: Recipe) -> dict[str, float]:
    """The weight of each class that rows decide for, each row counted by its weight in sampling."""
    counts: dict[str, float] = {}
    for row in rows:
        for _, label in row.decisions:
            counts[label] = counts.get(label, 0.0) + row.weight
    return class_weights(counts, recipe.class_balance, recipe.class_beta, recipe.class_cap)


def _weighted(rows: list[TrainingRow], roles: Mapping[str, AnswerTokens], recipe: Recipe) -> list[TrainingRow]:
    """Rows with the weights of their tokens: 1 in the prompt, which its labels exclude."""
    classes = weights_of_classes(rows, recipe)
    weighted = []
    for row in rows:
        weights = token_weights(roles[row.id], recipe.forced_weight, classes, recipe.reasoning_weight)
        weighted.append(row._replace(weights=[1.0] * (len(row.ids) - len(weights)) + weights))
    return weighted


def preference_rows(dataset: Path, chat: ChatFormat, recipe: Recipe) -> TrainingRows:
    """The preferences of `dpo.jsonl` as token ids. Raises TrainingError if there is nothing to learn."""
    rows: dict[str, list[PreferenceRow]] = {"train": [], "validation": []}
    too_long: Counter[str] = Counter()
    for number, record in _records(dataset / "dpo.jsonl"):
        with _Faults(dataset / "dpo.jsonl", number):
            prompt = chat.prompt_ids(record["prompt"])
            chosen, rejected = (
                chat.answer_ids(record["prompt"], _answer(record[which])) for which in ("chosen", "rejected")
            )
            weight, split = _weight(record), rows[record["split"]]
        if len(prompt) + max(len(chosen), len(rejected)) > recipe.max_tokens:
            too_long[record["stage"]] += 1
            continue
        split.append(PreferenceRow(record["id"], weight, prompt, chosen, rejected, record["kind"]))
    _check(dataset / "dpo.jsonl", rows, too_long, recipe)
    return TrainingRows(rows["train"], _validation(rows["validation"], recipe), too_long.total(), dict(too_long))


def training_order(rows: Sequence[Any], recipe: Recipe) -> list[int]:
    """Indices of the rows in training order, all epochs concatenated.

    Each epoch is shuffled, except the first of a curriculum. A row of weight w is included whenever its running total,
    which starts at a row-specific offset, passes an integer.

    With pacing (competence-based curriculum, Platanios et al. 2019, with linear competence) the row at share r of the
    file becomes available at share r * pacing of the training, and its occurrences are spread evenly over the rest, so
    that every row is trained on as often as without.
    """
    if recipe.mixture:
        return mixture_order([(row.objective, row.weight) for row in rows], recipe)
    generator = random.Random(recipe.seed)
    starts = [generator.random() for _ in rows]
    order: list[int] = _paced(rows, starts, recipe, generator) if recipe.pacing else []
    for epoch in range(recipe.epochs) if not recipe.pacing else ():
        part = [
            index
            for index, (row, start) in enumerate(zip(rows, starts, strict=True))
            if int(start + (epoch + 1) * row.weight) > int(start + epoch * row.weight)
        ]
        if epoch > 0 or not recipe.curriculum:
            generator.shuffle(part)
        order.extend(part)
    if not order:  # few rows of small weight
        order.append(max(range(len(rows)), key=lambda index: rows[index].weight))
    return order


def _paced(
    rows: Sequence[TrainingRow | PreferenceRow], starts: Sequence[float], recipe: Recipe, generator: random.Random
) -> list[int]:
    places: list[tuple[float, int]] = []
    for index, (row, start) in enumerate(zip(rows, starts, strict=True)):
        available = recipe.pacing * index / len(rows)
        times = int(start + recipe.epochs * row.weight)
        places += [(available + (1 - available) * (n + generator.random()) / times, index) for n in range(times)]
    return [index for _, index in sorted(places)]


def _records(file: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    try:
        with file.open(encoding="utf-8") as lines:
            for number, line in enumerate(lines, 1):
                with _Faults(file, number):
                    record = json.loads(line)
                yield number, record
    except OSError as error:
        raise TrainingError(f"{file}: {error.strerror}; curate the dataset anew") from error


class _Faults:
    """Converts errors in a row to a TrainingError that names its line."""

    def __init__(self, file: Path, number: int) -> None:
        self._place = f"{file}, line {number}"

    def __enter__(self) -> None:
        """Begin."""

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, KeyError):
            raise TrainingError(f"{self._place}: {error} is missing or unknown; curate the dataset anew") from error
        if isinstance(error, ValueError | TypeError | IndexError):
            raise TrainingError(f"{self._place}: {error}") from error


def _answer(messages: list[dict[str, str]]) -> str:
    if len(messages) != 1 or messages[0]["role"] != "assistant" or not messages[0]["content"]:
        raise ValueError("an answer is one message of the assistant that is not empty")
    return messages[0]["content"]


def _weight(record: dict[str, Any]) -> float:
    weight = float(record["weight"])
    if not 0 < weight <= 1:
        raise ValueError(f"weight {weight} is not above 0 and at most 1")
    return weight


def _check(file: Path, rows: Mapping[str, Sequence[object]], too_long: Counter[str], recipe: Recipe) -> None:
    """Raises TrainingError without rows to train on, or if too large a share of all is too long."""
    count = too_long.total()
    if not rows["train"]:
        longer = f"; all {count} are longer than {_limit(recipe)}" if count else ""
        raise TrainingError(f"{file}: no rows to train on{longer}")
    every = count + sum(map(len, rows.values()))
    if count > recipe.max_too_long * every:
        stages = ", ".join(f"{stage} {number}" for stage, number in sorted(too_long.items()))
        raise TrainingError(
            f"{file}: {count} of {every} rows are longer than {_limit(recipe)} ({stages}), "
            f"more than training.max_too_long = {recipe.max_too_long:.0%}; raise either, or curate with smaller windows"
        )


def _limit(recipe: Recipe) -> str:
    return f"training.max_tokens = {recipe.max_tokens} (or --window, where that is smaller)"


def _check_objectives(file: Path, rows: Sequence[TrainingRow], recipe: Recipe) -> None:
    """Raise TrainingError for an objective of a mixture that has no rows to train on."""
    present = {row.objective for row in rows}
    for objective, _ in recipe.mixture:
        if objective not in present:
            raise TrainingError(
                f"{file}: objective {objective.value} has no rows of at most training.max_tokens = {recipe.max_tokens} "
                f"tokens; raise it, or leave the objective out with --objectives"
            )


def _validation(rows: list[Any], recipe: Recipe) -> list[Any]:
    """At most `validation_rows` rows; of a mixture as many of each objective."""
    chosen = sorted(rows, key=lambda row: hashlib.sha256(f"{recipe.seed}{row.id}".encode()).digest())
    if not recipe.mixture:
        return chosen[: recipe.validation_rows]
    each = -(-recipe.validation_rows // len(recipe.mixture))
    return [row for objective, _ in recipe.mixture for row in [r for r in chosen if r.objective is objective][:each]]
