"""A base, with or without an adapter, as a model of the study."""

from collections.abc import Sequence
from pathlib import Path

from evals.study.asked import Distribution
from evals.study.questions import StudyQuestion
from models.settings import Settings
from models.training import TrainingTarget
from training.bases.bases import Base
from training.pointwise.option_model import OptionModel
from training.pointwise.prompt import OPTIONS, asked_as, listed_prompts


class PointwiseModel(OptionModel):
    """Asks about one candidate at a time; `target` is the stage that is studied, `shown` the candidates of a prompt."""

    def __init__(
        self,
        settings: Settings,
        base: Base,
        name: str = "",
        adapter: Path | None = None,
        adapter_id: str = "",
        target: TrainingTarget = TrainingTarget.SCOPE,
        shown: int = 1,
    ) -> None:
        super().__init__(settings, base, target, asked_as(target, shown), name, adapter, adapter_id)
        self._shown = shown

    def distributions(self, question: StudyQuestion) -> Sequence[Distribution]:
        """The distribution of each candidate. Raises as `probabilities` does."""
        numbers = range(len(question.candidates))
        cut = self._shown if self._shown > 1 else len(numbers)  # the prompts of one list begin alike
        found = [
            each
            for start in range(0, len(numbers), max(cut, 1))
            for each in self.probabilities(
                listed_prompts(question, numbers[start : start + cut], self._shown), list(OPTIONS.values())
            )
        ]
        return [(relevant, supporting, irrelevant) for relevant, supporting, irrelevant in found]
