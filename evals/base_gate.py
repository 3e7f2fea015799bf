"""The gate of a tuned base: does it replace the base in use?

    promote       a stage's gate promotes, or the held-out loss of an objective falls significantly; and of every other
                  stage and objective it is shown that none is worse than its margin
    reject        it forgot more than the bounds allow, a stage's gate rejects, the held-out loss of an objective rises
                  significantly or by more than `LOSS_MARGIN`, or a figure of its plans in campaigns falls significantly
    inconclusive  anything else; the base in use stays. So it does after a gain over the old base alone, unless it is
                  shown that the new base alone is no worse than the old one with the adapter that serves

All tests are paired, and over repositories, as those of adapters (`evals.gates`): fewer than six show nothing. Stages
and losses are two families of tests, each corrected by Holm's method; where both are measured, each has half of alpha.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import fmean

from evals.gates import EvaluationPair, decide_together, shown_no_worse, shown_p
from evals.paired import family_over_repositories, interval, no_worse
from evals.planning_gate import fallen
from evals.sets.campaigns import in_common
from evals.thresholds import Rules
from models.base_evaluation import BaseReport, Forgetting, ForgettingBounds, ObjectiveTest, PlanningEvidence, RowLoss
from models.errors import EvaluationError
from models.evaluation import GateReport, GateVerdict, Subject
from models.objectives import Objective
from models.targets import Role

LOSS_MARGIN = 0.05
"""The rise of a held-out loss, in nats per token, that counts as none."""
LossPair = tuple[Sequence[RowLoss], Sequence[RowLoss]]
"""The losses of the same rows under champion and challenger."""


@dataclass(frozen=True)
class BaseEvidence:
    """All that was measured of two bases. `served`: the old base with its active adapters, and the new one alone, on
    the sets of `stages`. `held_out` names the rows of the losses, `notes` what could not be measured. `missing` says
    what must be measured before anything is promoted, and was not: the verdict is inconclusive then."""

    role: Role
    champion: Subject
    challenger: Subject
    stages: Sequence[EvaluationPair]
    losses: Mapping[Objective, LossPair]
    forgetting: Sequence[Forgetting]
    bounds: ForgettingBounds
    planning: PlanningEvidence | None = None
    held_out: str = ""
    notes: Sequence[str] = field(default=())
    missing: Sequence[str] = field(default=())
    served: Sequence[EvaluationPair] = field(default=())


def decide_base(evidence: BaseEvidence, rules: Rules | None = None) -> BaseReport:
    """Decide whether a tuned base replaces another. Raises EvaluationError if the two were not measured alike."""
    rules = rules or Rules()
    serving = [in_common(*pair) for pair in evidence.served]
    served = decide_together(serving, rules) if serving else []
    less = [why for pair, each in zip(serving, served, strict=True) if (why := _less_than_serves(pair, each, rules))]
    if evidence.stages and evidence.losses:
        rules = rules.model_copy(update={"alpha": rules.alpha / 2})
    stages = decide_together([in_common(*pair) for pair in evidence.stages], rules) if evidence.stages else []
    paired = {objective: _by_repository(*pair) for objective, pair in sorted(evidence.losses.items())}
    tests = _objective_tests(evidence.losses, paired, rules)
    verdict, reason = _verdict(evidence, stages, tests, paired, rules)
    if verdict is GateVerdict.PROMOTE and less:
        verdict, reason = GateVerdict.INCONCLUSIVE, f"{reason.partition('; ')[0]} is a gain, but {less[0]}"
    return BaseReport(
        role=evidence.role,
        champion=evidence.champion,
        challenger=evidence.challenger,
        verdict=verdict,
        reason=reason,
        stages=tuple(stages),
        objectives=tuple(tests),
        forgetting=tuple(evidence.forgetting),
        bounds=evidence.bounds,
        planning=evidence.planning,
        held_out=evidence.held_out,
        notes=tuple(evidence.notes),
        served=tuple(served),
    )


def _less_than_serves(pair: EvaluationPair, served: GateReport, rules: Rules) -> str:
    """Why the new base alone is worse than what serves a stage, or may be; empty if it is shown that it is not."""
    if served.verdict is GateVerdict.REJECT:
        how = f"is worse ({_why(served)})"
    elif served.verdict is not GateVerdict.PROMOTE and (why := shown_no_worse(*pair, rules)):
        how = f"may be worse ({why})"
    else:
        return ""
    return (
        f"{served.champion.name} serves {served.target.value} now, and the new base alone {how}: its adapters end with "
        "a promotion; promote by --override, and train them again"
    )


def forgotten(each: Forgetting, bounds: ForgettingBounds) -> str:
    """In what a base left the old one by more than the bounds allow; empty if it did not."""
    if each.rise > bounds.rise:
        return f"loss on {each.kind} {each.before:.3f} to {each.after:.3f}, more than {bounds.rise:.2f} nats per token"
    if each.agreement is not None and each.agreement < bounds.agreement:
        return f"agreement on {each.kind} {each.agreement:.2f}, less than {bounds.agreement:.2f}"
    return ""


def _by_repository(champion: Sequence[RowLoss], challenger: Sequence[RowLoss]) -> dict[str, list[float]]:
    """Differences (after minus before) of each repository's rows."""
    after = {each.row: each.loss for each in challenger}
    if {each.row for each in champion} != after.keys():
        raise EvaluationError("the two bases were measured on other held-out rows; evaluate both again")
    found: dict[str, list[float]] = {}
    for each in sorted(champion, key=lambda row: row.row):
        found.setdefault(each.repository, []).append(after[each.row] - each.loss)
    return found


def _objective_tests(
    losses: Mapping[Objective, LossPair], paired: Mapping[Objective, dict[str, list[float]]], rules: Rules
) -> list[ObjectiveTest]:
    family = family_over_repositories(paired, rules.repositories, rules.seed)
    tests = []
    for objective, groups in paired.items():
        before, after = (fmean(row.loss for row in side) for side in losses[objective])
        low, high = interval(groups, rules.seed)
        tests.append(
            ObjectiveTest(
                objective=objective,
                champion=before,
                challenger=after,
                difference=after - before,
                low=low,
                high=high,
                p_repository=family[objective][0],
                p_adjusted=family[objective][1],
                rows=sum(map(len, groups.values())),
                repositories=len(groups),
            )
        )
    return tests


def _verdict(
    evidence: BaseEvidence,
    stages: Sequence[GateReport],
    tests: Sequence[ObjectiveTest],
    paired: Mapping[Objective, dict[str, list[float]]],
    rules: Rules,
) -> tuple[GateVerdict, str]:
    worse = [f"forgetting: {what}" for each in evidence.forgetting if (what := forgotten(each, evidence.bounds))]
    worse += [f"{_named(each)}: {_why(each)}" for each in stages if each.verdict is GateVerdict.REJECT]
    worse += [
        _change(test)
        for test in tests
        if test.difference > LOSS_MARGIN or (test.difference > 0 and test.p_adjusted <= rules.alpha)
    ]
    worse += fallen(evidence.planning.tests, rules) if evidence.planning else []
    if worse:
        return GateVerdict.REJECT, "; ".join(worse)
    missing = [*evidence.missing, *([] if evidence.forgetting else ["forgetting was not measured"])]
    if missing:
        return GateVerdict.INCONCLUSIVE, "; ".join(missing)
    better = [f"{_named(each)}: {_why(each)}" for each in stages if each.verdict is GateVerdict.PROMOTE]
    gained = [test for test in tests if test.difference < 0 and test.p_adjusted <= rules.alpha]
    better += [f"{_change(test)} (p {shown_p(test.p_adjusted)})" for test in gained]
    if not better:
        return GateVerdict.INCONCLUSIVE, _no_gain(stages, tests, rules)
    for pair, each in zip(evidence.stages, stages, strict=True):
        if each.verdict is not GateVerdict.PROMOTE and (why := shown_no_worse(*in_common(*pair), rules)):
            return GateVerdict.INCONCLUSIVE, f"{better[0]} is a gain, but {_named(each)}: {why}"
    for test in tests:
        if test in gained:
            continue
        fewer = [[-value for value in values] for _, values in sorted(paired[test.objective].items())]
        if (p := no_worse(fewer, LOSS_MARGIN, rules.seed)) > rules.alpha:
            return GateVerdict.INCONCLUSIVE, (
                f"{better[0]} is a gain, but {_change(test)} may be a rise of more than {LOSS_MARGIN} (p {shown_p(p)})"
            )
    return GateVerdict.PROMOTE, "; ".join(better)


def _no_gain(stages: Sequence[GateReport], tests: Sequence[ObjectiveTest], rules: Rules) -> str:
    few = [test for test in tests if test.p_repository is None]
    if few and len(few) == len(tests) and not stages:
        most = max(test.repositories for test in few)
        return (
            f"held-out rows of {most} repositories show nothing beyond these: {rules.repositories} are needed; curate "
            "from more repositories"
        )
    found = [f"{_named(each)}: {_why(each)}" for each in stages]
    found += [f"{_change(test)} (p {shown_p(test.p_adjusted)})" for test in tests]
    return f"no significant gain ({'; '.join(found) or 'nothing was measured'})"


def _named(report: GateReport) -> str:
    return f"stage {report.target.value}"


def _why(report: GateReport) -> str:
    return report.reason.partition("; ")[0]


def _change(test: ObjectiveTest) -> str:
    return f"held-out loss of {test.objective.value} {test.champion:.3f} to {test.challenger:.3f}"
