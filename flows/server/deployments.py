"""The deployments that `prefect.yaml` lists, made on a server, by module: any machine with the code can run them.

What a person changed on the server stays: schedules and parameters are only given to new deployments.
"""

import json
from collections.abc import Iterator
from typing import Any, Literal

import yaml
from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.actions import DeploymentScheduleCreate, DeploymentUpdate, WorkPoolCreate
from prefect.client.schemas.filters import DeploymentFilter, DeploymentFilterTags
from prefect.client.schemas.responses import DeploymentResponse
from prefect.client.schemas.schedules import CronSchedule
from prefect.exceptions import ObjectNotFound
from prefect.flows import Flow, load_flow_from_entrypoint
from prefect.utilities.callables import parameter_schema

from host.code_version import code_version, deployments_file, is_code_version
from models.errors import UsageError

TAG = "clean-room"
"""Every deployment of ours bears it, and so does each of their runs."""
Change = Literal["made", "changed", "already there"]


def make_pool(client: SyncPrefectClient, name: str) -> Change:
    """Make a work pool for processes. Raises UsageError if one of that name is of another type."""
    try:
        pool = client.read_work_pool(name)
    except ObjectNotFound:
        client.create_work_pool(WorkPoolCreate(name=name, type="process"))
        return "made"
    if pool.type != "process":
        raise UsageError(f"work pool {name} is of type {pool.type}, not process; delete it or give another name")
    return "already there"


def make_deployments(client: SyncPrefectClient, pool: str) -> Iterator[tuple[str, Change]]:
    """Make every deployment that is listed; yields its name and what was done.

    Nothing is imported for those that the same version of the code has made.
    """
    version = code_version()
    there = {each.name: each for each in our_deployments(client)}
    for each in listed_deployments():
        old = there.get(each["name"])
        if old is not None and old.version == version and old.entrypoint == each["entrypoint"]:
            yield each["name"], "already there"
        else:
            _make(client, each, pool, version, old)
            yield each["name"], "made" if old is None else "changed"


def our_deployments(client: SyncPrefectClient) -> list[DeploymentResponse]:
    """The deployments on the server that bear our tag."""
    return client.read_deployments(deployment_filter=DeploymentFilter(tags=DeploymentFilterTags(all_=[TAG])), limit=200)


def other_version(deployments: list[DeploymentResponse], version: str) -> str | None:
    """The version of deployments that were made from other code than `version`; None if all were made from it.

    Deployments with a version that is not of our form, which a person gave them, are left out.
    """
    found = {each.version for each in deployments if is_code_version(each.version)}
    return next((str(each) for each in sorted(map(str, found)) if each != version), None)


def listed_deployments() -> list[dict[str, Any]]:
    """The entries of the list of deployments. Raises UsageError if it cannot be read."""
    path = deployments_file()
    try:
        listed: list[dict[str, Any]] = yaml.safe_load(path.read_text())["deployments"]
    except (OSError, yaml.YAMLError, KeyError, TypeError) as error:
        raise UsageError(f"the list of deployments {path} cannot be read: {error}") from error
    return listed


def _make(
    client: SyncPrefectClient, listed: dict[str, Any], pool: str, version: str, old: DeploymentResponse | None
) -> None:
    flow: Flow[Any, Any] = load_flow_from_entrypoint(listed["entrypoint"], use_placeholder_flow=False)
    schema = json.loads(parameter_schema(flow).model_dump_json())
    if old is None:
        client.create_deployment(
            client.create_flow_from_name(flow.name),
            listed["name"],
            version=version,
            schedules=[
                DeploymentScheduleCreate(
                    schedule=CronSchedule(cron=each["cron"], timezone=each["timezone"]), active=each["active"]
                )
                for each in listed.get("schedules", ())
            ],
            parameters=listed.get("parameters", {}),
            description=listed["description"],
            work_pool_name=pool,
            tags=listed["tags"],
            entrypoint=listed["entrypoint"],
            parameter_openapi_schema=schema,
            pull_steps=[],
            enforce_parameter_schema=True,
        )
        return
    known = schema.get("properties", {})
    kept = {name: value for name, value in old.parameters.items() if name in known}
    change = DeploymentUpdate(
        version=version,
        description=listed["description"],
        parameters={**listed.get("parameters", {}), **kept},
        tags=sorted({*listed["tags"], *old.tags}),
        entrypoint=listed["entrypoint"],
        parameter_openapi_schema=schema,
        pull_steps=[],
        path=None,
        concurrency_limit=None,
        work_pool_name=pool,
    )
    client.update_deployment(old.id, change)
