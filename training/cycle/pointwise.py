"""A base, with or without an adapter, asked of one candidate at a time: the probabilities of the answer's first token.

The task comes first and the candidate last, so that prompts of one task share their beginning. Nothing is generated.
"""

from collections.abc import Sequence

from evals.study.contenders import Prediction
from evals.study.questions import StudyCandidate, StudyQuestion
from models.chat import Message
from models.context import Relevance
from models.settings import Settings
from models.training import TrainingTarget
from store.keys import digest
from training.adapters.registry import AdapterVersion
from training.bases.bases import Base
from training.bases.thinking import base_thinks
from training.cycle.local_answers import LocalAnswerer

PROMPT_VERSION = 1
TASK_CHARS = 1500
OPTIONS = {"A": Relevance.RELEVANT, "B": Relevance.SUPPORTING, "C": Relevance.IRRELEVANT}
BATCH = 16
_ASKED = """\
A change is to be made to a repository:

{task}

One of its files:

path: {path}
place in the ranking: {rank} of {candidates}
found because: {reason}

What is this file to the change?
A: it will have to change
B: it has to be read, but will not change
C: neither
Answer with one letter."""


class PointwiseModel:
    """A contender of the study of scope, with the class bias of its adapter; its weights are loaded when it is first
    asked."""

    slow = True

    def __init__(self, settings: Settings, base: Base, adapter: AdapterVersion | None = None) -> None:
        """Raises TrainingError where thinking is set differently for training and serving."""
        self.name = adapter.name if adapter else base.name
        self._base, self._adapter = base, adapter
        self._thinking = base_thinks(settings, base, TrainingTarget.SCOPE)
        bias = adapter.class_bias if adapter else None
        self._offsets = [bias.offsets.get(label.value, 0.0) for label in OPTIONS.values()] if bias else []
        parts = [PROMPT_VERSION, base.id, adapter.id if adapter else None, self._thinking]
        self.identity = digest("pointwise", *parts, *([self._offsets] if any(self._offsets) else []))
        self._model: LocalAnswerer | None = None

    def classify(self, question: StudyQuestion) -> list[Prediction]:
        """The likeliest class of each candidate, and the probability that it is relevant.

        Raises UsageError, RegistryError for unusable weights, PromptTooLong.
        """
        if self._model is None:
            directory = self._adapter.path if self._adapter else None
            self._model = LocalAnswerer(self._base.path, self._base.name, directory, thinking=self._thinking)
        prompts = [pointwise_prompt(question, candidate) for candidate in question.candidates]
        found = []
        for start in range(0, len(prompts), BATCH):
            found += self._model.option_probabilities(prompts[start : start + BATCH], list(OPTIONS), self._offsets)
        return [_prediction(row) for row in found]


def pointwise_prompt(question: StudyQuestion, candidate: StudyCandidate) -> list[Message]:
    """The question about one candidate."""
    text = _ASKED.format(
        task=question.task[:TASK_CHARS].strip(),
        path=candidate.path,
        rank=candidate.rank,
        candidates=len(question.candidates),
        reason=candidate.reason or "its rank",
    )
    return [Message(role="user", content=text)]


def _prediction(row: Sequence[float]) -> Prediction:
    by_class = dict(zip(OPTIONS.values(), row, strict=True))
    return Prediction(max(by_class, key=lambda label: by_class[label]), by_class[Relevance.RELEVANT])
