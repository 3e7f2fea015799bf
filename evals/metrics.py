"""Metrics of one answer of a retrieval stage, against gold's answer to the same prompt.

Answers are parsed by the agent's own parsers, so that an answer that the agent would reject scores 0. An item's metrics
follow from gold's answer alone: an unreadable answer has them all, at 0.
"""

from collections import Counter
from collections.abc import Hashable, Iterable, Mapping, Sequence
from typing import Any, TypeVar

from agent.prompts.schemas import answer_schema
from agent.retrieve.judgements import (
    form_of,
    parse_precision,
    parse_scope,
    parse_task_analysis,
    precision_classes,
    scope_classes,
)
from models.context import (
    Candidate,
    CandidateTier,
    FileOutline,
    PrecisionJudgement,
    Relevance,
    ScopeJudgement,
    SymbolOutline,
    SymbolUse,
    TaskAnalysis,
)
from models.errors import EvaluationError, PlanError
from models.evaluation import ClassJudgement, EvaluationItem
from models.judging import AnswerForm
from models.plans import Frozen
from models.protocols import Request, Stage, Task
from models.training import TrainingTarget

PRIMARY: Mapping[TrainingTarget, tuple[str, ...]] = {
    TrainingTarget.TASK_ANALYSIS: ("recall", "precision"),
    TrainingTarget.SCOPE: ("accuracy", "relevant_recall"),
    TrainingTarget.PRECISION: ("accuracy", "primary_recall"),
    TrainingTarget.CODE: ("pass@1",),
    TrainingTarget.PLANNING: ("pass@1",),
}
"""The primary metrics, which decide at a gate; the others are only reported."""
NOTHING = "(none)"
"""The class of anything that an answer does not name, or of all if it is unreadable."""
K = TypeVar("K", bound=Hashable)


class ClassCount(Frozen):
    """One class over a whole set: how often gold gives it, the answer gives it, and both do."""

    expected: int
    given: int
    agreed: int

    @property
    def f1(self) -> float:
        """2 agreed / (expected + given); 0 for a class that neither gives."""
        return 2 * self.agreed / (self.expected + self.given) if self.expected + self.given else 0.0


def item_scores(item: EvaluationItem, answer: str) -> dict[str, float]:
    """Each metric of an answer, between 0 and 1; `well_formed` says whether the agent could read it.

    task_analysis: `recall` and `precision` of the files that change (Manning et al., Introduction to Information
    Retrieval, 8.3). scope and precision: `accuracy` over all that was shown, `relevant_recall` or `primary_recall`, and
    `macro_f1` over gold's classes, in which frequent classes weigh no more than others. Omissions count as wrong.
    Raises EvaluationError for an item that only the harness can judge, never for an answer.
    """
    if item.stage is Stage.TASK_ANALYSIS:
        return _analysis(item, answer)
    expected, given = _labels(item, item.expected), _read(item, answer)
    wanted = Relevance.RELEVANT.value if item.stage is Stage.SCOPE else SymbolUse.PRIMARY.value
    scores = {"well_formed": float(given is not None)}
    return scores | _classification(expected, given or {}, wanted)


def item_judgements(item: EvaluationItem, answer: str) -> tuple[ClassJudgement, ...]:
    """The class of each candidate, in the order shown; empty for task analysis. Raises as `item_scores` does."""
    if item.stage is Stage.TASK_ANALYSIS:
        return ()
    given = _read(item, answer) or {}
    return tuple(
        ClassJudgement(expected=label, given=given.get(key, NOTHING), place=place)
        for place, (key, label) in enumerate(_labels(item, item.expected).items(), 1)
    )


def class_counts(pairs: Iterable[tuple[EvaluationItem, str]]) -> dict[str, ClassCount]:
    """Counts by class over items and their answers; `(none)` counts what answers did not name or could not be parsed.

    Empty for task analysis, which has no classes. Raises EvaluationError as `item_scores` does.
    """
    expected: Counter[str] = Counter()
    given: Counter[str] = Counter()
    agreed: Counter[str] = Counter()
    for item, answer in pairs:
        if item.stage is Stage.TASK_ANALYSIS:
            continue
        right, labelled = _labels(item, item.expected), _read(item, answer) or {}
        for key, label in right.items():
            expected[label] += 1
            given[labelled.get(key, NOTHING)] += 1
            agreed[label] += labelled.get(key) == label
    names = sorted({*expected, *given})
    return {name: ClassCount(expected=expected[name], given=given[name], agreed=agreed[name]) for name in names}


def macro_f1(counts: Mapping[str, ClassCount]) -> float | None:
    """F1 averaged over gold's classes; None without any."""
    values = [count.f1 for count in counts.values() if count.expected]
    return sum(values) / len(values) if values else None


def schema_of(item: EvaluationItem, tokens: int) -> dict[str, Any] | None:
    """The JSON schema of an answer of at most `tokens`, for servers with constrained decoding."""
    request = Request(
        stage=item.stage,
        task=Task(text="", repository=item.repository, base=item.commit),
        candidates=_candidates(item) if item.stage is Stage.SCOPE else (),
        outlines=_outlines(item) if item.stage is Stage.PRECISION else (),
        answers=_form(item) if item.stage in (Stage.SCOPE, Stage.PRECISION) else AnswerForm.PATHS,
    )
    return answer_schema(request, tokens)


def _analysis(item: EvaluationItem, answer: str) -> dict[str, float]:
    right = {_path(path) for path in _gold(item, TaskAnalysis).files}
    try:
        named = {_path(path) for path in parse_task_analysis(answer).files}
    except PlanError:
        return {"well_formed": 0.0, **({"recall": 0.0} if right else {}), "precision": 0.0}
    hits = len(right & named)
    nothing = 0.0 if right else 1.0  # naming no file is right if no existing file changes
    scores = {"well_formed": 1.0, "precision": hits / len(named) if named else nothing}
    return scores | ({"recall": hits / len(right)} if right else {})


def _path(path: str) -> str:
    return path.strip().removeprefix("./")


def _classification(expected: Mapping[K, str], given: Mapping[K, str], wanted: str) -> dict[str, float]:
    scores = {}
    right = {key for key, label in expected.items() if given.get(key) == label}
    if expected:
        scores["accuracy"] = len(right) / len(expected)
    classes = sorted(set(expected.values()))
    if wanted in classes:
        members = [key for key, label in expected.items() if label == wanted]
        scores[f"{wanted}_recall"] = sum(key in right for key in members) / len(members)
    if classes:
        scores["macro_f1"] = sum(_f1(expected, given, label) for label in classes) / len(classes)
    return scores


def _f1(expected: Mapping[K, str], given: Mapping[K, str], label: str) -> float:
    agreed = sum(right == label == given.get(key) for key, right in expected.items())
    return 2 * agreed / (sum(x == label for x in expected.values()) + sum(x == label for x in given.values()))


def _read(item: EvaluationItem, answer: str) -> dict[tuple[str, ...], str] | None:
    """An answer's class of each thing that was shown; None if the agent could not parse it."""
    try:
        return _labels(item, answer)
    except PlanError:
        return None


def _labels(item: EvaluationItem, answer: str) -> dict[tuple[str, ...], str]:
    """The class of each thing that was shown: by its names, or by its number where the question is answered so."""
    if item.stage is Stage.SCOPE:
        return {(file.path,): file.relevance.value for file in parse_scope(answer, _candidates(item))}
    if item.stage is Stage.PRECISION:
        return {(each.path, each.symbol): each.use.value for each in parse_precision(answer, _outlines(item))}
    raise EvaluationError(f"an answer of stage {item.stage.value} is judged by the harness; run a campaign")


def _candidates(item: EvaluationItem) -> tuple[Candidate, ...]:
    """The candidates that were shown, all of which gold judges; a number stands for a path that its answer lacks."""
    numbered = _form(item) is AnswerForm.LETTERS
    paths = _numbers(scope_classes(item.expected)) if numbered else list(_gold(item, ScopeJudgement).files)
    return tuple(Candidate(path=path, score=0.0, tier=CandidateTier.LEXICAL, reason="") for path in paths)


def _outlines(item: EvaluationItem) -> tuple[FileOutline, ...]:
    """The outlines that were shown, in all of which gold judges every symbol; numbers as in `_candidates`."""
    if _form(item) is AnswerForm.LETTERS:
        shown = {"": _numbers(precision_classes(item.expected))}
    else:
        shown = {path: list(uses) for path, uses in _gold(item, PrecisionJudgement).symbols.items()}

    def outlined(names: Sequence[str]) -> tuple[SymbolOutline, ...]:
        return tuple(SymbolOutline(name=name, kind="", signature="") for name in names)

    return tuple(
        FileOutline(path=path, relevance=Relevance.RELEVANT, symbols=outlined(names)) for path, names in shown.items()
    )


def _form(item: EvaluationItem) -> AnswerForm:
    try:
        return form_of(item.expected)
    except PlanError as error:
        raise _bad_gold(item, "JSON object") from error


def _numbers(classes: Sequence[object]) -> list[str]:
    return [str(number) for number in range(1, len(classes) + 1)]


G = TypeVar("G", TaskAnalysis, ScopeJudgement, PrecisionJudgement)


def _gold(item: EvaluationItem, kind: type[G]) -> G:
    try:
        return kind.model_validate_json(item.expected)
    except ValueError as error:
        raise _bad_gold(item, kind.__name__) from error


def _bad_gold(item: EvaluationItem, wanted: str) -> EvaluationError:
    return EvaluationError(f"item {item.id[:12]}: gold's answer is no {wanted}; build the set again")
