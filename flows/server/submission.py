"""Starting a flow on the server, for a worker to run."""

from typing import Any, NamedTuple
from uuid import UUID

import httpx
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.exceptions import ObjectNotFound

from flows.server.state import unreachable, workers
from models.errors import UsageError


class Submitted(NamedTuple):
    """A flow run that waits for a worker: id, name, page in the UI, and how many workers of its pool are online."""

    run: UUID
    name: str
    page: str
    workers: int


def submit(deployment: str, parameters: dict[str, Any], name: str) -> Submitted:
    """Have a deployment (`flow/name`) run with JSON-like parameters; `name` is that of the run.

    Raises UsageError if there is no such deployment, InfrastructureError if the server does not answer.
    """
    with get_client(sync_client=True) as client:
        try:
            return _submit(client, deployment, parameters, name)
        except ObjectNotFound as error:
            raise UsageError(f"the server has no deployment {deployment}; `cra up` makes it") from error
        except httpx.HTTPError as error:
            raise unreachable(client, error) from error


def _submit(client: SyncPrefectClient, deployment: str, parameters: dict[str, Any], name: str) -> Submitted:
    found = client.read_deployment_by_name(deployment)
    run = client.create_flow_run_from_deployment(found.id, parameters=parameters, name=name)
    online = [each for each in workers(client, found.work_pool_name or "") if each.online]
    page = f"{str(client.api_url).rstrip('/').removesuffix('/api')}/runs/flow-run/{run.id}"
    return Submitted(run.id, run.name, page, len(online))
