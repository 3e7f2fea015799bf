"""The study from end to end: questions, fits, the learning curve, contenders on held-out repositories, tests.

    repositories ──► questions ──► fits by size and seed ──► thresholds, offsets ──► held-out figures ──► tests
                       a file per     a folder per fit         (validation)            a file per model
                       repository

Held-out repositories are read by the last two steps only. Every file is named by the key of what it depends on: a run
that was stopped goes on, and the same inputs give the same bytes (but for trainings, whose arithmetic is a machine's).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from agent.retrieve.relevance.classifier import in_force
from evals.study.asked import NO_OFFSETS, ClassModel, ModelLearner, Offsets, Progress, check_enough, sampled
from evals.study.comparison import ContenderFigures, Pair, compare, figures
from evals.study.configuration import StudyConfiguration, check_same, commits_by_part
from evals.study.contenders import (
    CLASSIFIER,
    LOGISTIC,
    TUNED,
    ClassifierContender,
    Contender,
    FirstContender,
    LogisticContender,
    RankingContender,
    threshold_for,
)
from evals.study.files import kept_rows, kept_value
from evals.study.judging import ModelJudge, figures_of, learned, relevant_among, together
from evals.study.kinds import SCOPE, StudyKind
from evals.study.logistic import PENALTY, Logistic, fit_logistic
from evals.study.plan import StudyRepositories, StudyRepository, StudySettings, check_apart, check_unseen
from evals.study.questions import StudyQuestion
from evals.study.report import CurvePoint, ModelOffsets, PartCount, StudyReport
from evals.study.subsets import draw, thinned
from host.files import write_whole
from models.errors import EvaluationError
from store.keys import digest

FIT_VERSION = 1
"""Raised when the same judgements would give another logistic regression."""
REPORT = "study.json"
Questions = dict[str, list[StudyQuestion]]


@dataclass(frozen=True)
class Study:
    """A study in a folder.

    models: asked a sample, and compared on it with all others. learner: trains a model on each subset of the learning
    curve; the one of the largest is compared as well. A learner needs its untrained base, the first of the models.
    """

    out: Path
    cache: Path
    repositories: StudyRepositories
    settings: StudySettings
    models: tuple[ClassModel, ...] = ()
    learner: ModelLearner | None = None
    progress: Progress = lambda what, done, total: None
    kind: StudyKind = SCOPE

    def run(self) -> StudyReport:
        """Do what is not done yet and write study.json. Raises UsageError for parts that overlap, for a relevance
        classifier that learned from what is held out and for a finished study that was asked anything else,
        EvaluationError if a part has no question or too few relevant candidates."""
        check_apart(self.repositories)
        fitted = in_force().file
        names = [each.name for each in self.repositories.held_out]
        check_unseen(names, {*fitted.trained_on, *fitted.calibrated_on}, "the relevance classifier in force")
        check_same(self.out / REPORT, self._configuration)
        if self.models or self.learner:
            drawn = sampled(self._parts["validation"], self.settings.asked_of_validation)
            check_enough(drawn, self.settings.least_recall)
        curve = [*self._logistic_curve(), *self._model_curve()]
        found = [figures_of(each, self._held) for each in self._fast]
        sample = self._sample() if self._all_models else []
        report = StudyReport(
            configuration=self._configuration,
            repositories=tuple(self._counts()),
            threshold=self._threshold,
            contenders=tuple(found),
            sample=tuple(sample),
            offsets=tuple(ModelOffsets(model=each.name, offsets=self._offsets_of(each)) for each in self._all_models),
            comparisons=tuple(compare([*_pairs(found), *self._sample_pairs(sample)])),
            curve=tuple(curve),
            notes=tuple(self._notes()),
        )
        write_whole(self.out / REPORT, report.model_dump_json(indent=1) + "\n")
        return report

    @cached_property
    def _configuration(self) -> StudyConfiguration:
        return StudyConfiguration(
            kind=self.kind.name,
            settings=self.settings,
            repositories=commits_by_part(self.repositories),
            classifier=in_force().content,
            models={each.name: each.identity for each in self.models},
            learner=self.learner.identity if self.learner else None,
        )

    @cached_property
    def _parts(self) -> dict[str, Questions]:
        return {part: self._questions(part, members) for part, members in self.repositories.parts()}

    @property
    def _held(self) -> Questions:
        return self._parts["held-out"]

    @property
    def _train(self) -> list[StudyQuestion]:
        return together(self._parts["training"])

    def _questions(self, part: str, members: Sequence[StudyRepository]) -> Questions:
        found: Questions = {}
        self.progress(f"questions, {part}", 0, len(members))
        for number, each in enumerate(members, 1):
            key = self.kind.key(each.git, self.settings.commits)
            path = self.out / "questions" / f"{each.name}-{key[:16]}.jsonl"
            made = lambda each=each: self.kind.make(each.git, each.name, self.settings.commits, self.cache)  # noqa: E731
            found[each.name] = kept_rows(path, self.kind.question, made)
            self.progress(f"questions, {part}", number, len(members))
        if not together(found):
            raise EvaluationError(f"no {part} repository has a commit that can be asked about; give others")
        return {name: rows for name, rows in found.items() if rows}

    def _logistic(self, data: Sequence[StudyQuestion]) -> Logistic:
        inputs = [self.kind.key(each.git, self.settings.commits) for each in self.repositories.training]
        asked = [(each.repository, each.subject, *([each.taken] if each.taken else [])) for each in data]
        key = digest("study fit", FIT_VERSION, self.kind.question.FEATURES, PENALTY, asked, inputs)
        return kept_value(self.out / "fits" / f"{key[:16]}.json", Logistic, lambda: fit_logistic(data))

    @cached_property
    def _threshold(self) -> float:
        try:
            validation = together(self._parts["validation"])
            return threshold_for(self._logistic(self._train), validation, self.settings.recall)
        except ValueError as error:
            raise EvaluationError(f"the threshold cannot be chosen: {error}; give other --validation") from error

    @cached_property
    def _fast(self) -> list[Contender]:
        fitted = self._logistic(self._train)
        tuned = LogisticContender(fitted, self._threshold, name=TUNED)
        classifier = ClassifierContender(in_force().point, self.kind)
        return [RankingContender(self.kind), FirstContender(), LogisticContender(fitted), tuned, classifier]

    @cached_property
    def _judge(self) -> ModelJudge:
        return ModelJudge(self.out, self._parts["validation"], self._held, self.progress)

    @cached_property
    def _all_models(self) -> list[ClassModel]:
        """The models given, and the one that was trained on the most judgements."""
        wanted = self._wanted()
        return [*self.models, *([self._learned(*wanted[-1])] if self.learner and wanted else [])]

    def _learned(self, rows: int, seed: int) -> ClassModel:
        assert self.learner is not None
        return learned(self.learner, self._draw(rows, seed), seed, self.out / "fits", self.progress)

    def _draw(self, rows: int, seed: int) -> list[StudyQuestion]:
        return draw(thinned(self._train, self.settings.negatives, seed), rows, seed)

    def _offsets_of(self, model: ClassModel) -> Offsets:
        return self._judge.offsets(model, self.settings.asked_of_validation, self.settings.least_recall)

    def _sample(self) -> list[ContenderFigures]:
        """All contenders on the sample; each model also combined with the relevance classifier."""
        drawn, most = sampled(self._held, self.settings.sample), self.settings.sample
        found = [figures_of(each, drawn) for each in self._fast]
        for each in self._all_models:
            judged = self._judge.judgements(each, most, self._offsets_of(each))
            found.append(figures(each.name, judged, probabilities=True))
            both = self._judge.with_classifier(each, self._classifier, most)
            found.append(figures(f"{CLASSIFIER} + {each.name}", both, probabilities=True))
        return found

    @property
    def _classifier(self) -> Contender:
        return next(each for each in self._fast if each.name == CLASSIFIER)

    def _sample_pairs(self, found: Sequence[ContenderFigures]) -> list[Pair]:
        """Each model against the classifier, alone and (by how it sorts) added to it; others against the first."""
        by_name = {each.name: each for each in found}
        pairs = []
        for each in self._all_models if found else []:
            pairs.append(Pair(by_name[each.name], by_name[CLASSIFIER]))
            pairs.append(Pair(by_name[f"{CLASSIFIER} + {each.name}"], by_name[CLASSIFIER], ("average_precision",)))
        if self.models:
            base = by_name[self.models[0].name]
            pairs += [Pair(by_name[each.name], base) for each in self._all_models[1:]]
        return pairs

    @cached_property
    def _available(self) -> int:
        """Judgements that a subset can have."""
        first, *_ = self.settings.seeds
        return sum(len(each.indices) for each in thinned(self._train, self.settings.negatives, first))

    def _wanted(self) -> list[tuple[int, int]]:
        """Sizes and seeds of a model's learning curve: all seeds, but of the largest size only the first."""
        rows = sorted({min(each, self._available) for each in self.settings.rows})
        seeds = self.settings.seeds
        return [(size, seed) for size in rows[:-1] for seed in seeds] + [(size, seeds[0]) for size in rows[-1:]]

    def _logistic_curve(self) -> list[CurvePoint]:
        sizes = [rows for rows in self.settings.rows if rows < self._available]
        wanted = [(rows, seed) for rows in sizes for seed in self.settings.seeds]
        points = []
        subsets = [(self._draw(rows, seed), seed) for rows, seed in wanted]
        for subset, seed in [*subsets, (self._train, self.settings.seeds[0])]:
            found = figures_of(LogisticContender(self._logistic(subset)), self._held)
            points.append(_point(LOGISTIC, subset, seed, found, self._held))
            self.progress("learning curve", len(points), len(wanted) + 1)
        return points

    def _model_curve(self) -> list[CurvePoint]:
        if self.learner is None:
            return []
        drawn = sampled(self._held, self.settings.curve_sample)

        def point(model: ClassModel, subset: Sequence[StudyQuestion], seed: int) -> CurvePoint:
            judged = self._judge.judgements(model, self.settings.curve_sample, NO_OFFSETS)
            found = figures(model.name, judged, probabilities=True)
            return _point(model.name, subset, seed, found, drawn).model_copy(update={"macro_f1": None})

        points = [point(self._learned(rows, seed), self._draw(rows, seed), seed) for rows, seed in self._wanted()]
        if self.models:
            points.insert(0, point(self.models[0], [], 0).model_copy(update={"learner": points[0].learner}))
        return points

    def _counts(self) -> list[PartCount]:
        return [
            PartCount.of(each, part, self._parts[part].get(each.name, []))
            for part, members in self.repositories.parts()
            for each in members
        ]

    def _notes(self) -> list[str]:
        notes = []
        for part, members in self.repositories.parts():
            if empty := [each.name for each in members if each.name not in self._parts[part]]:
                notes.append(f"{part}: no commit of {', '.join(empty)} can be asked about; left out")
        if beyond := [rows for rows in self.settings.rows if rows >= self._available]:
            notes.append(
                f"the training repositories have {self._available} judgements: no point for "
                f"{', '.join(map(str, beyond))}"
            )
        if self._all_models:
            drawn = sampled(self._held, self.settings.sample)
            notes.append(
                f"models were asked {sum(map(len, drawn.values()))} questions of the held-out repositories, at random"
            )
        without = [name for name, rows in self._held.items() if not relevant_among(rows)]
        if without:
            notes.append(f"no relevant candidate in {', '.join(without)}: it has no average precision and no recall")
        return notes


def _pairs(found: Sequence[ContenderFigures]) -> list[Pair]:
    """Each contender against the ranking; not the tuned threshold, which sorts as the untuned one does."""
    ranking, *others = found
    return [Pair(each, ranking) for each in others if each.name != TUNED]


def _point(
    learner: str, subset: Sequence[StudyQuestion], seed: int, found: ContenderFigures, asked: Questions
) -> CurvePoint:
    if "average_precision" not in found.means:
        raise EvaluationError("no held-out question has a relevant candidate; give other --held-out")
    whole = all(question.taken is None for question in subset)
    return CurvePoint(
        learner=learner,
        rows=sum(len(question.indices) for question in subset),
        seed=seed,
        average_precision=found.means["average_precision"],
        macro_f1=found.means["macro_f1"] if whole else None,  # classes were learned at another rate
        questions=sum(map(len, asked.values())),
    )
