"""Whether the weights that came back give the losses and answers that came with them: a sample is computed again.

Losses are compared in float32 on both sides, so their bound is narrow. Answers may differ in words between machines;
their scores against gold must agree. Gold's answers never left, so all scores are computed here.
"""

import secrets
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TypeVar

from pydantic import Field

from evals.sets import all_sets
from exchange.outsource import layout
from exchange.outsource.layout import PackManifest
from exchange.outsource.probes import losses_of, open_trained, probe_rows, read_probes
from exchange.outsource.questions import (
    GivenAnswer,
    SentQuestion,
    ask,
    question_id,
    questions_of,
    read_answers,
    scores_of,
)
from models.errors import EvaluationError
from models.evaluation import EvaluationSet
from models.plans import Frozen
from training.bases.bases import Base
from training.cycle.context import TrainingContext
from training.fit.data import TrainingRow
from training.fit.result import Fit

Drawn = TypeVar("Drawn", TrainingRow, SentQuestion)

LOSS_BOUND = 0.002
"""Nats per token: the most by which the loss of a row may differ."""
SCORE_BOUND = 0.1
"""The most by which a score of a question may differ."""
LEAST = 8
"""The fewest rows, and questions, that are drawn, where there are as many."""


class Agreement(Frozen):
    """How far two computations agree: the largest difference of a row's loss (nats per token) over `rows` rows, and
    how many of `questions` questions got other scores. drawn: the ids of these rows and questions. scores: means over
    these questions, of the answers that were given here."""

    rows: int
    loss: float
    questions: int = 0
    differing: int = 0
    drawn: tuple[str, ...] = ()
    scores: dict[str, float] = Field(default_factory=dict)


def check_agreement(
    context: TrainingContext, pack: PackManifest, base: Base, fit: Fit, staged: Path, dataset: Path, sample: int
) -> Agreement:
    """Compute a sample again, which is drawn now: at least `LEAST` rows and questions. Raises EvaluationError if some
    are missing, or a difference is over its bound."""
    found = _check_losses(pack, base, fit, staged, dataset, sample)
    if pack.evaluation_set is None:
        return found
    frozen = next((each for each in all_sets(context.curated) if each.id == pack.evaluation_set), None)
    if frozen is None:
        asked = f"evaluation set {pack.evaluation_set[:12]}"
        raise EvaluationError(f"{asked} of the pack is not frozen here; accept it where it was packed")
    return _check_answers(found, pack, frozen, base, fit, staged, sample)


def _check_losses(pack: PackManifest, base: Base, fit: Fit, staged: Path, dataset: Path, sample: int) -> Agreement:
    stated = {probe.id: probe.loss for probe in read_probes(staged / layout.PROBES)}
    rows = probe_rows(dataset, base.path, pack.recipe)
    if stated.keys() != {row.id for row in rows}:
        raise EvaluationError(
            f"{layout.PROBES} has losses of {len(stated)} rows, not of just the {len(rows)} to probe; let run.py "
            "evaluate again"
        )
    chosen = draw(rows, sample)
    model = open_trained(base.path, fit.adapter_dir, adapter=pack.adapter)
    worst = 0.0
    for probe in losses_of(model, chosen):
        difference = abs(probe.loss - stated[probe.id])
        if difference > LOSS_BOUND:
            raise EvaluationError(
                f"row {probe.id[:12]} has a loss of {probe.loss:.4f} here, and {stated[probe.id]:.4f} came back "
                f"(at most {LOSS_BOUND} apart): these are not the weights that were measured; train again"
            )
        worst = max(worst, difference)
    return Agreement(rows=len(chosen), loss=round(worst, 6), drawn=tuple(row.id for row in chosen))


def _check_answers(
    found: Agreement, pack: PackManifest, frozen: EvaluationSet, base: Base, fit: Fit, staged: Path, sample: int
) -> Agreement:
    answers = read_answers(staged / layout.ANSWERS)
    if sorted(answer.id for answer in answers) != sorted(map(question_id, frozen.items)):
        raise EvaluationError(
            f"{layout.ANSWERS} has {len(answers)} answers, not one to each of {len(frozen.items)} questions; let "
            "run.py evaluate again"
        )
    given = scores_of(frozen, answers)
    again = scores_of(frozen, _asked_again(pack, frozen, base, fit, sample))
    differing = sorted(each for each, scores in again.items() if scores_differ(scores, given[each]))
    if len(differing) > (most := may_differ(len(again))):
        raise EvaluationError(
            f"{len(differing)} of {len(again)} questions have other scores here than by the answers that came back (at "
            f"most {most} may, first {differing[0][:12]}): these are not the answers of these weights; let run.py "
            "evaluate again"
        )
    return found.model_copy(
        update={
            "questions": len(again),
            "differing": len(differing),
            "drawn": (*found.drawn, *sorted(again)),
            "scores": _means(list(again.values())),
        }
    )


def may_differ(questions: int) -> int:
    """Of so many questions, how many may get other scores: an eighth, as arithmetic differs between machines."""
    return (questions + LEAST // 2) // LEAST


def scores_differ(one: Mapping[str, float], other: Mapping[str, float]) -> bool:
    return one.keys() != other.keys() or any(abs(one[name] - other[name]) > SCORE_BOUND for name in one)


def draw(population: Sequence[Drawn], sample: int) -> list[Drawn]:
    """A sample that nobody knew before, by id."""
    drawn = secrets.SystemRandom().sample(population, min(len(population), max(sample, LEAST)))
    return sorted(drawn, key=lambda each: each.id)


def _asked_again(pack: PackManifest, frozen: EvaluationSet, base: Base, fit: Fit, sample: int) -> list[GivenAnswer]:
    from training.cycle.local_answers import LocalAnswerer

    thinking = pack.recipe.thinking
    if pack.adapter:
        answerer = LocalAnswerer(base.path, base.name, fit.adapter_dir, thinking=thinking)
    else:
        answerer = LocalAnswerer(fit.adapter_dir, base.name, thinking=thinking)
    return ask(answerer, draw(questions_of(frozen), sample))


def _means(scores: Sequence[Mapping[str, float]]) -> dict[str, float]:
    names = sorted({name for score in scores for name in score})
    values = {name: [score[name] for score in scores if name in score] for name in names}
    return {name: sum(each) / len(each) for name, each in values.items()}
