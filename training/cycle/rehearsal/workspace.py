"""A rehearsal's folder: databases and files of its own, the settings that point to them, the ledger of its steps.

The curated database is copied, so that bases, active adapters, frozen sets and reservations are those of the
installation; the raw database is new. What a rehearsal trains, promotes and reserves therefore never reaches the
installation, however it ends.
"""

import contextlib
import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from harness.packages.package import MANIFEST
from host.code_version import code_version
from host.private import private_directory
from models.errors import InfrastructureError, UsageError
from models.llm_settings import EMBEDDED
from models.protocols import Stage
from models.rehearsal import RehearsalOrder, StepEvidence
from models.settings import Settings
from models.targets import TrainingTarget
from store.learning.curated_copy import copy_curated
from training.adapters.registry.signing import known_keys, trust_keys
from training.bases.files import hash_file
from training.fit.backends import choose_backend

if TYPE_CHECKING:
    from store.database import Engine

STATE, ORDER, LEDGER, CLOSED = "state", "order.json", "steps.jsonl", "closed"
MARK = "is-a-rehearsal"
"""The file by which a folder is known to be a rehearsal's: the first that is made, and the last that is removed."""
TARGET = TrainingTarget.SCOPE
REASON = "rehearsal"
"""Stands in the log of decisions as a person's reason would."""
_BATCH, _VALIDATION, _RANK = 1, 1, 8
_TRAINED_WINDOW, _EMBEDDED_WINDOW, _EMBEDDED_ANSWER = 1280, 2560, 128
"""Tokens of a prompt with its answer that a processor trains on, or that the embedded model reads, in seconds; and of
its answers, which take it the longest."""


class Workspace:
    """The folder of one rehearsal under `out`, gone on with after a kill, and made anew after an end."""

    def __init__(self, out: Path) -> None:
        self.out = out
        self.state = out / STATE

    def open(self, order: RehearsalOrder, curated: "Engine", keys: Path) -> list[StepEvidence]:
        """Go on with an unfinished rehearsal of the same order, packages and code, whose finished steps are returned;
        else begin anew. What is signed with a key of the installation (`keys`) holds in the rehearsal as well.

        Raises UsageError if the folder holds anything else.
        """
        text = json.dumps(
            {
                "order": order.model_dump(mode="json"),
                "manifests": [hash_file(path / MANIFEST) for path in order.packages if (path / MANIFEST).is_file()],
                "code": code_version(),
            },
            sort_keys=True,
        )
        try:
            if self._is_ours(text):
                return self._finished()
            self._remove()
            private_directory(self.state)
            (self.state / MARK).touch()
            copy_curated(curated, self.curated).dispose()
            trust_keys(self.state / "keys", known_keys(keys))
            (self.state / ORDER).write_text(text)
        except OSError as error:
            raise InfrastructureError(
                f"{self.state} cannot be written: {error.strerror}; free some space or give another folder with --out"
            ) from error
        return []

    @property
    def curated(self) -> Path:
        """The copy of the curated database."""
        return self.state / "curated.sqlite"

    def record(self, evidence: StepEvidence) -> None:
        """Keep a finished step. Raises OSError."""
        with (self.state / LEDGER).open("a", encoding="utf-8") as file:
            file.write(evidence.model_dump_json() + "\n")
            file.flush()
            os.fsync(file.fileno())

    def close(self) -> None:
        """Mark the rehearsal as ended, so that the next one begins anew. Raises OSError."""
        (self.state / CLOSED).touch()

    def size(self) -> int:
        """Bytes in the folder."""
        return sum(path.lstat().st_size for path in self.out.rglob("*") if path.is_file())

    def _is_ours(self, text: str) -> bool:
        order = self.state / ORDER
        return order.is_file() and order.read_text() == text and not (self.state / CLOSED).exists()

    def _finished(self) -> list[StepEvidence]:
        """The steps in the ledger; a line that a kill cut off is left out, and cut off the file."""
        ledger = self.state / LEDGER
        if not ledger.exists():
            return []
        whole = ledger.read_text(encoding="utf-8").rpartition("\n")[0]
        ledger.write_text(whole + "\n" if whole else "", encoding="utf-8")
        return [StepEvidence.model_validate_json(line) for line in whole.splitlines()]

    def _remove(self) -> None:
        """Remove an earlier rehearsal. Raises UsageError for a folder that no rehearsal made."""
        if not self.state.exists():
            return
        entries = {entry.name: entry for entry in self.state.iterdir()}
        if self.state.is_symlink() or (entries and MARK not in entries):
            raise UsageError(f"{self.state} was not made by a rehearsal; give another folder with --out")
        (self.state / ORDER).unlink(missing_ok=True)  # first: a removal that is killed is no unfinished rehearsal
        mark = entries.pop(MARK, None)
        for entry in entries.values():
            if entry.is_dir() and not entry.is_symlink():
                shutil.rmtree(entry)
            else:
                entry.unlink(missing_ok=True)
        if mark is not None:
            mark.unlink()
        self.state.rmdir()

    @contextlib.contextmanager
    def in_force(self, settings: Settings, order: RehearsalOrder, base: str) -> Iterator[None]:
        """Settings of this process that point to the rehearsal's data, and keep its training short."""
        before = dict(os.environ)
        os.environ.update(self._variables(settings, order, base))
        try:
            yield
        finally:
            os.environ.clear()
            os.environ.update(before)

    def _variables(self, settings: Settings, order: RehearsalOrder, base: str) -> dict[str, str]:
        training, models = settings.training, settings.models
        steps = order.training_steps
        found = {
            "CRA_DATA_DIR": str(self.state.absolute()),
            "CRA_CACHE_DIR": str(settings.cache_dir.absolute()),
            "CRA_CORPUS_DIR": str(settings.corpus.absolute()),
            "CRA_RAW_DATABASE": f"sqlite:///{(self.state / 'raw.sqlite').absolute()}",
            "CRA_CURATED_DATABASE": f"sqlite:///{self.curated.absolute()}",
            "CRA_TRAINING__MAX_STEPS": str(min(training.max_steps or steps, steps)),
            "CRA_TRAINING__BATCH_SIZE": str(min(training.batch_size, _BATCH)),
            "CRA_TRAINING__VALIDATION_ROWS": str(min(training.validation_rows, _VALIDATION)),
            "CRA_TRAINING__CHECKPOINT_STEPS": str(min(training.checkpoint_steps, max(1, steps // 2))),
            "CRA_TRAINING__RANK": str(min(training.rank, _RANK)),
            "CRA_TRAINING__CONTROL_ARM": "false",
        }
        student = models.roles.reasoning
        embedded = models.endpoint(student).url == EMBEDDED
        windows = dict.fromkeys(Stage, _EMBEDDED_WINDOW) if embedded else {}
        if choose_backend(training.backend) == "trl-cpu":
            windows |= dict.fromkeys(TARGET.stages, _TRAINED_WINDOW)
        if windows := windows | models.windows:
            found["CRA_MODELS__WINDOWS"] = json.dumps({stage.value: tokens for stage, tokens in windows.items()})
        if embedded:
            own = models.endpoint(student)
            most = min(own.answer_tokens or _EMBEDDED_ANSWER, _EMBEDDED_ANSWER)
            found["CRA_MODELS__ENDPOINTS"] = json.dumps({student: {"base": own.base or base, "answer_tokens": most}})
        return found
