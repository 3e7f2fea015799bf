"""Scoring: a subject answers every item of a set, and each answer is judged against gold's.

Answers go to a journal as they come, so that an evaluation which is killed and started again asks none twice; what is
finished lies in the raw database, with all answers, and is never done again.
"""

import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Protocol

from pydantic import ValidationError
from sqlalchemy import select

from evals.metrics import class_counts, item_scores, macro_f1, schema_of
from harness.store.keys import digest
from harness.store.rows import Texts, add, read_texts, reading, table_of, writing
from models.chat import Message
from models.errors import EvaluationError
from models.evaluation import Evaluation, EvaluationItem, EvaluationSet, ItemScore, Subject
from models.plans import Frozen
from models.tables import EvaluationRow
from models.training import Target

if TYPE_CHECKING:
    from sqlalchemy import Engine

Settings = dict[str, str | int | float]
Report = Callable[[int, int], None]
"""Told how many answers of how many are there."""
_ROWS = table_of(EvaluationRow)


class Answerer(Protocol):
    """Whoever answers prompts: a base, with or without an adapter."""

    @property
    def settings(self) -> Mapping[str, str | int | float]:
        """What two evaluations must have in common to be compared: back end, precision, `constrained` (whether answers
        are held to a JSON schema, 0 or 1)."""
        ...

    def answer(
        self, messages: Sequence[Message], max_tokens: int, seed: int, temperature: float, schema: dict[str, Any] | None
    ) -> str:
        """The answer's text, without a thinking trace. Greedy at temperature 0."""
        ...


class Answered(Frozen):
    """One answer of an evaluation, and the seconds it took."""

    item: str
    seed: int
    text: str
    seconds: float


class Result(Frozen):
    """A finished evaluation with all its answers."""

    evaluation: Evaluation
    answers: tuple[Answered, ...]


def settings_of(answerer: Answerer, *, seeds: int = 1, temperature: float = 0.0) -> Settings:
    """How an evaluation is made: decoding, seeds (their number), the templates' revision, and the answerer's own.

    Retrieval stages are judged greedily, which needs one seed.
    """
    from agent.prompts import REVISION

    if temperature == 0 and seeds != 1:
        raise EvaluationError(f"{seeds} seeds at temperature 0 give the same answer; ask for one, or set a temperature")
    return {**answerer.settings, "seeds": seeds, "temperature": float(temperature), "templates": REVISION}


def evaluation_id(set_id: str, subject: Subject, settings: Settings) -> str:
    """The identity of an evaluation: set, weights and settings; the subject's name is a label."""
    return digest("evaluation", set_id, subject.base, subject.adapter, settings)


def score(
    evaluation_set: EvaluationSet,
    answerer: Answerer,
    subject: Subject,
    settings: Settings,
    work: Path,
    report: Report = lambda done, total: None,
) -> Result:
    """Ask a subject every item, with every seed, and score the answers.

    `work` is a directory for the journal of answers, which may hold those of an evaluation that was killed: they are
    not asked for again. Raises EvaluationError for a set that only the harness can judge.
    """
    if evaluation_set.target in (Target.CODE, Target.PLANNING):
        raise EvaluationError(f"a {evaluation_set.target.value} set is judged by the harness; run a campaign on it")
    wanted = [(item, seed) for item in evaluation_set.items for seed in range(int(settings["seeds"]))]
    path = work / f"{evaluation_id(evaluation_set.id, subject, settings)}.jsonl"
    with _journal(path) as (file, known):
        for done, (item, seed) in enumerate(wanted):
            report(done, len(wanted))
            if (item.id, seed) not in known:
                known[item.id, seed] = _ask(answerer, item, seed, float(settings["temperature"]))
                _append(file, known[item.id, seed])
        report(len(wanted), len(wanted))
    answers = tuple(known[item.id, seed] for item, seed in wanted)
    scores = tuple(
        ItemScore(item=item.id, repository=item.repository, seed=seed, scores=item_scores(item, answer.text))
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
    return Result(evaluation=evaluation, answers=answers)


def score_once(
    raw: "Engine",
    evaluation_set: EvaluationSet,
    answerer: Answerer,
    subject: Subject,
    settings: Settings,
    work: Path,
    report: Report = lambda done, total: None,
) -> Evaluation:
    """`score`, kept in the raw database; an evaluation that is there already is not done again."""
    kept = find_evaluation(raw, evaluation_set.id, subject, settings)
    if kept is not None:
        return kept
    result = score(evaluation_set, answerer, subject, settings, work, report)
    return keep_evaluation(raw, result, evaluation_set)


def keep_evaluation(raw: "Engine", result: Result, evaluation_set: EvaluationSet | None = None) -> Evaluation:
    """Store a finished evaluation with its answers; the one that is kept, which is the first.

    With the set, the row's metrics hold the counts by class and the macro F1 over the whole set as well.
    """
    evaluation = result.evaluation
    texts = Texts()
    metrics: dict[str, Any] = dict(means(evaluation))
    if evaluation_set is not None and result.answers:
        counts = counts_of(result, evaluation_set)
        if counts:
            metrics |= {"set_macro_f1": macro_f1(counts), "classes": {k: v.model_dump() for k, v in counts.items()}}
    row = EvaluationRow(
        id=evaluation_id(evaluation.set_id, evaluation.subject, evaluation.settings),
        target=evaluation.target.value,
        set_id=evaluation.set_id,
        base=evaluation.subject.base,
        adapter=evaluation.subject.adapter,
        metrics=metrics,
        seconds=evaluation.seconds,
        result_hash=texts.add(result.model_dump_json()),
    )
    with writing(raw, texts) as connection:
        if add(connection, row):
            return evaluation
    kept = find_evaluation(raw, evaluation.set_id, evaluation.subject, evaluation.settings)
    assert kept is not None
    return kept


def find_result(raw: "Engine", set_id: str, subject: Subject, settings: Settings) -> Result | None:
    """A finished evaluation with its answers, or None; the subject bears the name that is asked for."""
    with reading(raw) as connection:
        query = select(_ROWS.c.result_hash).where(_ROWS.c.id == evaluation_id(set_id, subject, settings))
        kept = connection.scalar(query)
        if kept is None:
            return None
        result = Result.model_validate_json(read_texts(connection, [kept])[kept])
    evaluation = result.evaluation.model_copy(update={"subject": subject})
    return result.model_copy(update={"evaluation": evaluation})


def find_evaluation(raw: "Engine", set_id: str, subject: Subject, settings: Settings) -> Evaluation | None:
    """A finished evaluation, or None."""
    result = find_result(raw, set_id, subject, settings)
    return None if result is None else result.evaluation


def means(evaluation: Evaluation) -> dict[str, float]:
    """Each metric's mean over the items and seeds that have it."""
    names = sorted({name for score in evaluation.scores for name in score.scores})
    return {name: evaluation.mean(name) for name in names}


def counts_of(result: Result, evaluation_set: EvaluationSet) -> Mapping[str, Any]:
    """`class_counts` of a result's answers."""
    items = {item.id: item for item in evaluation_set.items}
    return class_counts((items[answer.item], answer.text) for answer in result.answers)


def _ask(answerer: Answerer, item: EvaluationItem, seed: int, temperature: float) -> Answered:
    started = time.monotonic()
    text = answerer.answer(item.messages, item.answer_tokens, seed, temperature, schema_of(item))
    clean = text.encode("utf-8", "replace").decode()  # half a surrogate pair cannot be stored as JSON
    return Answered(item=item.id, seed=seed, text=clean, seconds=round(time.monotonic() - started, 3))


@contextmanager
def _journal(path: Path) -> Iterator[tuple[IO[str], dict[tuple[str, int], Answered]]]:
    """An evaluation's journal, open for more, with what it holds; a line that a kill cut off is taken out."""
    path.parent.mkdir(parents=True, exist_ok=True)
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


def _append(file: IO[str], answered: Answered) -> None:
    file.write(answered.model_dump_json() + "\n")
    file.flush()
    os.fsync(file.fileno())
