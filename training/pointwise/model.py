"""A base, with or without an adapter, as a model of the study."""

from collections.abc import Sequence
from pathlib import Path

from evals.study.asked import Distribution
from evals.study.questions import StudyQuestion
from models.settings import Settings
from models.training import TrainingTarget
from training.bases.bases import Base
from training.pointwise.option_model import OptionModel
from training.pointwise.prompt import ASKED_AS, OPTIONS, candidate_prompt


class PointwiseModel(OptionModel):
    """Asks about one candidate at a time; `target` is the stage that is studied."""

    def __init__(
        self,
        settings: Settings,
        base: Base,
        name: str = "",
        adapter: Path | None = None,
        adapter_id: str = "",
        target: TrainingTarget = TrainingTarget.SCOPE,
    ) -> None:
        super().__init__(settings, base, target, ASKED_AS[target], name, adapter, adapter_id)

    def distributions(self, question: StudyQuestion) -> Sequence[Distribution]:
        """The distribution of each candidate. Raises as `probabilities` does."""
        prompts = [candidate_prompt(question, candidate) for candidate in question.candidates]
        found = self.probabilities(prompts, list(OPTIONS.values()))
        return [(relevant, supporting, irrelevant) for relevant, supporting, irrelevant in found]
