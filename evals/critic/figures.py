"""How often a critic is right, whether the order decides, and whether it beats what reads no code."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from statistics import fmean

from pydantic import Field

from evals.critic.cues import CUES, LENGTH, TOGETHER, FittedCues
from evals.critic.judging import Verdict
from evals.paired import interval, sign_flip_over_repositories
from models.comparisons import Comparison
from models.plans import Frozen

ALWAYS_FIRST = "always the first"
CHANCE = 0.5


class Accuracy(Frozen):
    """Comparisons judged: right or wrong in both orders, or undecided, where the order decides.

    `value` is their mean, undecided ones counted one half, with its 95% interval over repositories (`evals.paired`).
    """

    value: float
    low: float
    high: float
    comparisons: int
    repositories: int
    right: int
    wrong: int
    undecided: int


class Contender(Frozen):
    """A critic or a baseline. `consistency` is the share judged alike in both orders, `first` the share of answers that
    name the version shown first (0.5: no position bias), `combined` the accuracy by the mean probability of both
    orders; None of a baseline, which does not know the order.

    `when_longer` and `when_not_longer` are the accuracy where the better version is longer, and where it is not (None
    without such a comparison); their mean is near one half for length alone.
    """

    name: str
    accuracy: Accuracy
    by_criterion: dict[str, Accuracy]
    by_repository: dict[str, float]
    when_longer: float | None
    when_not_longer: float | None
    consistency: float | None = None
    first: float | None = None
    combined: float | None = None

    @property
    def length_balanced(self) -> float | None:
        """The mean accuracy of both lengths; None if one is missing."""
        if self.when_longer is None or self.when_not_longer is None:
            return None
        return (self.when_longer + self.when_not_longer) / 2


class Difference(Frozen):
    """The difference of two contenders' accuracy, with its 95% interval and the two-sided p of a sign-flip test, both
    over repositories."""

    contender: str
    reference: str
    value: float
    low: float
    high: float
    p: float


class CriticReport(Frozen):
    """An evaluation: contenders, differences of each critic from the baselines, and what limits them."""

    part: str
    contenders: tuple[Contender, ...]
    differences: tuple[Difference, ...]
    fitted_on: int
    collections: tuple[str, ...]
    left_out: dict[str, int] = Field(default_factory=dict)


Scores = Mapping[str, float]
"""The score of each comparison, by its id."""


def accuracy(comparisons: Sequence[Comparison], scores: Scores) -> Accuracy:
    """The accuracy over comparisons, of which there is at least one."""
    values = [scores[each.id] for each in comparisons]
    groups = _by_repository(comparisons, lambda each: scores[each.id])
    low, high = interval(groups)
    return Accuracy(
        value=fmean(values),
        low=low,
        high=high,
        comparisons=len(values),
        repositories=len(groups),
        right=sum(value == 1 for value in values),
        wrong=sum(value == 0 for value in values),
        undecided=sum(value not in (0, 1) for value in values),
    )


def contender(name: str, comparisons: Sequence[Comparison], scores: Scores) -> Contender:
    """The figures of anything that scores comparisons."""
    longer, others = (
        [scores[each.id] for each in comparisons if each.better_is_longer is wanted] for wanted in (True, False)
    )
    criteria = sorted({each.criterion for each in comparisons})
    return Contender(
        name=name,
        accuracy=accuracy(comparisons, scores),
        by_criterion={
            criterion.value: accuracy([each for each in comparisons if each.criterion is criterion], scores)
            for criterion in criteria
        },
        when_longer=fmean(longer) if longer else None,
        when_not_longer=fmean(others) if others else None,
        by_repository={
            repository: fmean(values)
            for repository, values in _by_repository(comparisons, lambda each: scores[each.id]).items()
        },
    )


def critic_contender(name: str, comparisons: Sequence[Comparison], verdicts: Sequence[Verdict]) -> Contender:
    """The figures of a critic from its verdicts, in the order of the comparisons."""
    plain = contender(name, comparisons, {each.id: each.score for each in verdicts})
    return plain.model_copy(
        update={
            "consistency": fmean(each.decided for each in verdicts),
            "first": fmean(each.first_answers for each in verdicts),
            "combined": fmean(each.combined for each in verdicts),
        }
    )


def baselines(comparisons: Sequence[Comparison], cues: FittedCues) -> dict[str, Scores]:
    """The scores of the baselines: an answer that is always the same, each cue, all cues together.

    In both orders each letter is right once, so that the commonest letter scores one half everywhere.
    """
    found: dict[str, Scores] = {ALWAYS_FIRST: {each.id: CHANCE for each in comparisons}}
    for cue in (*CUES, TOGETHER):
        found[cue] = {each.id: cues.score(cue, each) for each in comparisons}
    return found


def difference(comparisons: Sequence[Comparison], one: tuple[str, Scores], other: tuple[str, Scores]) -> Difference:
    """How much more often the first contender is right."""
    (name, scores), (reference, others) = one, other
    groups = _by_repository(comparisons, lambda each: scores[each.id] - others[each.id])
    low, high = interval(groups)
    return Difference(
        contender=name,
        reference=reference,
        value=fmean(value for values in groups.values() for value in values),
        low=low,
        high=high,
        p=sign_flip_over_repositories(groups),
    )


def critic_report(
    part: str,
    comparisons: Sequence[Comparison],
    judged: Mapping[str, Sequence[Verdict]],
    cues: FittedCues,
    collections: Iterable[str],
    left_out: Mapping[str, int],
) -> CriticReport:
    """The report on critics by name, the first of which is compared with all others and with the baselines."""
    plain = baselines(comparisons, cues)
    critics = {name: {each.id: each.score for each in verdicts} for name, verdicts in judged.items()}
    found = [critic_contender(name, comparisons, verdicts) for name, verdicts in judged.items()]
    found += [contender(name, comparisons, scores) for name, scores in plain.items()]
    differences = []
    for name, scores in critics.items():
        references = {key: plain[key] for key in (ALWAYS_FIRST, LENGTH, TOGETHER)}
        references |= {key: value for key, value in list(critics.items())[1:] if name == next(iter(critics))}
        differences += [difference(comparisons, (name, scores), item) for item in references.items()]
    return CriticReport(
        part=part,
        contenders=tuple(found),
        differences=tuple(differences),
        fitted_on=cues.comparisons,
        collections=tuple(collections),
        left_out=dict(left_out),
    )


def _by_repository(comparisons: Sequence[Comparison], value: Callable[[Comparison], float]) -> dict[str, list[float]]:
    groups: dict[str, list[float]] = {}
    for each in comparisons:
        groups.setdefault(each.repository, []).append(value(each))
    return groups
