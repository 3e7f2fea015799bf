"""Best of n over a finished campaign: the samples of each instance, and a critic that chooses one."""

from collections import defaultdict
from collections.abc import Callable, Collection

from evals.critic.judging import Critic, KeptCritic
from evals.critic.ranking import RankReport, Sample, SampledInstance, rank_instances
from models.errors import UsageError
from store.database import reading
from store.runs.closed_runs import ClosedRun, campaign_ids
from store.runs.patches import read_closed_patches
from training.critic.evaluation import FOLDER, require_unseen
from training.cycle.context import TrainingContext
from training.data.sources.comparisons.shown import shown_patch


def rank_campaign(
    context: TrainingContext,
    critic: Critic,
    campaign: str,
    planner: str,
    progress: Callable[[int, int], None],
    trained_on: Collection[str] = (),
) -> RankReport:
    """Choose a sample of each instance of a planner's campaign (label or key). Answers are kept, so that a stopped run
    goes on.

    Raises UsageError for an unknown campaign or planner, EvaluationError without an instance that has two samples with
    a verdict, GuardrailError where a repository is among those `trained_on`, and what the critic raises.
    """
    instances = sampled_instances(context, campaign, planner)
    require_unseen({each.repository for each in instances}, trained_on)
    kept = KeptCritic(critic, context.settings.cache_dir / FOLDER)
    return rank_instances(kept, instances, shown_patch, progress)


def sampled_instances(context: TrainingContext, campaign: str, planner: str) -> list[SampledInstance]:
    """The instances of a campaign with a planner's samples that have a verdict, by the instances' names."""
    found: dict[str, list[tuple[ClosedRun, str]]] = defaultdict(list)
    planners = set()
    with reading(context.raw_engine) as connection:
        for run, patch in read_closed_patches(connection, campaign_ids(connection, [campaign])):
            planners.add(run.planner)
            if run.planner == planner and (run.passed or run.outcome.failed):
                found[run.instance_key].append((run, patch))
    if planner not in planners:
        known = ", ".join(sorted(planners)) or "none"
        raise UsageError(f"--planner {planner!a}: campaign {campaign} has no closed trajectory of it; it has: {known}")
    instances = [
        SampledInstance(
            runs[0][0].instance.instance_id,
            runs[0][0].repository,
            runs[0][0].instance.task,
            tuple(Sample(run.trajectory, patch) for run, patch in runs),
            {run.trajectory: run.passed for run, _ in runs},
        )
        for runs in found.values()
    ]
    return sorted(instances, key=lambda each: each.instance)
