"""An adapter against a classifier that asks no language model: do its answers beat the classifier's, or add to them?

Three contenders on the items of one set, by average precision over all judgements of each repository: the classifier,
the adapter, and both combined by a logistic regression of their log-odds, cross-fitted by repository.
Adding is shown where the combination beats the classifier. The two tests are corrected by Holm's method. An adapter
whose answers are classes without probabilities enters the combination with the same odds for and against.
"""

from collections.abc import Mapping, Sequence
from statistics import fmean

from evals.classification import average_precision, ranking_scores
from evals.paired import holm, sign_flip
from evals.pairing import POSITIVE
from evals.stacking import StackRow, stacked
from evals.thresholds import Rules
from models.errors import EvaluationError
from models.evaluation import ClassifierContest, ClassJudgement, Evaluation, GateReport, GateVerdict
from models.training import TrainingTarget

CERTAIN = 0.9
"""The probability that a class without one is given in the combination; its weight there is fitted."""

Judgements = Mapping[str, Sequence[ClassJudgement]]


def contest(challenger: Evaluation, classifier: str, judged: Judgements, rules: Rules) -> ClassifierContest:
    """The contest of an evaluated adapter with a classifier; `judged` holds the classifier's judgements by item.

    Raises EvaluationError if an item lacks judgements on either side, or they are not of the same candidates.
    """
    positive = POSITIVE[challenger.target]
    ours, theirs = _by_repository(challenger, judged)
    rows = {
        name: [_row(a, b, positive) for a, b in zip(theirs[name], ours[name], strict=True)] for name in sorted(ours)
    }
    names = [name for name in sorted(rows) if any(row.positive for row in rows[name])]
    if len(names) < rules.repositories:
        return ClassifierContest(
            classifier=classifier,
            repositories=len(names),
            reason=f"{len(names)} repositories have something to be found, and {rules.repositories} are needed to "
            f"compare with {classifier}",
        )
    together = stacked(rows)
    hits = {name: [row.positive for row in rows[name]] for name in names}
    alone = [_ap([row.first for row in rows[name]], hits[name]) for name in names]
    adapter = [_ap(ranking_scores(ours[name], positive), hits[name]) for name in names]
    both = [_ap(together[name], hits[name]) for name in names]
    beats = [a - b for a, b in zip(adapter, alone, strict=True)]
    adds = [a - b for a, b in zip(both, alone, strict=True)]
    p_beats, p_adds = holm([sign_flip(beats, rules.seed), sign_flip(adds, rules.seed)])
    won = [
        word
        for word, gain, p in (("beats", fmean(beats), p_beats), ("adds to", fmean(adds), p_adds))
        if gain > 0 and p <= rules.alpha
    ]
    return ClassifierContest(
        classifier=classifier,
        repositories=len(names),
        alone=fmean(alone),
        adapter=fmean(adapter),
        together=fmean(both),
        p_beats=p_beats,
        p_adds=p_adds,
        holds=bool(won),
        reason=f"{' and '.join(won) or 'neither beats nor adds to'} {classifier}: average precision {fmean(alone):.3f} "
        f"alone, {fmean(adapter):.3f} by the adapter (p {p_beats:.4f}), {fmean(both):.3f} together (p {p_adds:.4f})",
    )


def require_contest(report: GateReport, found: ClassifierContest) -> GateReport:
    """The report with the contest; a promotion becomes inconclusive where the contest was not won."""
    if report.verdict is GateVerdict.PROMOTE and not found.holds:
        reason = f"{report.reason}; not promoted: {found.reason}"
        return report.model_copy(update={"verdict": GateVerdict.INCONCLUSIVE, "reason": reason, "contest": found})
    return report.model_copy(update={"reason": f"{report.reason}; {found.reason}", "contest": found})


def contested(target: TrainingTarget) -> bool:
    """Whether a target has classes that a classifier can give."""
    return target in POSITIVE


def _by_repository(
    challenger: Evaluation, judged: Judgements
) -> tuple[dict[str, list[ClassJudgement]], dict[str, list[ClassJudgement]]]:
    ours: dict[str, list[ClassJudgement]] = {}
    theirs: dict[str, list[ClassJudgement]] = {}
    for score in challenger.scores:
        other = judged.get(score.item, ())
        if [each.expected for each in score.judgements] != [each.expected for each in other]:
            raise EvaluationError(
                f"item {score.item[:12]} of {score.repository}: the adapter has {len(score.judgements)} judgements and "
                f"the classifier {len(other)}, or they are of other candidates; evaluate both again"
            )
        ours.setdefault(score.repository, []).extend(score.judgements)
        theirs.setdefault(score.repository, []).extend(other)
    return ours, theirs


def _row(classifier: ClassJudgement, adapter: ClassJudgement, positive: str) -> StackRow:
    if classifier.probability is None:
        raise EvaluationError("the classifier gave no probability; a classifier in a gate must give one")
    answered = adapter.probability
    if answered is None:
        answered = CERTAIN if adapter.given == positive else 1 - CERTAIN
    return StackRow(classifier.probability, answered, classifier.expected == positive)


def _ap(scores: Sequence[float], hits: Sequence[bool]) -> float:
    found = average_precision(scores, hits)
    assert found is not None, "repositories without a positive are left out"
    return found
