"""Judgements of the study's contenders: of fast ones on all questions, of language models on a sample; combinations."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from evals.stacking import StackRow, stacked
from evals.study.asked import ClassModel, ModelLearner, Offsets, Progress, Questions, ask, fit_offsets, judged, sampled
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

    def offsets(self, model: ClassModel, most: int) -> Offsets:
        """The offsets of a model, by at most `most` questions of each validation repository."""
        drawn = sampled(self.validation, most)
        asked = {name: [row.commit for row in rows] for name, rows in drawn.items()}
        path = self.out / "offsets" / f"{digest('study offsets', model.identity, asked)[:16]}.json"
        return kept_value(path, Offsets, lambda: fit_offsets(ask(model, drawn, self.out, self.progress), drawn))

    def judgements(self, model: ClassModel, most: int, offsets: Offsets) -> dict[str, list[ClassJudgement]]:
        """A model's judgements of at most `most` questions of each held-out repository, with these offsets."""
        drawn = sampled(self.held, most)
        return judged(ask(model, drawn, self.out, self.progress), drawn, offsets)


def learned(
    learner: ModelLearner, data: Sequence[StudyQuestion], seed: int, folder: Path, progress: Progress
) -> ClassModel:
    """The model that a learner trains on the questions; kept in a folder named by what it depends on."""
    rows = sum(len(question.candidates) for question in data)
    key = digest("study model", learner.identity, seed, [question.model_dump(mode="json") for question in data])
    step = f"training {learner.name}, {rows} judgements, seed {seed}"
    return learner.learn(data, seed, folder / key[:16], lambda done, total: progress(step, done, total))


def combined(first: Judgements, second: Judgements) -> dict[str, list[ClassJudgement]]:
    """Two contenders' probabilities combined, cross-fitted by repository; relevant if that is likelier than not, else
    the class that the first gives (irrelevant where that is relevant).

    Raises EvaluationError without probabilities.
    """
    rows = {name: [_row(a, b) for a, b in zip(first[name], second[name], strict=True)] for name in sorted(first)}
    relevant = Relevance.RELEVANT.value
    found: dict[str, list[ClassJudgement]] = {}
    for name, probabilities in stacked(rows).items():
        found[name] = []
        for each, p in zip(first[name], probabilities, strict=True):
            other = each.given if each.given != relevant else Relevance.IRRELEVANT.value
            given = relevant if p >= 0.5 else other
            found[name].append(each.model_copy(update={"probability": p, "given": given}))
    return found


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
