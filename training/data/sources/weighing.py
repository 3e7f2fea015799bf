"""What a passed run's answers are worth, 0 to 1: by who judged the run and how near its plan came to the commit."""

from models.curation_settings import CurationSettings
from models.outcomes import OracleKind
from models.training import PairSource
from store.runs.closed_runs import ClosedRun

NOT_PASSED, NO_ORACLE, LUCKY = "run did not pass", "no real oracle", "lucky pass"
SCORED_LOW = "scored low by a teacher"


def weigh(run: ClosedRun, settings: CurationSettings, score: float | None = None) -> float | str:
    """A weight above 0, or why an answer of the run is no positive example. `score` is what a teacher thinks of it.

    A teacher may turn down what passed, and vouch for an answer of a solve that no hidden test judged.
    A pass that only generated tests judged and whose plan lies far from the commit is luck: those tests see less.
    Without a plan to compare (None) the alignment counts as half.
    """
    if not run.outcome.succeeded or not run.outcome.trains:
        return NOT_PASSED
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
