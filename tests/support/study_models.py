"""A model and a learner for studies, which count what they are asked."""

from collections.abc import Callable, Sequence
from pathlib import Path

from evals.study.asked import ClassModel, Distribution
from evals.study.questions import StudyQuestion

TRAINING = {"ant", "bee", "cow"}
"""The repositories that a learner may see."""


class Counting:
    """A model that answers by rank and counts what it was asked; it may stop in the middle."""

    name, identity = "counting", "by rank"

    def __init__(self, most: int = 1000) -> None:
        self.asked, self.most = 0, most

    def distributions(self, question: StudyQuestion) -> Sequence[Distribution]:
        if self.asked == self.most:
            raise KeyboardInterrupt
        self.asked += 1
        return [(1 / (1 + each.rank), 0.0, each.rank / (1 + each.rank)) for each in question.candidates]


class Remembering:
    """A learner whose model knows how many judgements it saw."""

    name, identity = "counting + adapter", "remembers"

    def __init__(self) -> None:
        self.learned: list[tuple[int, int]] = []

    def learn(
        self, data: Sequence[StudyQuestion], seed: int, path: Path, progress: Callable[[int, int], None]
    ) -> ClassModel:
        self.learned.append((sum(len(each.indices) for each in data), seed))
        assert {each.repository for each in data} <= TRAINING
        model = Counting()
        model.name, model.identity = self.name, f"{path.name}"  # type: ignore[misc]
        return model
