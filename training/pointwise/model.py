"""A base, with or without an adapter, as a model of the study: the probabilities of the answer's first token."""

from collections.abc import Sequence
from pathlib import Path

from evals.study.asked import Distribution
from evals.study.questions import StudyQuestion
from models.settings import Settings
from models.training import TrainingTarget
from store.keys import digest
from training.bases.bases import Base
from training.bases.thinking import base_thinks
from training.cycle.local_answers import LocalAnswerer
from training.pointwise.prompt import OPTIONS, PROMPT_VERSION, candidate_prompt


class PointwiseModel:
    """Asks about one candidate at a time; nothing is generated. The weights are loaded when it is first asked."""

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
        self._thinking = base_thinks(settings, base, TrainingTarget.SCOPE)
        self._half = settings.training.cpu_bf16
        self.identity = digest("pointwise", PROMPT_VERSION, base.id, adapter_id, self._thinking, self._half)
        self._model: LocalAnswerer | None = None

    def distributions(self, question: StudyQuestion) -> Sequence[Distribution]:
        """The distribution of each candidate. Raises UsageError, RegistryError for unusable weights, PromptTooLong."""
        if self._model is None:
            self._model = LocalAnswerer(
                self._base.path, self._base.name, self._adapter, thinking=self._thinking, half=self._half
            )
        prompts = [candidate_prompt(question, candidate) for candidate in question.candidates]
        found = self._model.option_probabilities(prompts, list(OPTIONS.values()))
        return [(relevant, supporting, irrelevant) for relevant, supporting, irrelevant in found]
