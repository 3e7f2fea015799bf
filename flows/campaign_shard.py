"""The flow of a shard: a further worker's part in a campaign that another one runs."""

from prefect import flow
from prefect.client.schemas.objects import State
from prefect.states import Completed

from flows.stopping import StopRule
from flows.trajectories import CampaignLabel, run_trajectories
from harness.runs.campaign_context import assignments, open_campaign_context
from harness.runs.campaigns import campaign_config, with_adapters
from harness.runs.sharding import open_referenced, planner_hashes
from host.code_version import code_version
from host.settings import load_settings
from models.errors import UsageError
from models.shards import ShardOrder
from store.runs import campaign_key, open_raw_store
from tasks.runtime import open_runtime


@flow(name="campaign-shard", flow_run_name="shard {order.package} of {order.name}", persist_result=False)
def campaign_shard(order: ShardOrder) -> State[None]:
    """Run the open trajectories of a shard, as far as no other process works on them.

    Raises UsageError if this machine has another version of the code, other packages or other settings than the
    campaign: its results would not be the campaign's.
    """
    if (mine := code_version()) != order.code:
        raise UsageError(f"this worker runs {mine}, and the campaign was started by {order.code}; update the older one")
    settings = with_adapters(load_settings(), order.adapters)
    runtime = open_runtime(settings, order.sandbox)
    packages = {each.folder: open_referenced(settings.corpus.absolute(), each) for each in order.packages}
    config = campaign_config(
        list(packages.values()), order.grid, order.edit_format, order.step_tests, settings, runtime.sandbox.kind
    )
    store = open_raw_store(settings.raw_url)
    if campaign_key(config) != order.campaign_id:
        differing = _differences(store.campaign_config(order.campaign_id), config)
        raise UsageError(f"{differing} of this machine differ from the campaign's; make them equal (cra config show)")
    context = open_campaign_context(
        settings, store, order.edit_format, order.step_tests, order.max_cost, order.max_tokens, order.budget
    )
    package = packages[order.package]
    for name, known in planner_hashes(package, order.grid, context, runtime).items():
        if known != order.planners.get(name):
            raise UsageError(
                f"planner {name} of this machine is another one than the campaign's: its models, their settings or its "
                "adapters differ; compare `cra models check`, and set CRA_CURATED_DATABASE to the same database"
            )
    todo = list(assignments(order.campaign_id, package, order.grid, context, runtime, frozenset(order.instances)))
    calls = context.pool.calls_at_a_time(order.grid.planners)
    stopping = StopRule(settings.campaign.provider_failures)
    at_a_time = settings.campaign.trajectories or max(settings.concurrency, calls)
    run_trajectories(todo, context, CampaignLabel(order.name, order.campaign_id), at_a_time, stopping, waits=False)
    if stopping.reason:
        return Completed(name="stopped", message=stopping.reason)
    return Completed()


def _differences(known: dict[str, object], mine: dict[str, object]) -> str:
    """The parts of a campaign's configuration that differ."""
    return ", ".join(sorted(name for name in {*known, *mine} if known.get(name) != mine.get(name))) or "settings"
