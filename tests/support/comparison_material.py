"""Comparisons as histories give them, and critics that follow a script."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from evals.critic.judging import CriticQuestion
from models.comparisons import Comparison, Criterion, Part
from models.training import PairSource
from training.data.sources.collections import recipe_provenance

Script = Callable[[CriticQuestion], float]


def a_comparison(
    number: int,
    *,
    part: Part = Part.TRAINING,
    repository: str = "ant",
    criterion: Criterion = Criterion.CORRECTNESS,
    better: str = "",
    worse: str = "",
    task: str = "",
) -> Comparison:
    """A comparison whose better version checks what it is given."""
    body = f"    return run(value, {number})\n"
    return Comparison(
        criterion=criterion,
        part=part,
        task=task or f"Fix the crash of part {number} without a value",
        place=f"part{number}.py::start",
        better=better or f"def start(value):\n    if value is None:\n        raise MissingValue({number})\n{body}",
        worse=worse or f"def start(value):\n{body}",
        evidence="fix",
        provenance=recipe_provenance(
            PairSource.COMPARISONS,
            f"{repository}__{number}",
            repository=repository,
            organisation=repository,
            domain=repository,
            license="MIT",
        ),
    )


@dataclass
class ScriptedCritic:
    """Answers by a function of the question, and counts what it was asked."""

    script: Script
    name: str = "scripted"
    identity: str = "scripted-1"
    asked: int = 0

    def first_is_better(self, questions: Sequence[CriticQuestion]) -> list[float]:
        self.asked += len(questions)
        return [self.script(question) for question in questions]


def longer(question: CriticQuestion) -> float:
    """The longer version is better."""
    return 0.5 if len(question.first) == len(question.second) else float(len(question.first) > len(question.second))
