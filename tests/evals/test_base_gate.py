"""What a gate makes of a tuned base: gains, losses, forgetting, and too little evidence."""

from collections.abc import Mapping, Sequence

import pytest

from evals.base_gate import BaseEvidence, LossPair, decide_base
from evals.gates import EvaluationPair
from models.base_evaluation import BaseReport, Forgetting, ForgettingBounds, RowLoss
from models.errors import EvaluationError
from models.evaluation import Evaluation, GateVerdict, ItemScore, Subject
from models.objectives import Objective
from models.training import TrainingTarget

BOUNDS = ForgettingBounds(rise=0.2, agreement=0.7)
STYLE, PLANNING = Objective.STYLE, Objective.PLANNING


def losses(change: float, repositories: int = 8, odd: float | None = None) -> LossPair:
    """Two rows of each repository whose losses change alike; those of the first repository by `odd`."""
    changes = [odd if odd is not None and number == 0 else change for number in range(repositories)]
    rows = [(f"row {r} {n}", f"repository {r}", changes[r]) for r in range(repositories) for n in range(2)]
    before = [RowLoss(row=row, repository=name, loss=2.0) for row, name, _ in rows]
    return before, [RowLoss(row=row, repository=name, loss=2.0 + by) for row, name, by in rows]


def decided(
    pairs: Mapping[Objective, LossPair],
    *forgetting: Forgetting,
    stages: Sequence[EvaluationPair] = (),
    missing: Sequence[str] = (),
    served: Sequence[EvaluationPair] = (),
) -> BaseReport:
    sides = [Subject(name=name, base=name) for name in ("old", "new")]
    evidence = BaseEvidence("reasoning", *sides, stages, pairs, forgetting, BOUNDS, missing=missing, served=served)
    return decide_base(evidence)


def kept(rise: float = 0.1, agreement: float | None = 0.9) -> Forgetting:
    return Forgetting(kind="own-code", prompts=16, tokens=100, before=1.0, after=1.0 + rise, agreement=agreement)


@pytest.mark.parametrize(
    ("pairs", "verdict"),
    [
        ({PLANNING: losses(-0.1)}, GateVerdict.PROMOTE),
        ({PLANNING: losses(-0.1), STYLE: losses(0.0)}, GateVerdict.PROMOTE),
        ({PLANNING: losses(-0.1), STYLE: losses(0.2)}, GateVerdict.REJECT),
        ({PLANNING: losses(-0.1), STYLE: losses(0.01)}, GateVerdict.REJECT),
        ({PLANNING: losses(0.0)}, GateVerdict.INCONCLUSIVE),
        ({PLANNING: losses(-0.1, 5)}, GateVerdict.INCONCLUSIVE),
        ({PLANNING: losses(-0.1, 6), STYLE: losses(-0.1, 6)}, GateVerdict.INCONCLUSIVE),
        ({PLANNING: losses(-0.1, odd=0.5)}, GateVerdict.INCONCLUSIVE),
        ({}, GateVerdict.INCONCLUSIVE),
    ],
    ids=[
        "a gain", "a gain and no change", "a loss beyond the margin", "a significant loss", "no change",
        "too few repositories", "two objectives need more", "one repository dissents", "nothing measured",
    ],
)  # fmt: skip
def test_the_losses_decide_over_repositories(pairs: Mapping[Objective, LossPair], verdict: GateVerdict) -> None:
    assert decided(pairs, kept()).verdict is verdict


def test_a_gain_does_not_pay_for_a_rise_that_may_be_there() -> None:
    unsteady = losses(-0.2, odd=1.5)
    report = decided({PLANNING: losses(-0.1), STYLE: unsteady}, kept())
    assert report.verdict is GateVerdict.INCONCLUSIVE
    assert "may be a rise" in report.reason


@pytest.mark.parametrize("worse", [kept(rise=0.3), kept(agreement=0.5)], ids=["loss", "agreement"])
def test_forgetting_beyond_a_bound_rejects_whatever_was_gained(worse: Forgetting) -> None:
    report = decided({PLANNING: losses(-0.5)}, kept(), worse)
    assert report.verdict is GateVerdict.REJECT
    assert report.reason.startswith("forgetting: ")


def test_without_what_must_be_measured_nothing_is_promoted() -> None:
    lacking = decided({PLANNING: losses(-0.5)}, kept(), missing=["scope was not measured: no set is frozen"])
    assert lacking.verdict is GateVerdict.INCONCLUSIVE
    assert "scope was not measured" in lacking.reason
    blind = decided({PLANNING: losses(-0.5)})
    assert (blind.verdict, blind.reason) == (GateVerdict.INCONCLUSIVE, "forgetting was not measured")


def analysed(change: float, repositories: int, odd: float | None = None) -> EvaluationPair:
    """Old and new base on two items of each repository, whose recall and precision change alike, or by `odd` in one."""

    def side(name: str, by: float) -> Evaluation:
        scores = tuple(
            ItemScore(
                item=f"{r} {n}",
                repository=f"repository {r}",
                seed=0,
                scores=dict.fromkeys(("recall", "precision"), 0.5 + (odd if odd is not None and not r and by else by)),
            )
            for r in range(repositories)
            for n in range(2)
        )
        return Evaluation(
            set_id="s", target=TrainingTarget.TASK_ANALYSIS, subject=Subject(name=name, base=name), settings={},
            scores=scores, seconds=0.0,
        )  # fmt: skip

    return side("old", 0.0), side("new", change)


@pytest.mark.parametrize(
    ("stage", "verdict"),
    [
        (analysed(0.0, 8), GateVerdict.PROMOTE),
        (analysed(0.0, 1), GateVerdict.INCONCLUSIVE),
        (analysed(0.01, 8, odd=-0.3), GateVerdict.INCONCLUSIVE),
        (analysed(-0.3, 8), GateVerdict.REJECT),
    ],
    ids=["no worse", "one repository", "may be worse", "worse"],
)
def test_a_fall_of_the_loss_promotes_only_where_no_stage_may_be_worse(
    stage: EvaluationPair, verdict: GateVerdict
) -> None:
    assert decided({PLANNING: losses(-0.5)}, kept(), stages=[stage]).verdict is verdict


def test_losses_of_other_rows_are_not_compared() -> None:
    before, _ = losses(-0.1)
    _, after = losses(-0.1, 9)
    with pytest.raises(EvaluationError, match="other held-out rows"):
        decided({PLANNING: (before, after)}, kept())


@pytest.mark.parametrize(
    ("served", "verdict"),
    [
        (analysed(0.0, 8), GateVerdict.PROMOTE),
        (analysed(-0.3, 8), GateVerdict.INCONCLUSIVE),
        (analysed(-0.3, 5), GateVerdict.INCONCLUSIVE),
        (analysed(0.02, 8, odd=-0.4), GateVerdict.INCONCLUSIVE),
    ],
    ids=["as good", "worse", "worse in too few repositories", "may be worse"],
)
def test_a_base_that_may_be_worse_alone_than_what_serves_is_not_promoted(
    served: EvaluationPair, verdict: GateVerdict
) -> None:
    """Alone it is better than the old base alone; the adapter that serves on that one would end."""
    report = decided({PLANNING: losses(-0.5)}, kept(), stages=[analysed(0.3, 8)], served=[served])
    assert report.verdict is verdict
    assert [each.target for each in report.served] == [TrainingTarget.TASK_ANALYSIS]
    assert [each.verdict for each in report.stages] == [GateVerdict.PROMOTE]
    assert ("--override" in report.reason) is (verdict is GateVerdict.INCONCLUSIVE)
