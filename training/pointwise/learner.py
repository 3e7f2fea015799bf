"""A learner of the study: trains an adapter of one base to classify candidates, a prompt for each."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from evals.study.asked import ClassModel
from evals.study.questions import StudyQuestion
from models.settings import Settings
from models.training import TrainingTarget
from store.keys import digest
from training.bases.bases import Base
from training.bases.chat_format import ChatFormat
from training.bases.shared_prefix import ROWS
from training.bases.thinking import base_thinks
from training.fit.backends import choose_backend
from training.fit.recipe import Recipe, applied, recipe_for
from training.fit.result import adapter_hash
from training.pointwise.fitting import FIT_VERSION, GROUPS, PointwiseTraining
from training.pointwise.letters import FIT, WARMUP
from training.pointwise.model import PointwiseModel
from training.pointwise.prompt import asked_as
from training.quiet import quiet_libraries

LEARNING_RATE = 5e-4
"""Peak of the cosine schedule, above that of long trainings: a point of the learning curve has few steps."""


@dataclass(frozen=True)
class PointwiseLearner:
    """Trains adapters of one base, one epoch each; `target` is the stage that is studied, `shown` the candidates of a
    prompt (`listed_prompts`)."""

    settings: Settings
    base: Base
    target: TrainingTarget = TrainingTarget.SCOPE
    shown: int = 1

    @property
    def name(self) -> str:
        """What the learning curve calls it."""
        return f"{self.base.name} + adapter"

    @property
    def identity(self) -> str:
        """A hash of base, recipe and prompt."""
        name, version = asked_as(self.target, self.shown)
        shape = (ROWS, GROUPS, WARMUP, FIT_VERSION, version)
        return digest(f"{name} learner", self.base.id, self._recipe(0).id, self._thinking, *shape)

    def learn(
        self, data: Sequence[StudyQuestion], seed: int, path: Path, progress: Callable[[int, int], None]
    ) -> ClassModel:
        """The trained adapter's model. Raises TrainingError where the loss is not finite or the data holds nothing."""
        if not (path / FIT).exists():
            chat = ChatFormat.load(self.base.path, self._thinking)
            with quiet_libraries():
                PointwiseTraining(self.base, self._recipe(seed), chat, path, progress, self.shown).learn(data)
        adapter = path / "adapter"
        known = adapter_hash(adapter) or ""
        return PointwiseModel(self.settings, self.base, self.name, adapter, known, self.target, self.shown)

    def _recipe(self, seed: int) -> Recipe:
        """The stage's recipe as the back end applies it, with the rate and the one epoch of this learner."""
        recipe = recipe_for(self.target, "sft", self.settings.training)
        changed = recipe.model_copy(update={"learning_rate": LEARNING_RATE, "epochs": 1, "seed": seed})
        return applied(changed, choose_backend())

    @property
    def _thinking(self) -> bool | None:
        return base_thinks(self.settings, self.base, self.target)
