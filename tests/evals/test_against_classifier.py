"""An adapter against a classifier: what beats it, what adds to it, and what a gate makes of neither."""

import random

import pytest

from evals.against_classifier import contest, require_contest
from evals.thresholds import Rules
from models.errors import EvaluationError
from models.evaluation import ClassifierContest, ClassJudgement, Evaluation, GateReport, GateVerdict, ItemScore, Subject
from models.training import TrainingTarget

LABELS = ("relevant", "supporting", "irrelevant", "irrelevant", "irrelevant")
ADAPTER = Subject(name="scope-v1", base="b", adapter="a")


def judged(chance: random.Random, signal: list[float]) -> list[ClassJudgement]:
    """Judgements of one item with a probability that rises with the signal."""
    found = []
    for place, (label, strength) in enumerate(zip(LABELS, signal, strict=True), 1):
        p = min(0.99, max(0.01, 0.5 + strength + chance.gauss(0, 0.05)))
        given = "relevant" if p > 0.5 else "irrelevant"
        found.append(ClassJudgement(expected=label, given=given, probability=p, place=place))
    return found


def world(
    ours: float, theirs: float, *, shared: bool = False, repositories: int = 8, seed: int = 1
) -> tuple[Evaluation, dict[str, list[ClassJudgement]]]:
    """An adapter and a classifier, each of which sees the relevant candidate as clearly as said, through noise of its
    own (or, `shared`, of both)."""
    chance = random.Random(seed)
    scores, other = [], {}
    for r in range(repositories):
        for i in range(15):
            item = f"{r}-{i}"
            noise = [chance.gauss(0, 0.2) for _ in LABELS]
            second = noise if shared else [chance.gauss(0, 0.2) for _ in LABELS]
            other[item] = judged(chance, [theirs * (n == 0) + noise[n] for n in range(5)])
            mine = judged(chance, [ours * (n == 0) + second[n] for n in range(5)])
            scores.append(
                ItemScore(item=item, repository=f"r{r}", seed=0, scores={"accuracy": 0.5}, judgements=tuple(mine))
            )
    evaluation = Evaluation(
        set_id="s", target=TrainingTarget.SCOPE, subject=ADAPTER, settings={}, scores=tuple(scores), seconds=0.0
    )
    return evaluation, other


def promoted() -> GateReport:
    return GateReport(
        target=TrainingTarget.SCOPE, champion=ADAPTER, challenger=ADAPTER, set_id="s",
        verdict=GateVerdict.PROMOTE, reason="better", tests=(),
    )  # fmt: skip


def test_a_better_adapter_beats_the_classifier_and_stays_promoted() -> None:
    found = _contest(*world(0.5, 0.05))
    assert found.holds and found.adapter is not None and found.alone is not None
    assert found.adapter > found.alone
    assert require_contest(promoted(), found).verdict is GateVerdict.PROMOTE


def test_one_that_is_as_good_but_errs_elsewhere_adds_to_it() -> None:
    found = _contest(*world(0.25, 0.25))
    assert found.holds and found.together is not None and found.alone is not None
    assert found.together > found.alone


def test_one_that_knows_nothing_is_not_promoted() -> None:
    found = _contest(*world(0.0, 0.3))
    report = require_contest(promoted(), found)
    assert not found.holds
    assert report.verdict is GateVerdict.INCONCLUSIVE
    assert "neither beats nor adds to" in report.reason
    assert report.contest == found


def test_on_too_few_repositories_nothing_is_shown() -> None:
    found = _contest(*world(0.5, 0.0, repositories=5))
    assert not found.holds and found.alone is None
    assert require_contest(promoted(), found).verdict is GateVerdict.INCONCLUSIVE


def test_what_adds_nothing_is_said_to_add_in_at_most_a_twentieth() -> None:
    rounds = 100
    won = sum(_contest(*world(0.0, 0.2, seed=seed, repositories=7)).holds for seed in range(rounds))
    assert won <= 0.05 * rounds


def test_judgements_of_other_candidates_are_refused() -> None:
    evaluation, other = world(0.1, 0.1)
    with pytest.raises(EvaluationError, match="of other candidates"):
        _contest(evaluation, other | {"0-0": other["0-0"][1:]})
    bare = [each.model_copy(update={"probability": None}) for each in other["0-0"]]
    with pytest.raises(EvaluationError, match="no probability"):
        _contest(evaluation, other | {"0-0": bare})


def _contest(evaluation: Evaluation, other: dict[str, list[ClassJudgement]]) -> ClassifierContest:
    return contest(evaluation, "classifier", other, Rules())
