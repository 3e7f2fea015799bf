"""The relevance classifier as a contender of gates: it judges frozen items by ranking their repository again."""

from collections.abc import Callable, Iterable, Sequence
from functools import cached_property
from pathlib import Path

from agent.retrieve.ranking import rank
from agent.retrieve.relevance.classifier import in_force, symbol_class
from agent.retrieve.relevance.freezing import frozen_estimates
from evals.against_classifier import contest, contested, require_contest
from evals.metrics import item_judgements
from evals.shown import shown_files, shown_symbols
from evals.thresholds import Rules
from harness.packages.package import RepoPackage, read_package
from models.contenders import CandidateClassifier, ItemClassifier
from models.context import Candidate, Relevance, RelevanceEstimate
from models.errors import EvaluationError
from models.evaluation import ClassJudgement, Evaluation, EvaluationItem, EvaluationSet, GateReport
from models.protocols import Stage
from models.relevance import SymbolEstimate
from repos.index import IndexCache, RepositoryIndex, build_index
from repos.sources import GitSource


class RelevanceContender:
    """The relevance classifier in force, whose estimates the ranking's candidates bear."""

    name = "relevance"

    @property
    def identity(self) -> str:
        """The content hash of the classifier. Raises ClassifierError if it cannot be read."""
        return in_force().content

    def estimates(self, task: str, candidates: Sequence[Candidate]) -> list[RelevanceEstimate]:
        """The estimates of candidates of the ranking; what was not estimated is irrelevant."""
        return [each.estimate or RelevanceEstimate(relevant=0, supporting=0) for each in candidates]


class RankedItems:
    """Tasks and trees of frozen items, taken from their repositories' packages to be ranked again."""

    def __init__(self, packages: Callable[[], Iterable[Path]], cache: Path) -> None:
        """`packages` gives the directories of packages, read when the first item is judged; `cache` holds indexes."""
        self._find_packages, self._cache = packages, cache

    @cached_property
    def _packages(self) -> dict[str, RepoPackage]:
        return {package.manifest.name: package for package in map(read_package, self._find_packages())}

    @cached_property
    def _index_cache(self) -> IndexCache:
        return IndexCache(self._cache)

    def find(self, item: EvaluationItem) -> tuple[str, RepositoryIndex]:
        """The item's task and the index of its parent's tree. Raises EvaluationError if package or commit are not
        there."""
        package = self._packages.get(item.repository)
        instances = package.manifest.instances if package is not None else ()
        instance = next((each for each in instances if each.commit == item.commit), None)
        if package is None or instance is None:
            raise EvaluationError(f"no package has commit {item.commit[:10]} of {item.repository}; prepare it again")
        return instance.task, build_index(GitSource(package.git, instance.base_commit), self._index_cache)


class RankedScope:
    """Judges items of scope: the item's task and tree are ranked, and the classifier's probabilities read off for the
    files that the item shows."""

    def __init__(self, classifier: CandidateClassifier, items: RankedItems) -> None:
        self._classifier, self._items = classifier, items
        self.name = classifier.name

    @property
    def identity(self) -> str:
        """That of the classifier."""
        return self._classifier.identity

    def judge(self, item: EvaluationItem) -> tuple[ClassJudgement, ...]:
        """Judgements of the files that the item shows; relevant is what is likelier relevant than not.

        Raises EvaluationError for another stage, or if package or commit are not there; a file that the ranking
        does not propose has probability 0.
        """
        if item.stage is not Stage.SCOPE:
            raise EvaluationError(f"{self.name} judges files, and item {item.id[:12]} is of {item.stage.value}")
        task, index = self._items.find(item)
        candidates = rank(task, index)
        estimates = self._classifier.estimates(task, candidates)
        known = {c.path: e.relevant for c, e in zip(candidates, estimates, strict=True)}

        def judged(path: str, gold: ClassJudgement) -> ClassJudgement:
            chance = known.get(path, 0.0)
            given = Relevance.RELEVANT if chance >= 0.5 else Relevance.IRRELEVANT
            return gold.model_copy(update={"probability": chance, "given": given.value})

        return tuple(map(judged, shown_files(item), item_judgements(item, item.expected)))


class RankedPrecision:
    """Judges items of precision by the relevance classifier in force, with its probabilities of the symbols that the
    item shows."""

    name = RelevanceContender.name

    def __init__(self, items: RankedItems) -> None:
        self._items = items

    @property
    def identity(self) -> str:
        """The content hash of the classifier. Raises ClassifierError if it cannot be read."""
        return in_force().content

    def judge(self, item: EvaluationItem) -> tuple[ClassJudgement, ...]:
        """Judgements of the symbols that the item shows, with P(primary); classes by the operating point.

        Raises EvaluationError for another stage, or if package or commit are not there; a symbol of a file that the
        ranking does not propose is excluded, with probability 0.
        """
        if item.stage is not Stage.PRECISION:
            raise EvaluationError(f"{self.name} judges symbols, and item {item.id[:12]} is of {item.stage.value}")
        shown, classifier = shown_symbols(item), in_force()
        known = frozen_estimates(*self._items.find(item), [path for path, _ in shown], classifier).symbols
        unknown = SymbolEstimate(primary=0, supporting=0, type_context=0)

        def judged(symbol: tuple[str, str], gold: ClassJudgement) -> ClassJudgement:
            path, name = symbol
            estimate = known.get(path, {}).get(name, unknown)
            given = symbol_class(estimate, classifier.point)
            return gold.model_copy(update={"probability": estimate.primary, "given": given.value})

        return tuple(map(judged, shown, item_judgements(item, item.expected)))


def gated_by_classifier(
    report: GateReport,
    challenger: Evaluation,
    evaluation_set: EvaluationSet,
    classifier: ItemClassifier | None,
    rules: Rules,
) -> GateReport:
    """The report after the contest with a classifier; as it is for a target without classes, without a classifier, or
    where evidence about items alone may promote, which a contest over repositories cannot give. Where the classifier
    cannot judge the items, because the packages that they were made of are not here, the reason says so."""
    if classifier is None or not contested(report.target) or rules.item_level:
        return report
    try:
        judged = {item.id: classifier.judge(item) for item in evaluation_set.items}
    except EvaluationError as error:
        return report.model_copy(update={"reason": f"{report.reason}; not compared with {classifier.name}: {error}"})
    return require_contest(report, contest(challenger, classifier.name, judged, rules))
