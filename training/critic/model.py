"""A base, with or without a critic's adapter, as a critic: the probabilities of the answer's first token."""

from collections.abc import Sequence
from pathlib import Path

from evals.critic.judging import CriticQuestion
from models.settings import Settings
from models.training import TrainingTarget
from store.keys import digest
from training.bases.bases import Base
from training.bases.thinking import base_thinks
from training.critic.prompt import LETTERS, PROMPT_VERSION, critic_prompt
from training.cycle.local_answers import LocalAnswerer


class CriticModel:
    """Nothing is generated. The weights are loaded when it is first asked."""

    def __init__(
        self,
        settings: Settings,
        base: Base,
        name: str = "",
        adapter: Path | None = None,
        adapter_id: str = "",
    ) -> None:
        """Raises TrainingError where thinking is set differently for training and serving."""
        self.name = name or base.name
        self._base, self._adapter = base, adapter
        self._thinking = base_thinks(settings, base, TrainingTarget.CRITIC)
        self._half = settings.training.cpu_bf16
        self.identity = digest("critic", PROMPT_VERSION, base.id, adapter_id, self._thinking, self._half)
        self._model: LocalAnswerer | None = None

    def first_is_better(self, questions: Sequence[CriticQuestion]) -> list[float]:
        """The probability of each question's first version. Raises UsageError, RegistryError for unusable weights,
        PromptTooLong."""
        if self._model is None:
            self._model = LocalAnswerer(
                self._base.path, self._base.name, self._adapter, thinking=self._thinking, half=self._half
            )
        prompts = [critic_prompt(question) for question in questions]
        return [first for first, _ in self._model.option_probabilities(prompts, LETTERS)]
