"""Scoring: a subject answers every item of a set, and each answer is judged against gold's.

Answers are appended to a journal, so that a restarted evaluation asks no question twice; a finished evaluation is
stored in the raw database, with all answers, and is never repeated.
"""

import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import groupby
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, NamedTuple, Protocol, runtime_checkable

from pydantic import ValidationError

from evals.metrics import class_counts, item_judgements, item_scores, macro_f1, schema_of
from host.private import make_directory
from models.chat import Message
from models.errors import EvaluationError
from models.evaluation import Evaluation, EvaluationItem, EvaluationSet, ItemScore, Subject
from models.plans import Frozen
from models.tokens import ANSWER_TOKENS
from models.training import TrainingTarget
from store.keys import digest
from store.learning.evaluations import add_evaluation, find_evaluation_result

if TYPE_CHECKING:
    from store.database import Engine

EvaluationSettings = dict[str, str | int | float]
SCORING = 4
"""Version of parsing, schemas and scoring: when raised, older evaluations are not reused."""
ScoringProgress = Callable[[int, int], None]
"""Progress callback: answers so far, and their total."""
ItemSample = tuple[EvaluationItem, int]
"""An item and a seed."""


class AnsweringTerms(Protocol):
    """The conditions under which answers are given."""

    @property
    def settings(self) -> Mapping[str, str | int | float]:
        """Settings that must be equal for two evaluations to be comparable: back end, precision, `constrained` (whether
        answers must match a JSON schema, 0 or 1)."""
        ...


class Answerer(AnsweringTerms, Protocol):
    """A model that answers prompts: a base, with or without an adapter."""

    def limit(self, wanted: int) -> int:
        """The token limit of an answer whose stage wants `wanted` tokens, as in production."""
        ...

    def answer(
        self, messages: Sequence[Message], max_tokens: int, seed: int, temperature: float, schema: dict[str, Any] | None
    ) -> str:
        """The answer's text, without a thinking trace. Greedy at temperature 0."""
        ...


class Question(NamedTuple):
    """A prompt with the token limit and the JSON schema of its answer."""

    messages: Sequence[Message]
    max_tokens: int
    schema: dict[str, Any] | None


@runtime_checkable
class BatchAnswerer(Protocol):
    """An answerer that is faster with batches of up to `batch` questions."""

    @property
    def batch(self) -> int:
        """Questions per batch."""
        ...

    def answer_many(self, questions: Sequence[Question], seed: int, temperature: float) -> list[str]:
        """The answers, in the questions' order."""
        ...


class Answered(Frozen):
    """One answer of an evaluation, and the seconds it took (its share, if batched)."""

    item: str
    seed: int
    text: str
    seconds: float


class ScoredEvaluation(Frozen):
    """A finished evaluation with all its answers."""

    evaluation: Evaluation
    answers: tuple[Answered, ...]


def settings_of(answerer: AnsweringTerms, *, seeds: int = 1, temperature: float = 0.0) -> EvaluationSettings:
    """Settings of an evaluation: decoding, number of seeds, the templates' revision, and those of the answerer.

    Retrieval stages are evaluated greedily, which needs one seed.
    """
    from agent.prompts import REVISION

    if temperature == 0 and seeds != 1:
        raise EvaluationError(f"{seeds} seeds at temperature 0 give the same answer; ask for one, or set a temperature")
    how: EvaluationSettings = {
        "seeds": seeds,
        "temperature": float(temperature),
        "templates": REVISION,
        "scoring": SCORING,
    }
    return {**answerer.settings, **how}


def evaluation_id(set_id: str, subject: Subject, settings: EvaluationSettings) -> str:
    """The identity of an evaluation: set, weights, class bias if any, and settings; the subject's name is a label."""
    bias = [subject.class_bias] if subject.class_bias else []
    return digest("evaluation", set_id, subject.base, subject.adapter, settings, *bias)


def score(
    evaluation_set: EvaluationSet,
    answerer: Answerer,
    subject: Subject,
    settings: EvaluationSettings,
    work: Path,
    report: ScoringProgress = lambda done, total: None,
) -> ScoredEvaluation:
    """Ask a subject every item, with every seed, and score the answers.

    `work` is a directory for the journal of answers; answers of an interrupted evaluation there are reused. Batches
    depend on the set alone and are always asked whole, so that answers do not depend on when it was interrupted. Raises
    EvaluationError for a set that only the harness can judge.
    """
    if evaluation_set.target in (TrainingTarget.CODE, TrainingTarget.PLANNING):
        raise EvaluationError(f"a {evaluation_set.target.value} set is judged by the harness; run a campaign on it")
    wanted = [(item, seed) for item in evaluation_set.items for seed in range(int(settings["seeds"]))]
    path = work / f"{evaluation_id(evaluation_set.id, subject, settings)}.jsonl"
    asked = {(item.id, seed) for item, seed in wanted}
    with _journal(path) as (file, known):
        report(len(asked & known.keys()), len(wanted))
        for batch in _batches(wanted, answerer):
            if any((item.id, seed) not in known for item, seed in batch):
                answered = _ask(answerer, batch, float(settings["temperature"]))
                _append(file, answered)
                known |= {(each.item, each.seed): each for each in answered}
                report(len(asked & known.keys()), len(wanted))
    answers = tuple(known[item.id, seed] for item, seed in wanted)
    scores = tuple(
        ItemScore(
            item=item.id,
            repository=item.repository,
            seed=seed,
            scores=item_scores(item, answer.text),
            judgements=item_judgements(item, answer.text),
        )
        for (item, seed), answer in zip(wanted, answers, strict=True)
    )
    evaluation = Evaluation(
        set_id=evaluation_set.id,
        target=evaluation_set.target,
        subject=subject,
        settings=settings,
        scores=scores,
        seconds=sum(answer.seconds for answer in answers),
    )
    return ScoredEvaluation(evaluation=evaluation, answers=answers)


def score_once(
    raw: "Engine",
    evaluation_set: EvaluationSet,
    answerer: Answerer,
    subject: Subject,
    settings: EvaluationSettings,
    work: Path,
    report: ScoringProgress = lambda done, total: None,
) -> Evaluation:
    """`score`, stored in the raw database; a stored evaluation is not repeated."""
    kept = find_evaluation(raw, evaluation_set.id, subject, settings)
    if kept is not None:
        return kept
    result = score(evaluation_set, answerer, subject, settings, work, report)
    return keep_evaluation(raw, result, evaluation_set)


def keep_evaluation(raw: "Engine", result: ScoredEvaluation, evaluation_set: EvaluationSet | None = None) -> Evaluation:
    """Store a finished evaluation with its answers; returns the stored one, which is the first.

    With the set, the row's metrics hold the counts by class and the macro F1 over the whole set as well.
    """
    evaluation = result.evaluation
    metrics: dict[str, Any] = dict(means(evaluation))
    if evaluation_set is not None and result.answers:
        counts = counts_of(result, evaluation_set)
        if counts:
            metrics |= {"set_macro_f1": macro_f1(counts), "classes": {k: v.model_dump() for k, v in counts.items()}}
    key = evaluation_id(evaluation.set_id, evaluation.subject, evaluation.settings)
    if add_evaluation(raw, key, evaluation, metrics, result.model_dump_json()):
        return evaluation
    kept = find_evaluation(raw, evaluation.set_id, evaluation.subject, evaluation.settings)
    assert kept is not None
    return kept


def find_result(raw: "Engine", set_id: str, subject: Subject, settings: EvaluationSettings) -> ScoredEvaluation | None:
    """A finished evaluation with its answers, or None; its subject gets the name of `subject`."""
    text = find_evaluation_result(raw, evaluation_id(set_id, subject, settings))
    if text is None:
        return None
    result = ScoredEvaluation.model_validate_json(text)
    evaluation = result.evaluation.model_copy(update={"subject": subject})
    return result.model_copy(update={"evaluation": evaluation})


def find_evaluation(raw: "Engine", set_id: str, subject: Subject, settings: EvaluationSettings) -> Evaluation | None:
    """A finished evaluation, or None."""
    result = find_result(raw, set_id, subject, settings)
    return None if result is None else result.evaluation


def means(evaluation: Evaluation) -> dict[str, float]:
    """The mean of each metric over the items and seeds that have it."""
    names = sorted({name for score in evaluation.scores for name in score.scores})
    return {name: evaluation.mean(name) for name in names}


def counts_of(result: ScoredEvaluation, evaluation_set: EvaluationSet) -> Mapping[str, Any]:
    """`class_counts` of a result's answers."""
    items = {item.id: item for item in evaluation_set.items}
    return class_counts((items[answer.item], answer.text) for answer in result.answers)


def _batches(wanted: Sequence[ItemSample], answerer: Answerer) -> Iterator[list[ItemSample]]:
    """Batches of questions of one seed, with prompts of similar length."""
    size = answerer.batch if isinstance(answerer, BatchAnswerer) else 1

    def length(each: ItemSample) -> tuple[int, int, str]:
        item, seed = each
        return seed, sum(len(message.content) for message in item.messages), item.id

    ordered = sorted(wanted, key=length)
    for _, group in groupby(ordered, key=lambda each: each[1]):
        same = list(group)
        yield from (same[start : start + size] for start in range(0, len(same), size))


def _ask(answerer: Answerer, batch: Sequence[ItemSample], temperature: float) -> list[Answered]:
    started = time.monotonic()
    questions = [_question(item, answerer.limit(ANSWER_TOKENS[item.stage])) for item, _ in batch]
    seed = batch[0][1]
    if isinstance(answerer, BatchAnswerer):
        texts = answerer.answer_many(questions, seed, temperature)
    else:
        texts = [answerer.answer(q.messages, q.max_tokens, seed, temperature, q.schema) for q in questions]
    seconds = round((time.monotonic() - started) / len(batch), 3)
    return [
        # lone surrogates cannot be stored as JSON
        Answered(item=item.id, seed=seed, text=text.encode("utf-8", "replace").decode(), seconds=seconds)
        for (item, _), text in zip(batch, texts, strict=True)
    ]


def _question(item: EvaluationItem, tokens: int) -> Question:
    return Question(item.messages, tokens, schema_of(item, tokens))


@contextmanager
def _journal(path: Path) -> Iterator[tuple[IO[str], dict[tuple[str, int], Answered]]]:
    """An evaluation's journal, open for appending, with its answers; an incomplete last line is removed."""
    make_directory(path.parent)
    known: dict[tuple[str, int], Answered] = {}
    whole = 0
    for line in path.read_bytes().splitlines(keepends=True) if path.exists() else ():
        try:
            answered = Answered.model_validate_json(line)
        except ValidationError:
            break
        if not line.endswith(b"\n"):
            break
        known[answered.item, answered.seed] = answered
        whole += len(line)
    if path.exists():
        os.truncate(path, whole)
    with path.open("a", encoding="utf-8") as file:
        yield file, known


def _append(file: IO[str], answered: Sequence[Answered]) -> None:
    file.write("".join(each.model_dump_json() + "\n" for each in answered))
    file.flush()
    os.fsync(file.fileno())
