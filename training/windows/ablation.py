"""The ablation of windows: per window a reduced base trained on code, and a control trained on the same tokens.

The base as it is (`base`) is one arm. Arms of one window: reduced and not trained (`reduced, untrained`), and for each
seed reduced and trained (`reduced`) and the unchanged base trained on the very same chunks (`control`). Each arm's
figures are written once it is measured, so that a stopped ablation goes on with the arm that it was at; no trained
model is kept.
"""

import gc
import hashlib
import json
import math
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from host.files import write_whole
from models.errors import TrainingError, UsageError
from models.evaluation import EvaluationSet
from models.plans import Frozen
from training.bases.bases import Base
from training.bases.chat_format import ChatFormat
from training.bases.windows import reduced_base
from training.quiet import quiet_libraries
from training.windows.learning import LearningSettings, learn
from training.windows.measures import key_value_memory, losses_by_position, speed_at
from training.windows.stages import StageLoss, stage_loss
from training.windows.texts import CodeSequence, CodeSource, measured_sequences, training_chunks

BASE, UNTRAINED, REDUCED, CONTROL = "base", "reduced, untrained", "reduced", "control"
BUCKETS = 16
"""Buckets of positions in a measured sequence, at least; and the number that each window is a multiple of."""
Told = Callable[[str, int, int], None]


class AblationSettings(Frozen):
    """windows: in tokens. tokens: that each arm is trained on. seeds: of the order of the chunks. sequences: that each
    repository is measured by, twice the largest window long (at most the base's own). items: of a frozen set's
    repository at most."""

    windows: tuple[int, ...]
    tokens: int
    seeds: tuple[int, ...] = (0,)
    sequences: int = 1
    items: int = 10
    learning: LearningSettings


class Arm(Frozen):
    """The figures of one arm: losses in buckets by repository, stage losses, memory and speed at its window."""

    name: str
    window: int
    seed: int | None = None
    losses: dict[str, list[float]]
    stages: tuple[StageLoss, ...] = ()
    bytes_per_token: int
    measured_bytes_per_token: int
    prefill: float
    decode: float
    trained_tokens: int = 0
    train_speed: float | None = None
    train_losses: tuple[float, ...] = ()


class AblationResult(Frozen):
    """All arms; `length` tokens were measured in buckets of `bucket`; `sets` are targets with frozen questions."""

    base: str
    original: int
    settings: AblationSettings
    length: int
    bucket: int
    arms: tuple[Arm, ...]
    sets: tuple[str, ...]
    training: tuple[str, ...]
    measured: tuple[str, ...]


@dataclass(frozen=True)
class Ablation:
    """One ablation, kept below `parent` under its id; `sets` may be empty. `told` gets what is done, how much, and of
    how much."""

    base: Base
    settings: AblationSettings
    training: Sequence[CodeSource]
    measuring: Sequence[CodeSource]
    sets: tuple[EvaluationSet, ...]
    parent: Path
    told: Told

    @property
    def id(self) -> str:
        """Hash of all that the figures depend on."""
        sources = [[each.name, each.commit] for part in (self.training, self.measuring) for each in part]
        sets = [each.id for each in self.sets]
        parts = [self.base.id, self.settings.model_dump(mode="json"), sources, sets, self._bucket()]
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()

    @property
    def folder(self) -> Path:
        """Where its figures are kept."""
        return self.parent / self.id[:12]

    def run(self) -> AblationResult:
        """The figures of all arms; those known are read. Raises UsageError, TrainingError."""
        original, length = int(self.base.facts["window"]), self._length()
        chat = ChatFormat.load(self.base.path)
        sequences = self._sequences(chat.tokenizer, length)
        arms = tuple(self._arm(chat, sequences, *which) for which in self._arms(length))
        for window in self.settings.windows:
            shutil.rmtree(self._reduced(window), ignore_errors=True)
        return AblationResult(
            base=self.base.name,
            original=original,
            settings=self.settings,
            length=length,
            bucket=self._bucket(),
            arms=arms,
            sets=tuple(each.target.value for each in self.sets),
            training=tuple(each.name for each in self.training),
            measured=tuple(sorted({each.repository for each in sequences})),
        )

    def _reduced(self, window: int) -> Path:
        """Where the reduced base is while arms need it."""
        return self.folder / f"base-{window}"

    def _longest(self) -> int:
        """Twice the largest window, if the base has that many positions."""
        return min(int(self.base.facts["window"]), 2 * max(self.settings.windows))

    def _bucket(self) -> int:
        """The size of a bucket: the largest that divides every window and gives at least `BUCKETS` buckets. Raises
        UsageError for a window that is no multiple of it."""
        if any(window % BUCKETS for window in self.settings.windows):
            raise UsageError(f"--windows: give multiples of {BUCKETS}")
        shared = math.gcd(*self.settings.windows)
        return max(size for size in range(1, self._longest() // BUCKETS + 1) if shared % size == 0)

    def _length(self) -> int:
        """The tokens of a measured sequence, in whole buckets."""
        return self._longest() - self._longest() % self._bucket()

    def _arms(self, length: int) -> Iterator[tuple[str, int, int | None]]:
        yield BASE, length, None
        for window in self.settings.windows:
            yield UNTRAINED, window, None
            for seed in self.settings.seeds:
                yield REDUCED, window, seed
                yield CONTROL, window, seed

    def _sequences(self, tokenizer: Any, length: int) -> list[CodeSequence]:
        found = [
            sequence
            for source in self.measuring
            for sequence in measured_sequences(source, tokenizer, length, self.settings.sequences)
        ]
        if not found:
            raise TrainingError(f"no repository to measure by has {length} tokens of Python; give other ones")
        return found

    def _arm(self, chat: ChatFormat, sequences: list[CodeSequence], name: str, window: int, seed: int | None) -> Arm:
        """The figures of an arm, from its file if it has one."""
        label = f"{name} {window}" + (f" seed {seed}" if seed is not None else "")
        file = self.folder / f"{label.replace(', ', '-').replace(' ', '-')}.json"
        try:
            return Arm.model_validate_json(file.read_bytes())
        except (FileNotFoundError, ValidationError):
            pass
        with quiet_libraries():
            model = self._model(name, window)
            learned = None
            if seed is not None:
                chunks = training_chunks(self.training, chat.tokenizer, self.settings.tokens, window, seed)
                learned = learn(model, chunks, self.settings.learning, lambda done, of: self.told(label, done, of))
            arm = self._measured(model, chat, sequences, name, window, seed)
        if learned is not None:
            arm = arm.model_copy(
                update={
                    "trained_tokens": learned.tokens,
                    "train_speed": learned.tokens / learned.seconds,
                    "train_losses": tuple(learned.losses),
                }
            )
        del model
        gc.collect()
        write_whole(file, arm.model_dump_json(indent=1) + "\n")
        self.told(label, 1, 1)
        return arm

    def _model(self, name: str, window: int) -> Any:
        import torch
        from transformers import AutoModelForCausalLM

        base = self.base
        if name in (REDUCED, UNTRAINED):
            base = reduced_base(base, window, self._reduced(window))
        model = AutoModelForCausalLM.from_pretrained(
            str(base.path), local_files_only=True, trust_remote_code=False, use_safetensors=True, dtype=torch.float32
        )
        return model.to("cuda" if torch.cuda.is_available() else "cpu").eval()

    def _measured(
        self, model: Any, chat: ChatFormat, sequences: list[CodeSequence], name: str, window: int, seed: int | None
    ) -> Arm:
        bf16 = self.settings.learning.bf16
        ids = sequences[0].ids[:window]
        memory, speed = key_value_memory(model, ids), speed_at(model, ids, bf16)
        return Arm(
            name=name,
            window=window,
            seed=seed,
            losses=losses_by_position(model, sequences, self._bucket(), bf16),
            stages=tuple(stage_loss(model, chat, each, window, self.settings.items, bf16) for each in self.sets),
            bytes_per_token=memory.computed,
            measured_bytes_per_token=memory.measured,
            prefill=speed.prefill,
            decode=speed.decode,
        )
