"""A base, with or without an adapter, that chooses an option: the probabilities of the answer's first token."""

from collections.abc import Sequence
from pathlib import Path

from models.chat import Message
from models.settings import Settings
from models.training import TrainingTarget
from store.keys import digest
from training.bases.bases import Base
from training.bases.bf16 import check_bf16
from training.bases.thinking import base_thinks
from training.cycle.local_answers import LocalAnswerer


class OptionModel:
    """Nothing is generated. The weights are loaded when it is first asked. `identity` is a hash of what it is asked as
    (`kind` and version of the prompt), base, adapter, thinking and precision."""

    def __init__(
        self,
        settings: Settings,
        base: Base,
        target: TrainingTarget,
        asked_as: tuple[str, int],
        name: str = "",
        adapter: Path | None = None,
        adapter_id: str = "",
    ) -> None:
        """Raises TrainingError where thinking is set differently for training and serving, and as `check_bf16` does."""
        self.name = name or base.name
        self._base, self._adapter = base, adapter
        self._thinking = base_thinks(settings, base, target)
        self._half = settings.training.cpu_bf16
        if self._half:
            check_bf16()
        self.identity = digest(*asked_as, base.id, adapter_id, self._thinking, self._half)
        self._model: LocalAnswerer | None = None

    def probabilities(self, prompts: Sequence[list[Message]], options: Sequence[str]) -> Sequence[Sequence[float]]:
        """The probability of each option, by prompt. Raises UsageError, RegistryError for unusable weights,
        PromptTooLong."""
        if self._model is None:
            self._model = LocalAnswerer(
                self._base.path, self._base.name, self._adapter, thinking=self._thinking, half=self._half
            )
        return self._model.option_probabilities(prompts, options)
