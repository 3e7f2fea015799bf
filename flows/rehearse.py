"""The rehearse flow: the complete loop once, in databases of its own, with a task for each step."""

from collections.abc import Callable, Sequence
from pathlib import Path

from prefect import flow
from prefect.artifacts import create_table_artifact
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterId
from prefect.runtime import flow_run

from flows.campaign import campaign
from flows.progress import progress_listener
from flows.server.deployments import listed_deployments, other_version, our_deployments
from flows.training_context import open_training_context
from flows.training_steps import engine_steps
from host.code_version import code_version
from models.rehearsal import RehearsalOrder, RehearsalReport, StepEvidence
from store.runs import CampaignReport
from tasks.define import opaque_argument
from tasks.rehearsal import run_step
from training.cycle import rehearsal
from training.cycle.rehearsal import RehearsalParts, ServerFacts


@flow(name="rehearse", flow_run_name="rehearse", persist_result=False)
def rehearse(order: RehearsalOrder, machine: StepEvidence) -> RehearsalReport:
    """Run gold, student, curation, training, evaluation, gate, promotion and rollback once, and return the evidence.

    `machine` is the evidence of the checks of this machine, which come first. A rehearsal that was killed goes on after
    its last finished step. Raises UsageError if another one runs in the same folder.
    """
    run = str(flow_run.id)
    parts = RehearsalParts(
        open_context=open_training_context,
        training=engine_steps(),
        run_gold=_run_gold,
        server=lambda: _server_facts(run),
        around=_around,
    )
    report = rehearsal.rehearse(order, machine, parts)
    create_table_artifact(
        key="rehearsal",
        table=[
            {"step": each.step, "verdict": each.verdict, "found": "; ".join(each.found), "remedy": each.remedy}
            for each in report.steps
        ],
    )
    return report


def _run_gold(name: str, packages: Sequence[Path], limit: int | None) -> CampaignReport:
    report: CampaignReport = campaign(list(packages), ["gold", "null"], name, limit=limit)
    return report


def _around(label: str, do: Callable[[], StepEvidence]) -> StepEvidence:
    progress_listener().note(label)
    return run_step(label, opaque_argument(do))


def _server_facts(run: str) -> ServerFacts:
    with get_client(sync_client=True) as client:
        deployments = our_deployments(client)
        tasks = client.read_task_runs(flow_run_filter=FlowRunFilter(id=FlowRunFilterId(any_=[run])), limit=200)
        return ServerFacts(
            url=str(client.api_url),
            version=client.api_version(),
            deployments=len(deployments),
            listed=len(listed_deployments()),
            other_code=other_version(deployments, code_version()) or "",
            run=run,
            tasks=len(tasks),
        )
