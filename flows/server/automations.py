"""The automation that marks a flow run as crashed when its process has been silent for three heartbeats."""

from datetime import timedelta

from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.objects import StateType
from prefect.events.actions import ChangeFlowRunState
from prefect.events.schemas.automations import AutomationCore, EventTrigger, Posture
from prefect.events.schemas.events import ResourceSpecification

from flows.server.deployments import TAG, Change

NAME = "clean-room: silent flow runs"
SILENT = "its process has been silent for {seconds:.0f} s; start the deployment again, it goes on where it was"


def make_automation(client: SyncPrefectClient, heartbeat_seconds: int) -> Change:
    """Make the automation for flow runs of our deployments whose workers set that interval between heartbeats.

    Whatever a run's event is, it counts as a sign of life: states may bear names of their own.
    """
    wanted = _automation(3 * heartbeat_seconds)
    there = client.read_automations_by_name(NAME)
    if not there:
        client.create_automation(wanted)
        return "made"
    for each in there[1:]:
        client.delete_automation(each.id)
    old = there[0]
    if isinstance(old.trigger, EventTrigger) and old.trigger.within == timedelta(seconds=3 * heartbeat_seconds):
        return "already there"
    client.update_automation(old.id, wanted)
    return "changed"


def _automation(seconds: float) -> AutomationCore:
    return AutomationCore(
        name=NAME,
        description="A worker or machine died: the run is marked as crashed, so that it can be started again.",
        enabled=True,
        trigger=EventTrigger(
            after={"prefect.flow-run.heartbeat", "prefect.flow-run.Running"},
            expect={"prefect.flow-run.*"},
            match=ResourceSpecification.model_validate({"prefect.resource.id": "prefect.flow-run.*"}),
            match_related=ResourceSpecification.model_validate(
                {"prefect.resource.id": f"prefect.tag.{TAG}", "prefect.resource.role": "tag"}
            ),
            for_each={"prefect.resource.id"},
            posture=Posture.Proactive,
            threshold=1,
            within=timedelta(seconds=seconds),
        ),
        actions=[ChangeFlowRunState(state=StateType.CRASHED, message=SILENT.format(seconds=seconds))],
    )
