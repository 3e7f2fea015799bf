"""Mixtures: the rows of several curated datasets in one, for a base's full fine-tune, each with its objective.

An example's objective follows from its source and stage. A row is held out only if no dataset of the mixture trains on
its repository. The same datasets and settings give the same mixture, byte for byte.
"""

import hashlib
import json
import shutil
import tempfile
import tomllib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import ValidationError

from agent.prompts import REVISION
from host.private import make_directory
from models.errors import InfrastructureError, TrainingError, UsageError
from models.mixture import MixtureSettings, shares_of
from models.objectives import Objective, objective_of, sources_of
from models.protocols import Stage
from models.targets import Role
from models.training import TrainingTarget
from store.learning.datasets import add_mixture
from store.runs import RawStore
from training.data.curation import Card
from training.data.curation.card import DPO, MACHINE, PEOPLE, SFT, Rounds
from training.data.curation.writing import dataset_id, hashed
from training.data.datasets import read_dataset

TARGETS: dict[Role, TrainingTarget] = {"reasoning": TrainingTarget.PLANNING, "coding": TrainingTarget.CODE}
"""The target whose settings (thinking, reasoning's weight) a role's full fine-tune has."""
_FREE = (Objective.STYLE, Objective.POSITION)
"""Objectives of both roles, whatever stage their examples' prompts have."""


class Mixture(NamedTuple):
    """A mixture's directory and card, the share of each objective, the datasets' ids, and counts by objective of rows
    to train on and rows held out."""

    directory: Path
    card: Card
    shares: dict[Objective, float]
    datasets: tuple[str, ...]
    trained: dict[Objective, int]
    held_out: dict[Objective, int]


@dataclass
class _Rows:
    """Rows by id, and why others were left out."""

    kept: dict[str, tuple[Objective, dict[str, Any]]] = field(default_factory=dict)
    left_out: Counter[str] = field(default_factory=Counter)


def read_mixture(file: Path) -> MixtureSettings:
    """The mixture in a TOML file. Raises UsageError naming the first fault."""
    try:
        return MixtureSettings.model_validate(tomllib.loads(file.read_text(encoding="utf-8")))
    except OSError as error:
        raise UsageError(f"{file}: {error.strerror}; name a file with the datasets of a mixture") from error
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"{file}: {error}") from error
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise UsageError(
            f"{file}: {where + ': ' if where else ''}{first['msg'].removeprefix('Value error, ')}"
        ) from error


def make_mixture(
    raw: RawStore, data_dir: Path, settings: MixtureSettings, role: Role, wanted: Sequence[Objective] = ()
) -> Mixture:
    """Make the mixture of a role and store it. `wanted`: the objectives to train on; empty: the settings'. The window,
    which has no rows of its own, is left to the training.

    Raises UsageError for a dataset that is not there, TrainingError for an objective without rows, InfrastructureError
    if it cannot be written.
    """
    directories = [_directory(data_dir, name) for name in settings.datasets]
    cards = [read_dataset(directory) for directory in directories]
    asked = tuple(each for each in wanted or settings.objectives if each is not Objective.WINDOW)
    rows = _read(directories, role, asked)
    chosen = _capped(rows, settings)
    trained = {row["provenance"].get("repository") for _, row in chosen if row["split"] == "train"}
    kept = [
        (objective, row)
        for objective, row in chosen
        if row["split"] == "train" or row["provenance"].get("repository") not in trained
    ]
    rows.left_out["held out, but trained on in another dataset"] += len(chosen) - len(kept)
    train, held = (Counter(o for o, row in kept if row["split"] == split) for split in ("train", "validation"))
    _require(asked, train)
    weights: Counter[Objective] = Counter()
    for objective, row in kept:
        weights[objective] += row["weight"] if row["split"] == "train" else 0
    shares = shares_of(settings, {each: weights[each] for each in sorted(train)})
    config = {
        "mixture": settings.model_dump(mode="json", exclude={"datasets"}),
        "role": role,
        "objectives": sorted(train),
        "datasets": [card.id for card in cards],
        "templates": REVISION,
        "left_out": dict(sorted(rows.left_out.items())),
    }
    sft = "".join(json.dumps(row, ensure_ascii=True, sort_keys=True) + "\n" for _, row in kept)
    card = _card(role, [row for _, row in kept], config, hashed(sft, ""), cards)
    directory = _write(data_dir / "mixtures" / f"{role}-{card.id[:12]}", card, sft)
    add_mixture(
        raw.engine,
        card.id,
        source="+".join(sorted(card.sources)),
        examples=len(kept),
        config=config,
        repositories=list(card.repositories),
        content=card.to_json(),
    )
    return Mixture(directory, card, shares, tuple(config["datasets"]), dict(train), dict(held))


def _directory(data_dir: Path, name: str) -> Path:
    for directory in (Path(name), data_dir / "datasets" / name):
        if (directory / MACHINE).is_file():
            return directory
    raise UsageError(f"mixture: {name!a} is no dataset, neither as a directory nor in {data_dir / 'datasets'}")


def _read(directories: Sequence[Path], role: Role, asked: Sequence[Objective]) -> _Rows:
    rows = _Rows()
    for directory in directories:
        for row in _lines(directory / SFT):
            stage = Stage(row["stage"])
            objective = objective_of(row["source"], stage)
            if not serves(role, objective, stage):
                rows.left_out["of the other role"] += 1
            elif asked and objective not in asked:
                rows.left_out[f"objective {objective.value} is not asked for"] += 1
            elif row["id"] in rows.kept:
                rows.left_out["in another dataset as well"] += 1
            else:
                rows.kept[row["id"]] = (objective, row)
    return rows


def serves(role: Role, objective: Objective, stage: Stage) -> bool:
    """Whether an example of an objective and stage is for a role's base: style and positions are for both."""
    return objective in _FREE or any(stage in target.stages for target in TrainingTarget if target.role == role)


def _lines(file: Path) -> Iterator[dict[str, Any]]:
    with file.open(encoding="utf-8") as lines:
        for line in lines:
            yield json.loads(line)


def _capped(rows: _Rows, settings: MixtureSettings) -> list[tuple[Objective, dict[str, Any]]]:
    """The rows in an effectively random order, with at most `cap` rows to train on of each objective."""

    def place(entry: tuple[Objective, dict[str, Any]]) -> bytes:
        return hashlib.sha256(f"{settings.seed} {entry[1]['id']}".encode()).digest()

    taken: Counter[Objective] = Counter()
    chosen = []
    for objective, row in sorted(rows.kept.values(), key=place):
        limit = settings.objectives[objective].cap if objective in settings.objectives else None
        if row["split"] == "train" and limit is not None and taken[objective] >= limit:
            rows.left_out[f"objective {objective.value} over its cap"] += 1
            continue
        taken[objective] += row["split"] == "train"
        chosen.append((objective, row))
    return chosen


def _require(asked: Sequence[Objective], train: Mapping[Objective, int]) -> None:
    """Raise TrainingError naming the first objective without rows to train on."""
    for objective in asked:
        if not train.get(objective):
            raise TrainingError(
                f"objective {objective.value} has no rows in the mixture's datasets; it is learned from "
                f"{sources_of(objective)}: curate some, or leave the objective out"
            )
    if not train:
        raise TrainingError("the mixture's datasets have no rows of this role; curate some for its stages")


def _card(
    role: Role, rows: Sequence[dict[str, Any]], config: dict[str, Any], files: dict[str, str], cards: Sequence[Card]
) -> Card:
    def counts(name: str) -> dict[str, int]:
        return dict(sorted(Counter(str(row["provenance"].get(name) or "unknown") for row in rows).items()))

    splits = Counter(row["split"] for row in rows)
    return Card(
        id=dataset_id(files, config),
        target=TARGETS[role],
        examples={"sft": len(rows), "dpo": 0, "train": splits["train"], "validation": splits["validation"]},
        sources=dict(sorted(Counter(row["source"] for row in rows).items())),
        stages=dict(sorted(Counter(row["stage"] for row in rows).items())),
        classes={},
        repositories=counts("repository"),
        organisations=counts("organisation"),
        domains=counts("domain"),
        licenses=counts("license"),
        planners=counts("planner"),
        tokens={name: max(card.tokens.get(name, 0) for card in cards) for name in ("longest_prompt", "longest")}
        | {"total": sum(card.tokens.get("total", 0) for card in cards)},
        rounds=Rounds(earlier=tuple(card.id for card in cards)),
        funnel=(),
        preference_funnel=(),
        files=files,
        config=config | {"counter": cards[0].config.get("counter", "unknown")},
        templates=REVISION,
        window=max(card.window for card in cards),
    )


def _write(directory: Path, card: Card, sft: str) -> Path:
    """Write a mixture atomically; one that is there is kept."""
    if (directory / MACHINE).is_file():
        return directory
    texts = {SFT: sft, DPO: "", MACHINE: card.to_json(), PEOPLE: card.to_markdown()}
    try:
        make_directory(directory.parent)
        staging = Path(tempfile.mkdtemp(prefix=f".{directory.name}-", dir=directory.parent))
        try:
            for name, text in texts.items():
                (staging / name).write_text(text, encoding="utf-8")
            staging.chmod(0o755)
            staging.replace(directory)
        finally:
            shutil.rmtree(staging, ignore_errors=True)
    except OSError as error:
        if (directory / MACHINE).is_file():  # another process was faster
            return directory
        raise InfrastructureError(f"{directory} cannot be written: {error.strerror}; free disk space") from error
    return directory
