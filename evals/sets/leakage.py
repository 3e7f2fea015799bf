"""Contamination: examples of a dataset that overlap with an evaluation set."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from host.packed import is_there, open_either
from models.chat import Message, prompt_text
from models.errors import TrainingError
from models.evaluation import EvaluationSet
from models.plans import Frozen

FILES = ("sft.jsonl", "dpo.jsonl", "critic.jsonl")


class Contamination(Frozen):
    """A line of a dataset that overlaps with an evaluation set.

    `what` is repository, commit or prompt; `item` the repository, or the instance whose commit or prompt it is.
    """

    file: str
    line: int
    example: str
    what: str
    item: str


def contamination(dataset: Path, sets: Sequence[EvaluationSet]) -> list[Contamination]:
    """Examples of a dataset directory that come from a held-out repository or commit, or have an item's exact prompt.

    Raises TrainingError for a file that cannot be read as one JSON object per line.
    """
    repositories = {name for each in sets for name in each.repositories}
    items = [item for each in sets for item in each.items]
    commits = {item.commit: item.instance for item in items}
    prompts = {prompt_text(item.messages): item.instance for item in items if item.messages}
    found = []
    for file in FILES:
        for line, example in _lines(dataset / file):
            where = {"file": file, "line": line, "example": str(example.get("id", ""))}
            sources = [example[key] for key in ("provenance", "chosen_by", "rejected_by") if example.get(key)]
            for source in sources:
                if source.get("repository") in repositories:
                    found.append(Contamination(**where, what="repository", item=source["repository"]))
                if source.get("commit") in commits:
                    found.append(Contamination(**where, what="commit", item=commits[source["commit"]]))
            if (item := prompts.get(_prompt(dataset / file, line, example))) is not None:
                found.append(Contamination(**where, what="prompt", item=item))
    return list(dict.fromkeys(found))


def _prompt(path: Path, line: int, example: dict[str, Any]) -> str:
    try:
        return prompt_text([Message.model_validate(message) for message in example["prompt"]])
    except (KeyError, TypeError, ValidationError) as error:
        raise TrainingError(f"{path}, line {line}: no prompt of messages; curate the dataset again") from error


def _lines(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    if not is_there(path):
        return
    with open_either(path) as file:
        for number, text in enumerate(file, 1):
            try:
                value = json.loads(text)
            except ValueError as error:
                raise TrainingError(f"{path}, line {number}: not JSON ({error}); curate the dataset again") from error
            if not isinstance(value, dict):
                raise TrainingError(f"{path}, line {number}: not a JSON object; curate the dataset again")
            yield number, value
