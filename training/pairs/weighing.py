"""What a passed run's answers are worth, 0 to 1: by who judged the run and how near its plan came to the commit."""

from models.curation_settings import CurationSettings
from models.outcomes import OracleKind
from models.training import Source
from training.pairs.runs import Run

NOT_PASSED, NO_ORACLE, LUCKY = "run did not pass", "no real oracle", "lucky pass"


def weigh(run: Run, settings: CurationSettings) -> float | str:
    """A weight above 0, or why nothing of the run is a positive example.

    A pass that only generated tests judged and whose plan lies far from the commit is luck: those tests see less.
    Without a plan to compare (None) the alignment counts as half.
    """
    if not run.outcome.passed or not run.outcome.trains:
        return NOT_PASSED
    if not run.passed:
        if run.source is Source.LOGGED and run.oracle is None and settings.unjudged_weight:
            return settings.unjudged_weight
        return NO_ORACLE
    alignment = 0.5 if run.alignment is None else run.alignment
    weight = 0.5 + 0.5 * alignment
    if run.oracle == OracleKind.F2P_P2P:
        return round(weight, 4)
    if alignment < settings.lucky_alignment:
        return settings.lucky_weight or LUCKY
    return round(weight * settings.generated_weight, 4)
