"""The study from end to end: questions, fits, the learning curve, contenders on held-out repositories, tests.

    repositories ──► questions ──► fits by size and seed ──► threshold (validation) ──► held-out figures ──► tests
                       a file per     a file per fit                                      a file per slow
                       repository                                                         contender

Held-out repositories are read by the last two steps only. Every file is named by the key of what it depends on: a run
that was stopped goes on, and the same inputs give the same bytes.
"""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from agent.retrieve.relevance.classifier import in_force
from evals.stacking import StackRow, stacked
from evals.study.answers import judgements_of, sampled
from evals.study.comparison import Comparison, ContenderFigures, Judgements, compare, figures
from evals.study.contenders import (
    LOGISTIC,
    RANKING,
    TUNED,
    ClassifierContender,
    Contender,
    FirstContender,
    LogisticContender,
    RankingContender,
    threshold_for,
)
from evals.study.files import kept_rows, kept_value, write_whole
from evals.study.logistic import FEATURES, PENALTY, Logistic, fit_logistic
from evals.study.plan import StudyRepositories, StudyRepository, StudySettings, check_apart
from evals.study.questions import StudyQuestion, questions, questions_key
from models.context import Relevance
from models.errors import EvaluationError
from models.evaluation import ClassJudgement
from models.plans import Frozen
from store.keys import digest

FIT_VERSION = 1
StudyProgress = Callable[[str, int, int], None]
"""Called with the name of a step, the units done, and their total."""
Questions = dict[str, list[StudyQuestion]]


class PartCount(Frozen):
    """A repository of the study: questions and judgements, relevant and supporting ones among them."""

    repository: str
    part: str
    commit: str
    questions: int
    judgements: int
    relevant: int
    supporting: int


class CurvePoint(Frozen):
    """A fit on so many judgements, drawn with a seed, and its means over the held-out repositories."""

    learner: str
    rows: int
    seed: int
    average_precision: float
    macro_f1: float


class StudyReport(Frozen):
    """Everything a study found; the page shows it. `notes` say what was left out and what limits the figures."""

    settings: StudySettings
    repositories: tuple[PartCount, ...]
    threshold: float
    contenders: tuple[ContenderFigures, ...]
    sample: tuple[ContenderFigures, ...]
    comparisons: tuple[Comparison, ...]
    curve: tuple[CurvePoint, ...]
    notes: tuple[str, ...]


class Learner(Protocol):
    """What is fitted on judgements; a point of the learning curve for each size and seed."""

    @property
    def name(self) -> str:
        """What the curve calls it."""
        ...

    @property
    def identity(self) -> str:
        """Text that changes whenever the same judgements would give another fit."""
        ...

    def learn(self, data: Sequence[StudyQuestion], seed: int, path: Path) -> Contender:
        """The fitted contender, kept at `path` and read from there if it exists. Raises any CleanRoomError."""
        ...


class LogisticLearner:
    """Fits the logistic regression."""

    name = LOGISTIC
    identity = digest("logistic learner", FIT_VERSION, FEATURES, PENALTY)

    def learn(self, data: Sequence[StudyQuestion], seed: int, path: Path) -> LogisticContender:
        """The fit has no randomness of its own: `seed` is not used."""
        return LogisticContender(kept_value(path.with_suffix(".json"), Logistic, lambda: fit_logistic(data)))


@dataclass(frozen=True)
class Study:
    """A study in a folder. `slow` contenders (models) are asked a sample and compared on it with all others."""

    out: Path
    cache: Path
    repositories: StudyRepositories
    settings: StudySettings
    slow: tuple[Contender, ...] = ()
    learners: tuple[Learner, ...] = ()
    progress: StudyProgress = lambda what, done, total: None

    def run(self) -> StudyReport:
        """Do what is not done yet and write study.json. Raises UsageError for parts that overlap, EvaluationError if a
        part has no question or no relevant candidate."""
        check_apart(self.repositories)
        parts = {part: self._questions(part, members) for part, members in self.repositories.parts()}
        train, held = _all(parts["training"]), parts["held-out"]
        fitted = self._fit(LogisticLearner(), train, 0)
        assert isinstance(fitted, LogisticContender)
        threshold = self._threshold(fitted.model, _all(parts["validation"]))
        tuned = LogisticContender(fitted.model, threshold, name=TUNED)
        classifier = ClassifierContender(in_force().point, in_force().content)
        contenders: list[Contender] = [RankingContender(), FirstContender(), fitted, tuned, classifier]
        found = [self._figures(each, held) for each in contenders]
        drawn = sampled(held, self.settings.sample)
        samples = self._sample([*contenders, *self.slow], drawn) if self.slow else []
        report = StudyReport(
            settings=self.settings,
            repositories=tuple(self._counts(parts)),
            threshold=threshold,
            contenders=tuple(found),
            sample=tuple(samples),
            comparisons=tuple(compare([*_pairs(found), *_sample_pairs(samples)])),
            curve=tuple(self._curve(train, held)),
            notes=tuple(self._notes(parts, drawn)),
        )
        write_whole(self.out / "study.json", report.model_dump_json(indent=1) + "\n")
        return report

    def _questions(self, part: str, members: Sequence[StudyRepository]) -> Questions:
        found: Questions = {}
        self.progress(f"questions, {part}", 0, len(members))
        for number, each in enumerate(members, 1):
            key = questions_key(each.git, self.settings.commits)
            path = self.out / "questions" / f"{each.name}-{key[:16]}.jsonl"
            made = lambda each=each: questions(each.git, each.name, self.settings.commits, self.cache)  # noqa: E731
            found[each.name] = kept_rows(path, StudyQuestion, made)
            self.progress(f"questions, {part}", number, len(members))
        if not _all(found):
            raise EvaluationError(f"no {part} repository has a commit that can be asked about; give others")
        return {name: rows for name, rows in found.items() if rows}

    def _fit(self, learner: Learner, data: Sequence[StudyQuestion], seed: int) -> Contender:
        key = digest("study fit", learner.identity, seed, [(q.repository, q.commit) for q in data], self._inputs)
        return learner.learn(data, seed, self.out / "fits" / key[:16])

    @property
    def _inputs(self) -> list[str]:
        """The keys of the training repositories' questions."""
        return [questions_key(each.git, self.settings.commits) for each in self.repositories.training]

    def _threshold(self, model: Logistic, validation: Sequence[StudyQuestion]) -> float:
        try:
            return threshold_for(model, validation, self.settings.recall)
        except ValueError as error:
            raise EvaluationError(f"the threshold cannot be chosen: {error}; give other --validation") from error

    def _figures(self, contender: Contender, held: Questions) -> ContenderFigures:
        return _figures_of(contender, judgements_of(contender, held, self.out, self.progress))

    def _sample(self, contenders: Sequence[Contender], drawn: Questions) -> list[ContenderFigures]:
        """All contenders on the sample; each slow one also combined with the logistic regression."""
        judged = {each.name: judgements_of(each, drawn, self.out, self.progress) for each in contenders}
        found = [_figures_of(each, judged[each.name]) for each in contenders]
        for each in self.slow:
            name = f"{LOGISTIC} + {each.name}"
            found.append(figures(name, combined(judged[LOGISTIC], judged[each.name]), probabilities=True))
        return found

    def _curve(self, train: Sequence[StudyQuestion], held: Questions) -> list[CurvePoint]:
        points = []
        learners: list[Learner] = [LogisticLearner(), *self.learners]
        available = sum(len(q.candidates) for q in train)
        wanted = [(rows, seed) for rows in self.settings.rows if rows < available for seed in self.settings.seeds]
        wanted += [(available, self.settings.seeds[0])]
        total = len(wanted) * len(learners)
        for learner in learners:
            for rows, seed in wanted:
                subset = train if rows == available else draw(train, rows, seed)
                means = self._figures(self._fit(learner, subset, seed), held).means
                if "average_precision" not in means:
                    raise EvaluationError("no held-out question has a relevant candidate; give other --held-out")
                points.append(
                    CurvePoint(
                        learner=learner.name,
                        rows=sum(len(q.candidates) for q in subset),
                        seed=seed,
                        average_precision=means["average_precision"],
                        macro_f1=means["macro_f1"],
                    )
                )
                self.progress("learning curve", len(points), total)
        return points

    def _counts(self, parts: dict[str, Questions]) -> list[PartCount]:
        return [
            _count(each, part, parts[part].get(each.name, []))
            for part, members in self.repositories.parts()
            for each in members
        ]

    def _notes(self, parts: dict[str, Questions], drawn: Questions) -> list[str]:
        notes = []
        for part, members in self.repositories.parts():
            if empty := [each.name for each in members if each.name not in parts[part]]:
                notes.append(f"{part}: no commit of {', '.join(empty)} can be asked about; left out")
        available = sum(len(q.candidates) for q in _all(parts["training"]))
        if beyond := [rows for rows in self.settings.rows if rows >= available]:
            notes.append(
                f"the training repositories have {available} judgements: no point for {', '.join(map(str, beyond))}"
            )
        if self.slow:
            notes.append(f"models were asked {sum(map(len, drawn.values()))} questions, at random, of each repository")
        without = [name for name, rows in parts["held-out"].items() if not _relevant(rows)]
        if without:
            notes.append(f"no relevant candidate in {', '.join(without)}: it has no average precision and no recall")
        return notes


def draw(data: Sequence[StudyQuestion], rows: int, seed: int) -> list[StudyQuestion]:
    """Whole questions in random order until they have at least `rows` candidates, in their first order again."""
    order = list(range(len(data)))
    random.Random(seed).shuffle(order)
    taken, total = [], 0
    for place in order:
        if total >= rows:
            break
        taken.append(place)
        total += len(data[place].candidates)
    return [data[place] for place in sorted(taken)]


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


def _figures_of(contender: Contender, judged: Judgements) -> ContenderFigures:
    return figures(contender.name, judged, probabilities=contender.name != RANKING)


def _pairs(found: Sequence[ContenderFigures]) -> list[tuple[ContenderFigures, ContenderFigures]]:
    """Each contender against the ranking."""
    ranking = next(each for each in found if each.name == RANKING)
    return [(each, ranking) for each in found if each is not ranking]


def _sample_pairs(found: Sequence[ContenderFigures]) -> list[tuple[ContenderFigures, ContenderFigures]]:
    """Models and combinations against the logistic regression, on the sample."""
    reference = next((each for each in found if each.name == LOGISTIC), None)
    plain = {RANKING, LOGISTIC, TUNED, FirstContender().name}
    return [(each, reference) for each in found if reference is not None and each.name not in plain]


def _all(found: Questions) -> list[StudyQuestion]:
    return [question for _, rows in sorted(found.items()) for question in rows]


def _relevant(rows: Sequence[StudyQuestion]) -> int:
    return sum(c.relevance is Relevance.RELEVANT for q in rows for c in q.candidates)


def _count(repository: StudyRepository, part: str, rows: Sequence[StudyQuestion]) -> PartCount:
    return PartCount(
        repository=repository.name,
        part=part,
        commit=repository.head,
        questions=len(rows),
        judgements=sum(len(q.candidates) for q in rows),
        relevant=_relevant(rows),
        supporting=sum(c.relevance is Relevance.SUPPORTING for q in rows for c in q.candidates),
    )
