"""A dataset of many repositories for full fine-tunes of the tiny base, as curation writes it and records it."""

import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from agent.prompts import REVISION
from models.training import PairSource, TrainingTarget
from store.learning.datasets import CONSIDERED, add_dataset
from store.runs import RawStore
from store.texts import sha256
from training.data.curation import Card
from training.data.curation.card import Rounds
from training.data.curation.writing import dataset_id, hashed, write_dataset

TRAINED, HELD = ("alpha", "beta", "gamma", "delta"), tuple(f"held{number}" for number in range(8))
ANSWER = 'The file "src/{0}.py" holds it; the others do not.'


def dataset_of(
    raw: RawStore,
    data_dir: Path,
    target: TrainingTarget = TrainingTarget.SCOPE,
    *,
    stage: str = "",
    source: str = "synthetic",
    rows: int = 4,
    trained: Sequence[str] = TRAINED,
    held: Sequence[str] = HELD,
    answer: str = ANSWER,
) -> Path:
    """A stored dataset with `rows` pairs of each trained repository, and two of each that is held out."""
    stage = stage or target.value
    records = [
        _record(stage, source, repository, number, split, answer)
        for split, names, count in (("train", trained, rows), ("validation", held, 2))
        for repository in names
        for number in range(count)
    ]
    sft = "".join(json.dumps(record, sort_keys=True) + "\n" for record in records)
    files, repositories = hashed(sft, ""), Counter(record["provenance"]["repository"] for record in records)
    config: dict[str, Any] = {"templates": REVISION, "counter": "tokens", CONSIDERED: sha256("ids")}
    counts = {record["split"]: 0 for record in records} | Counter(record["split"] for record in records)
    card = Card(
        id=dataset_id(files, config),
        target=target,
        examples={"sft": len(records), "dpo": 0, "train": counts["train"], "validation": counts.get("validation", 0)},
        sources={source: len(records)},
        stages={stage: len(records)},
        classes={},
        repositories=dict(repositories),
        organisations={},
        domains={},
        licenses={"MIT": len(records)},
        planners={"gold": len(records)},
        tokens={"longest_prompt": 1, "longest": 1, "total": 1},
        rounds=Rounds(),
        funnel=(),
        preference_funnel=(),
        files=files,
        config=config,
        templates=REVISION,
        window=4096,
    )
    add_dataset(
        raw.engine,
        card.id,
        target,
        source=PairSource(source).value,
        examples=len(records),
        config=config,
        repositories=list(repositories),
        content=card.to_json(),
        considered="ids",
    )
    return write_dataset(data_dir, card, sft, "")


def _record(stage: str, source: str, repository: str, number: int, split: str, answer: str) -> dict[str, Any]:
    name = f"{repository}{number}"
    return {
        "id": sha256(f"{stage} {source} {name}"),
        "stage": stage,
        "source": source,
        "split": split,
        "weight": 1.0,
        "prompt": [{"role": "user", "content": f"Which file of {repository} does case {number} ({stage}) touch?"}],
        "completion": [{"role": "assistant", "content": answer.format(name)}],
        "provenance": {"repository": repository, "commit": sha256(name)[:40]},
    }
