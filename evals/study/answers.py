"""Contenders' judgements of the held-out questions; those of slow contenders are appended to a file as they come."""

import hashlib
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from pydantic import ValidationError

from evals.study.contenders import Contender, Prediction
from evals.study.questions import StudyQuestion
from host.private import make_directory
from models.context import Relevance
from models.evaluation import ClassJudgement
from models.plans import Frozen
from store.keys import digest

Questions = Mapping[str, Sequence[StudyQuestion]]


class KeptAnswer(Frozen):
    """A contender's predictions for the candidates of one commit's question."""

    commit: str
    given: tuple[Relevance, ...]
    relevant: tuple[float | None, ...]


def judgements_of(
    contender: Contender, held: Questions, out: Path, progress: Callable[[str, int, int], None]
) -> dict[str, list[ClassJudgement]]:
    """A contender's judgements by repository."""
    total, done = sum(map(len, held.values())), 0
    found: dict[str, list[ClassJudgement]] = {}
    for repository, rows in sorted(held.items()):
        answers = _kept(contender, rows, out) if contender.slow else (contender.classify(row) for row in rows)
        found[repository] = []
        for row, predictions in zip(rows, answers, strict=True):
            found[repository] += _judged(row, predictions)
            done += 1
            if contender.slow:
                progress(contender.name, done, total)
    return found


def sampled(held: Questions, most: int) -> dict[str, list[StudyQuestion]]:
    """At most so many questions of each repository, chosen by the hash of their commits."""

    def place(question: StudyQuestion) -> str:
        return hashlib.sha256(question.commit.encode()).hexdigest()

    return {name: sorted(rows, key=place)[:most] for name, rows in held.items()}


def _kept(contender: Contender, rows: Sequence[StudyQuestion], out: Path) -> Iterator[list[Prediction]]:
    """Predictions, asked once each: what an earlier run had appended is read, an incomplete last line removed."""
    for row in rows:
        folder = out / "answers" / digest("study answers", contender.identity)[:16]
        path = folder / f"{row.repository}.jsonl"
        known = {each.commit: each for each in _read(path)}
        if row.commit not in known:
            predictions = contender.classify(row)
            answer = KeptAnswer(
                commit=row.commit,
                given=tuple(each.given for each in predictions),
                relevant=tuple(each.relevant for each in predictions),
            )
            make_directory(folder)
            with path.open("a", encoding="utf-8") as file:
                file.write(answer.model_dump_json() + "\n")
                file.flush()
                os.fsync(file.fileno())
            known[row.commit] = answer
        answer = known[row.commit]
        yield [Prediction(given, p) for given, p in zip(answer.given, answer.relevant, strict=True)]


def _read(path: Path) -> list[KeptAnswer]:
    if not path.exists():
        return []
    found, whole = [], 0
    for line in path.read_bytes().splitlines(keepends=True):
        try:
            answer = KeptAnswer.model_validate_json(line)
        except ValidationError:
            break
        if not line.endswith(b"\n"):
            break
        found.append(answer)
        whole += len(line)
    os.truncate(path, whole)
    return found


def _judged(question: StudyQuestion, predictions: Sequence[Prediction]) -> list[ClassJudgement]:
    return [
        ClassJudgement(
            expected=candidate.relevance.value,
            given=prediction.given.value,
            probability=prediction.relevant,
            place=candidate.rank,
        )
        for candidate, prediction in zip(question.candidates, predictions, strict=True)
    ]
