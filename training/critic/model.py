"""A base, with or without a critic's adapter, as a critic."""

from collections.abc import Sequence
from pathlib import Path

from evals.critic.judging import CriticQuestion
from models.settings import Settings
from models.training import TrainingTarget
from training.bases.bases import Base
from training.critic.prompt import LETTERS, PROMPT_VERSION, critic_prompt
from training.pointwise.option_model import OptionModel


class CriticModel(OptionModel):
    """Asks which of two versions is better."""

    def __init__(
        self, settings: Settings, base: Base, name: str = "", adapter: Path | None = None, adapter_id: str = ""
    ) -> None:
        super().__init__(settings, base, TrainingTarget.CRITIC, ("critic", PROMPT_VERSION), name, adapter, adapter_id)

    def first_is_better(self, questions: Sequence[CriticQuestion]) -> list[float]:
        """The probability of each question's first version. Raises as `probabilities` does."""
        return [first for first, _ in self.probabilities([critic_prompt(each) for each in questions], LETTERS)]
