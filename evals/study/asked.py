"""Language models in a study: their probabilities of the three classes, asked once, and one offset per class.

A model is asked a sample of the questions of each repository. What it answered is appended to a file as it comes, so
that a stopped study asks nothing twice. The offsets are added to the log-probabilities before the likeliest class is
taken (the bias terms of vector scaling, Guo et al., "On Calibration of Modern Neural Networks", 2017); they are chosen
on validation repositories by one rule for every model: of the offsets at which enough relevant candidates are found
(`evals/recall_floor.py`), where that is asked for, those with the best balanced accuracy.
"""

import hashlib
import math
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Protocol

from evals.recall_floor import RecallFloor, fewest_rows
from evals.study.files import read_rows
from evals.study.logistic import CLASSES
from evals.study.questions import StudyQuestion
from host.files import append_line
from models.context import Relevance
from models.errors import EvaluationError
from models.evaluation import ClassJudgement
from models.plans import Frozen
from store.keys import digest

Distribution = tuple[float, float, float]
"""Probabilities of the classes in the order of `CLASSES`, their sum 1."""
Questions = Mapping[str, Sequence[StudyQuestion]]
Progress = Callable[[str, int, int], None]
STEP, STEPS = 0.25, 24
"""The grid of offsets: multiples of `STEP` from -`STEPS` to `STEPS` of them."""
RELEVANT = CLASSES.index(Relevance.RELEVANT)
_LEAST = 1e-9


class ClassModel(Protocol):
    """A model that gives each candidate of a question a distribution over the classes."""

    @property
    def name(self) -> str:
        """What tables call it."""
        ...

    @property
    def identity(self) -> str:
        """Text that changes whenever the answers may."""
        ...

    def distributions(self, question: StudyQuestion) -> Sequence[Distribution]:
        """The distribution of each candidate, in their order. Raises any CleanRoomError."""
        ...


class ModelLearner(Protocol):
    """Trains a model on judgements; a point of its learning curve for each size and seed."""

    @property
    def name(self) -> str:
        """What the curve calls it."""
        ...

    @property
    def identity(self) -> str:
        """Text that changes whenever the same judgements would give another model."""
        ...

    def learn(
        self, data: Sequence[StudyQuestion], seed: int, path: Path, progress: Callable[[int, int], None]
    ) -> ClassModel:
        """The trained model, kept in the folder `path` and read from there if it is finished; one that was stopped goes
        on. Raises any CleanRoomError."""
        ...


class Offsets(Frozen):
    """What is added to the log-probabilities, in the order of `CLASSES`; the last class has 0.

    `recall` is that of relevant candidates among the judgements they were chosen on, `least` the one asked for.
    """

    values: Distribution
    balanced_accuracy: float
    judgements: int
    recall: float | None = None
    least: float | None = None


NO_OFFSETS = Offsets(values=(0.0, 0.0, 0.0), balanced_accuracy=0.0, judgements=0)
"""What changes nothing."""


class KeptAnswer(Frozen):
    """A model's distributions for the candidates of one question, which is named by a hash of all that it holds."""

    question: str
    probabilities: tuple[Distribution, ...]


Asked = dict[str, list[list[Distribution]]]
"""By repository, for each of its questions, a distribution for each candidate."""


def sampled(questions: Questions, most: int) -> dict[str, list[StudyQuestion]]:
    """At most so many questions of each repository, chosen by the hash of their subjects."""

    def place(question: StudyQuestion) -> str:
        return hashlib.sha256(question.subject.encode()).hexdigest()

    return {name: sorted(rows, key=place)[:most] for name, rows in questions.items()}


def content(question: StudyQuestion) -> str:
    """A hash of all that a question holds."""
    return digest("study question", question.model_dump(mode="json"))


def ask(model: ClassModel, questions: Questions, out: Path, progress: Progress) -> Asked:
    """The model's distributions for all questions; what an earlier run had appended is read, not asked again."""
    total, done = sum(map(len, questions.values())), 0
    folder = out / "answers" / digest("study answers", model.identity)[:16]
    found: Asked = {}
    for repository, rows in sorted(questions.items()):
        path = folder / f"{repository}.jsonl"
        known = {each.question: each for each in _read(path)}
        found[repository] = []
        for row in rows:
            key = content(row)
            if key not in known:
                known[key] = KeptAnswer(question=key, probabilities=tuple(model.distributions(row)))
                append_line(path, known[key].model_dump_json())
            found[repository].append(list(known[key].probabilities))
            done += 1
            progress(f"asking {model.name}", done, total)
    return found


def fit_offsets(asked: Asked, questions: Questions, least: float | None = None) -> Offsets:
    """The offsets with the best balanced accuracy over all judgements; of equally good ones the smallest.

    With `least`, only of those at which the recall of relevant candidates can be believed to reach it; if there are
    none, those that miss the fewest. Raises EvaluationError without a judgement, and for too few relevant candidates.
    """
    import numpy as np

    logs = np.array(
        [[math.log(max(p, _LEAST)) for p in each] for name in sorted(asked) for row in asked[name] for each in row]
    )
    gold = np.array(
        [CLASSES.index(c.relevance) for name in sorted(asked) for q in questions[name] for c in q.candidates]
    )
    if not len(gold):
        raise EvaluationError("the validation repositories hold no judgement to choose offsets on; give others")
    relevant, allowed = gold == RELEVANT, _allowed(gold.tolist(), least)
    present = [gold == place for place in range(len(CLASSES)) if (gold == place).any()]
    free = [np.arange(-STEPS, STEPS + 1) * STEP if (gold == place).any() else np.zeros(1) for place in (0, 1)]
    best: tuple[int, float, float] = (-len(gold) - 1, 0.0, 0.0)
    values: Distribution = (0.0, 0.0, 0.0)
    for first in free[0]:
        for second in free[1]:
            chosen = (logs + np.array([first, second, 0.0])).argmax(1)
            value = float(np.mean([(chosen[each] == gold[each]).mean() for each in present]))
            beyond = max(0, int((chosen[relevant] != RELEVANT).sum()) - allowed)
            worth = (-beyond, round(value, 9), -float(abs(first) + abs(second)))
            if worth > best:
                best, values = worth, (float(first), float(second), 0.0)
    found = ((logs + np.array(values)).argmax(1) == RELEVANT)[relevant]
    return Offsets(
        values=values,
        balanced_accuracy=best[1],
        judgements=len(gold),
        recall=float(found.mean()) if len(found) else None,
        least=least,
    )


def check_enough(questions: Questions, least: float | None) -> None:
    """Raise EvaluationError if these hold too few relevant candidates to choose offsets for a recall of `least`."""
    _allowed([CLASSES.index(c.relevance) for rows in questions.values() for q in rows for c in q.candidates], least)


def _allowed(gold: Sequence[int], least: float | None) -> int:
    """How many relevant candidates may be missed; all where no recall is asked for."""
    relevant = gold.count(RELEVANT)
    if least is None:
        return relevant
    if (found := RecallFloor(RELEVANT, least).allowed(gold)) is None:
        raise EvaluationError(
            f"the validation repositories' sample holds {relevant} relevant candidates, and {fewest_rows(least)} are "
            f"needed to choose offsets for a recall of {least:g}; ask more of their questions with --validation-sample"
        )
    return found


def judged(asked: Asked, questions: Questions, offsets: Offsets) -> dict[str, list[ClassJudgement]]:
    """The judgements by repository; their probabilities are the model's own, without offsets."""
    return {
        name: [
            ClassJudgement(
                expected=candidate.relevance.value,
                given=chosen(distribution, offsets).value,
                probability=distribution[0],
                place=candidate.rank,
            )
            for row, question in zip(asked[name], questions[name], strict=True)
            for distribution, candidate in zip(row, question.candidates, strict=True)
        ]
        for name in sorted(asked)
    }


def chosen(distribution: Distribution, offsets: Offsets) -> Relevance:
    """The likeliest class once the offsets are added, the first if tied."""
    values = [math.log(max(p, _LEAST)) + shift for p, shift in zip(distribution, offsets.values, strict=True)]
    return CLASSES[values.index(max(values))]


def _read(path: Path) -> list[KeptAnswer]:
    """The answers of a file; an incomplete last line is removed. Raises EvaluationError for a line that is none."""
    if not path.exists():
        return []
    text = path.read_bytes()
    whole = text.rfind(b"\n") + 1
    if whole < len(text):
        os.truncate(path, whole)
    return read_rows(path, KeptAnswer)
