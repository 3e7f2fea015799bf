"""Judgements of the study's contenders: of fast ones on all questions, of language models on a sample; combinations."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from evals.recall_floor import CONFIDENCE
from evals.stacking import StackRow, stacked_by
from evals.study.asked import (
    NO_OFFSETS,
    ClassModel,
    ModelLearner,
    Offsets,
    Progress,
    Questions,
    ask,
    content,
    fit_offsets,
    judged,
    sampled,
)
from evals.study.comparison import ContenderFigures, Judgements, figures
from evals.study.contenders import RANKING, Contender
from evals.study.files import kept_value
from evals.study.questions import StudyQuestion
from models.context import Relevance
from models.errors import EvaluationError
from models.evaluation import ClassJudgement
from store.keys import digest


def judgements_of(contender: Contender, held: Questions) -> dict[str, list[ClassJudgement]]:
    """A fast contender's judgements by repository."""
    return {
        name: [
            ClassJudgement(
                expected=candidate.relevance.value,
                given=prediction.given.value,
                probability=prediction.relevant,
                place=candidate.rank,
            )
            for question in rows
            for candidate, prediction in zip(question.candidates, contender.classify(question), strict=True)
        ]
        for name, rows in sorted(held.items())
    }


def figures_of(contender: Contender, held: Questions) -> ContenderFigures:
    """A fast contender's figures."""
    return figures(contender.name, judgements_of(contender, held), probabilities=contender.name != RANKING)


@dataclass(frozen=True)
class ModelJudge:
    """Asks models about questions of validation repositories, which choose their offsets, and of held-out ones."""

    out: Path
    validation: Questions
    held: Questions
    progress: Progress

    def offsets(self, model: ClassModel, most: int, least: float | None) -> Offsets:
        """The offsets of a model, by at most `most` questions of each validation repository, for a recall of `least`.

        Raises EvaluationError as `fit_offsets` does.
        """
        drawn = sampled(self.validation, most)
        asked = {name: [content(row) for row in rows] for name, rows in drawn.items()}
        rule = [] if least is None else [least, CONFIDENCE]
        path = self.out / "offsets" / f"{digest('study offsets', model.identity, asked, *rule)[:16]}.json"
        return kept_value(path, Offsets, lambda: fit_offsets(ask(model, drawn, self.out, self.progress), drawn, least))

    def judgements(self, model: ClassModel, most: int, offsets: Offsets) -> dict[str, list[ClassJudgement]]:
        """A model's judgements of at most `most` questions of each held-out repository, with these offsets."""
        drawn = sampled(self.held, most)
        return judged(ask(model, drawn, self.out, self.progress), drawn, offsets)

    def with_classifier(self, model: ClassModel, classifier: Contender, most: int) -> dict[str, list[ClassJudgement]]:
        """The held-out judgements with the classifier's and the model's probabilities combined; fitted on validation
        repositories. Their classes are the classifier's."""
        first, second = [], []
        for part in (self.validation, self.held):
            drawn = sampled(part, most)
            first.append(judgements_of(classifier, drawn))
            second.append(judged(ask(model, drawn, self.out, self.progress), drawn, NO_OFFSETS))
        return combined((first[0], second[0]), (first[1], second[1]))


def learned(
    learner: ModelLearner, data: Sequence[StudyQuestion], seed: int, folder: Path, progress: Progress
) -> ClassModel:
    """The model that a learner trains on the questions; kept in a folder named by what it depends on."""
    rows = sum(len(question.indices) for question in data)
    key = digest("study model", learner.identity, seed, [content(question) for question in data])
    step = f"training {learner.name}, {rows} judgements, seed {seed}"
    return learner.learn(data, seed, folder / key[:16], lambda done, total: progress(step, done, total))


def combined(
    fitted: tuple[Judgements, Judgements], applied: tuple[Judgements, Judgements]
) -> dict[str, list[ClassJudgement]]:
    """Two contenders' probabilities combined by a fit on some repositories, applied to others; classes are the first's.

    Raises EvaluationError without probabilities, or where the fit has no positive or nothing else.
    """
    known = [row for rows in _rows(*fitted).values() for row in rows]
    found: dict[str, list[ClassJudgement]] = {}
    for name, rows in _rows(*applied).items():
        chances = stacked_by(known, rows)
        each = zip(applied[0][name], chances, strict=True)
        found[name] = [judgement.model_copy(update={"probability": p}) for judgement, p in each]
    return found


def _rows(first: Judgements, second: Judgements) -> dict[str, list[StackRow]]:
    return {name: [_row(a, b) for a, b in zip(first[name], second[name], strict=True)] for name in sorted(first)}


def _row(first: ClassJudgement, second: ClassJudgement) -> StackRow:
    if first.probability is None or second.probability is None:
        raise EvaluationError("answers without probabilities cannot be combined; ask for log-probabilities")
    return StackRow(first.probability, second.probability, first.expected == Relevance.RELEVANT.value)


def relevant_among(rows: Sequence[StudyQuestion]) -> int:
    """How many candidates are relevant."""
    return sum(candidate.relevance is Relevance.RELEVANT for question in rows for candidate in question.candidates)


def together(questions: Mapping[str, Sequence[StudyQuestion]]) -> list[StudyQuestion]:
    """The questions of all repositories, by name."""
    return [question for _, rows in sorted(questions.items()) for question in rows]
