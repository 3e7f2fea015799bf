"""Datasets and bases for the tests of fitting."""

import hashlib
import json
from pathlib import Path
from typing import Any

from agent.prompts import REVISION
from tests.support.tiny import make_tiny_base
from training.bases.bases import Base


def tiny_base(path: Path, **options: Any) -> Base:
    """A base as `find_base` gives it, without a database."""
    return Base("0" * 64, "tiny", make_tiny_base(path, **options), None, None, {})


def write_dataset(
    folder: Path,
    *,
    rows: int = 16,
    validation: int = 0,
    pairs: int = 0,
    target: str = "scope",
    templates: str = REVISION,
    weight: float = 1.0,
    answer: str = "file number {0}, since {1}",
) -> Path:
    """A dataset directory as curation writes it: `rows` pairs to train on, and `pairs` preferences."""
    folder.mkdir(parents=True, exist_ok=True)
    prompt = "Which of these files does the task {} touch? parser.py, lexer.py, writer.py"
    supervised = [
        _record(target, f"s{number}", "train" if number < rows else "validation", weight)
        | {
            "prompt": [{"role": "user", "content": prompt.format(number)}],
            "completion": [{"role": "assistant", "content": answer.format(number % 3, number)}],
            "provenance": {},
        }
        for number in range(rows + validation)
    ]
    preferences = [
        _record(target, f"p{number}", "train", weight)
        | {
            "kind": "attributed",
            "prompt": [{"role": "user", "content": prompt.format(number)}],
            "chosen": [{"role": "assistant", "content": f"parser.py, for {number}"}],
            "rejected": [{"role": "assistant", "content": f"all of them, whatever {number} says"}],
            "chosen_by": {},
            "rejected_by": {},
        }
        for number in range(pairs)
    ]
    files = {}
    for name, records in (("sft.jsonl", supervised), ("dpo.jsonl", preferences)):
        text = "".join(json.dumps(record) + "\n" for record in records)
        (folder / name).write_text(text)
        files[name] = hashlib.sha256(text.encode()).hexdigest()
    card = {"id": hashlib.sha256(json.dumps(files).encode()).hexdigest(), "target": target, "files": files}
    (folder / "card.json").write_text(json.dumps(card | {"templates": templates, "window": 8192}))
    return folder


def _record(target: str, row: str, split: str, weight: float) -> dict[str, Any]:
    return {"id": row, "stage": target, "source": "harness", "split": split, "weight": weight}


def judged_dataset(folder: Path, *, rows: int = 16, validation: int = 0, pairs: int = 0) -> Path:
    """A dataset of scope in which one file of three is relevant, another one in each row, and the rest is not."""
    write_dataset(folder, rows=rows, validation=validation, pairs=pairs)
    records = [json.loads(line) for line in (folder / "sft.jsonl").read_text().splitlines()]
    for number, record in enumerate(records):
        judged = {
            name: "relevant" if place == number % 3 and number % 2 else "irrelevant"
            for place, name in enumerate(("parser.py", "lexer.py", "writer.py"))
        }
        record["completion"][0]["content"] = json.dumps({"files": judged})
    return rewrite(folder, "sft.jsonl", records)


def rewrite(folder: Path, name: str, records: list[dict[str, Any]]) -> Path:
    """The dataset with other records in one of its files."""
    text = "".join(json.dumps(record) + "\n" for record in records)
    (folder / name).write_text(text)
    card = json.loads((folder / "card.json").read_text())
    card["files"][name] = hashlib.sha256(text.encode()).hexdigest()
    card["id"] = hashlib.sha256(json.dumps(card["files"]).encode()).hexdigest()
    (folder / "card.json").write_text(json.dumps(card))
    return folder


def lettered_dataset(folder: Path, *, rows: int = 16, validation: int = 8) -> Path:
    """A dataset of scope that is answered in letters: of six files one in each other row is relevant, the last one
    supporting in every third row, and the rest irrelevant."""
    write_dataset(folder, rows=rows, validation=validation)
    records = [json.loads(line) for line in (folder / "sft.jsonl").read_text().splitlines()]
    for number, record in enumerate(records):
        letters = ["R" if place == number % 5 and number % 2 else "I" for place in range(5)]
        letters.append("S" if number % 3 == 0 else "I")
        record["completion"][0]["content"] = json.dumps({str(place): each for place, each in enumerate(letters, 1)})
    return rewrite(folder, "sft.jsonl", records)
