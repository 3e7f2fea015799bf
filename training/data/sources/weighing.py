"""Weights of a passing run's answers, 0 to 1, by its oracle and the alignment of its plan with the commit."""

from models.curation_settings import CurationSettings
from models.outcomes import OracleKind
from models.training import PairSource
from store.runs.closed_runs import ClosedRun

NOT_PASSED, NO_ORACLE, LUCKY = "run did not pass", "no real oracle", "lucky pass"
SCORED_LOW = "scored low by a teacher"


def weigh(run: ClosedRun, settings: CurationSettings, score: float | None = None) -> float | str:
    """A weight above 0, or why an answer of the run is no positive example. `score` is a teacher's score of it.

    A teacher may reject an answer that passed, and accept one of a solve without hidden tests. A pass judged only by
    generated tests, which are weaker, with a plan far from the commit counts as luck. Without a plan to compare (None)
    the alignment counts as half. What was synthesized from a commit, without any test run, has a weight of its own.
    """
    if not run.outcome.succeeded or not run.outcome.trains:
        return NOT_PASSED
    if run.source is PairSource.SYNTHETIC_DIRECT:
        return settings.direct_weight or NO_ORACLE
    if score is not None and score < settings.least_score:
        return SCORED_LOW
    if not run.passed:
        unjudged = run.source is PairSource.LOGGED and run.oracle is None
        weight = settings.unjudged_weight if score is None else max(settings.unjudged_weight, settings.scored_weight)
        return weight if unjudged and weight else NO_ORACLE
    alignment = 0.5 if run.alignment is None else run.alignment
    weight = 0.5 + 0.5 * alignment
    if run.oracle == OracleKind.F2P_P2P:
        return round(weight, 4)
    if alignment < settings.lucky_alignment:
        return settings.lucky_weight or LUCKY
    return round(weight * settings.generated_weight, 4)
