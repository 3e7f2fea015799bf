"""Scores of code and planning from a campaign, in which the instances' own tests judge the subject."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from evals.step_success import step_success
from evals.thresholds import DEPENDENCY_ORDER, FILE_COVERAGE, PASS, PLAN_STRUCTURE, STEP_SUCCESS, stage_pass
from models.errors import EvaluationError
from models.evaluation import Evaluation, EvaluationSet, ItemScore
from models.outcomes import Blame, OutcomeKind
from models.plans import Frozen
from models.training import TrainingTarget
from store.database import reading
from store.runs.attempts import AttemptKey
from store.runs.results import SampleResult, sample_results
from store.runs.step_events import step_events

if TYPE_CHECKING:
    from store.database import Engine


class ExcludedSample(Frozen):
    """A sample without information about the subject: a fault of infrastructure or environment."""

    item: str
    instance: str
    seed: int
    kind: OutcomeKind


class InstanceScores(Frozen):
    """pass@1 of each item and seed, and the excluded samples."""

    scores: tuple[ItemScore, ...]
    excluded: tuple[ExcludedSample, ...]


def scores_from_campaign(
    raw: "Engine",
    campaign: str,
    evaluation_set: EvaluationSet,
    planner: str = "student",
    identity: str | None = None,
) -> InstanceScores:
    """A planner's scores on a set's instances in a campaign (label or id): 1 if the hidden tests passed, else 0.

    A seed is the index of (temperature, sample) in the campaign. `identity` is the planner's, needed when several (a
    base, and adapters on it) answered under one name. Raises EvaluationError if an instance was not run, is still open,
    or lost all its samples to faults of infrastructure (an instance with a broken environment is left out instead);
    UsageError for a label never used.
    """
    runs = sample_results(raw, campaign, planner, identity)
    if len({run.identity for run in runs}) > 1:
        raise EvaluationError(
            f"campaign {campaign}: several models or adapters answered as {planner}; select one by identity"
        )
    steps = _step_success(raw, runs) if evaluation_set.target is TrainingTarget.PLANNING else {}
    grid = sorted({(run.temperature, run.sample) for run in runs})
    by_instance: dict[tuple[str, str], list[SampleResult]] = {}
    for run in runs:
        by_instance.setdefault((run.repository, run.commit), []).append(run)
    scores, excluded = [], []
    for item in evaluation_set.items:
        found = by_instance.get((item.repository, item.commit), [])
        judged = 0
        for run in found:
            seed = grid.index((run.temperature, run.sample))
            if run.success is not None:
                passed = {PASS: float(run.success)}
                if evaluation_set.target is TrainingTarget.PLANNING:  # one kind of plan must not hide another's loss
                    passed[stage_pass(item.stage)] = passed[PASS]
                    passed |= _plan_scores(run.alignment or {})
                    passed[STEP_SUCCESS] = steps[run.key] if run.key else 0.0
                scores.append(ItemScore(item=item.id, repository=item.repository, seed=seed, scores=passed))
                judged += 1
            elif run.kind is not None:
                excluded.append(ExcludedSample(item=item.id, instance=item.instance, seed=seed, kind=run.kind))
            else:
                raise EvaluationError(_unfinished(campaign, item.instance, "was not finished"))
        if not judged and not (found and all(_broken(run) for run in found)):
            why = f"has no verdict ({excluded[-1].kind.value})" if found else f"was not run by {planner}"
            raise EvaluationError(_unfinished(campaign, item.instance, why))
    return InstanceScores(scores=tuple(scores), excluded=tuple(excluded))


def _step_success(raw: "Engine", runs: Sequence[SampleResult]) -> dict[AttemptKey, float]:
    """The share of each run's planned steps that succeeded, 0 without any."""
    with reading(raw) as connection:
        return {run.key: step_success(step_events(connection, run.key)) or 0.0 for run in runs if run.key}


def _plan_scores(alignment: Mapping[str, float]) -> dict[str, float]:
    """Structure of a plan against the commit, 0 to 1, without one 0: coverage of files (F1), order of dependent parts,
    and their mean. Where hardly any run passes, plans still differ in these."""
    files, order = alignment.get("files", 0.0), alignment.get("order", 0.0)
    return {FILE_COVERAGE: files, DEPENDENCY_ORDER: order, PLAN_STRUCTURE: (files + order) / 2}


def in_common(one: Evaluation, other: Evaluation) -> tuple[Evaluation, Evaluation]:
    """Two evaluations of a set, restricted to the items and seeds that both have.

    A fault of infrastructure may remove a sample from either; a gate compares only common samples.
    """
    keys = {(score.item, score.seed) for score in one.scores} & {(score.item, score.seed) for score in other.scores}

    def kept(evaluation: Evaluation) -> Evaluation:
        scores = tuple(score for score in evaluation.scores if (score.item, score.seed) in keys)
        return evaluation.model_copy(update={"scores": scores})

    return kept(one), kept(other)


def _broken(run: SampleResult) -> bool:
    """Whether a sample failed because of the instance's own environment or tests, which a retry may not repair."""
    return run.kind is not None and run.kind.blame is Blame.ENVIRONMENT


def _unfinished(campaign: str, instance: str, why: str) -> str:
    return f"campaign {campaign}: instance {instance} {why}; run the campaign again, finished ones are not repeated"
