"""A dataset's files: self-contained JSON lines, one per example, and the card."""

import hashlib
import json
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from host.private import make_directory
from models.errors import InfrastructureError
from models.training import Pair
from training.data.curation.card import CRITIC, DPO, MACHINE, PEOPLE, SFT, Card
from training.data.curation.examples import Example
from training.data.curation.splitting import Split, group_of


def lines_of(examples: Sequence[Example], split: Mapping[str, Split], repositories: bool) -> str:
    """Examples as JSON lines, in the order given; empty for none."""
    return "".join(
        json.dumps(_line(example, split[group_of(example, repositories)]), ensure_ascii=True, sort_keys=True) + "\n"
        for example in examples
    )


def _line(example: Example, split: Split) -> dict[str, Any]:
    item = example.item
    completions = [[{"role": "assistant", "content": answer}] for answer in example.answers]
    line = {
        "id": example.id,
        "stage": item.stage.value,
        "source": item.source.value,
        "split": split,
        "weight": item.weight,
        "prompt": [message.model_dump() for message in item.messages],
    }
    if isinstance(item, Pair):
        return line | {"completion": completions[0], "provenance": item.provenance.model_dump(mode="json")}
    return line | {
        "kind": item.kind,
        "chosen": completions[0],
        "rejected": completions[1],
        "chosen_by": item.chosen_by.model_dump(mode="json"),
        "rejected_by": item.rejected_by.model_dump(mode="json"),
    }


def hashed(sft: str, dpo: str, critic: str = "") -> dict[str, str]:
    """The files' hashes by their names; a dataset without comparisons has no file for them."""
    return {name: _sha256(text) for name, text in _texts(sft, dpo, critic).items()}


def _texts(sft: str, dpo: str, critic: str) -> dict[str, str]:
    return {SFT: sft, DPO: dpo} | ({CRITIC: critic} if critic else {})


def dataset_id(files: Mapping[str, str], config: Mapping[str, Any]) -> str:
    """The identity of a dataset: its files and configuration."""
    return _sha256(json.dumps([dict(files), dict(config)], sort_keys=True))


def directory_of(data_dir: Path, card: Card) -> Path:
    """The directory of a dataset."""
    return data_dir / "datasets" / f"{card.target.value}-{card.id[:12]}"


def write_dataset(data_dir: Path, card: Card, sft: str, dpo: str, critic: str = "") -> Path:
    """Write a dataset atomically; an existing one is kept if equal, else replaced. Raises InfrastructureError if that
    fails."""
    directory = directory_of(data_dir, card)
    texts = _texts(sft, dpo, critic) | {MACHINE: card.to_json(), PEOPLE: card.to_markdown()}

    def there() -> bool:
        return all(_same(directory / name, text) for name, text in texts.items())

    if there():
        return directory
    try:
        make_directory(directory.parent)
        staging = Path(tempfile.mkdtemp(prefix=f".{directory.name}-", dir=directory.parent))
        try:
            for name, text in texts.items():
                (staging / name).write_text(text, encoding="utf-8")
            staging.chmod(0o755)
            if directory.exists():
                directory.replace(staging / "damaged")
            staging.replace(directory)
            shutil.rmtree(directory / "damaged", ignore_errors=True)
        except OSError:
            shutil.rmtree(staging, ignore_errors=True)
            raise
    except OSError as error:
        if there():  # another process was faster
            return directory
        raise InfrastructureError(f"{directory} cannot be written: {error.strerror}; free disk space") from error
    return directory


def _same(path: Path, text: str) -> bool:
    return path.is_file() and path.read_bytes() == text.encode()


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
