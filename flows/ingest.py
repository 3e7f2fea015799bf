"""The ingest flow: looks at a folder, such as where media are mounted, and takes in the packages that are new there."""

from pathlib import Path
from typing import Annotated

from prefect import flow, get_run_logger
from prefect.artifacts import create_table_artifact
from pydantic import Field

from exchange.intake.batch import ingest as ingest_packages
from flows.progress import progress_listener
from host.settings import load_settings
from models.errors import UsageError
from models.intake import IntakeEvent
from tasks.intake import open_intake


@flow(name="ingest", flow_run_name="ingest {folder}", persist_result=False)
def ingest(
    folder: Annotated[str, Field(min_length=1)] = "/media/packages", scheduled: bool = False
) -> list[IntakeEvent]:
    """Take the packages in a folder into the corpus; the events, which are in the ledger.

    Packages that were decided about before are passed over. A `scheduled` run that finds no folder ends without an
    error, as there is no medium.

    Args:
        folder: a folder on the worker's machine, with packages in it
        scheduled: whether a folder that is missing is no error
    """
    log, watch = get_run_logger(), progress_listener()
    started: set[str] = set()

    def progress(what: str, done: int, total: int) -> None:
        if what not in started:
            watch.start(what, total)
            started.add(what)

    context = open_intake(load_settings(), lambda stage: log.info("%s", stage), progress)
    try:
        events = ingest_packages(
            context, Path(folder), lambda process: log.info("waiting for process %s", process), once=True
        )
    except UsageError:
        if not scheduled:
            raise
        log.info("no medium at %s", folder)
        return []
    if events:
        create_table_artifact(key="ingest", table=[_row(event) for event in events])
    return events


def _row(event: IntakeEvent) -> dict[str, object]:
    return {
        "package": event.package.name or Path(event.package.source).name,
        "verdict": event.verdict.value,
        "reason": event.reason.value if event.reason is not None else "",
        "detail": event.detail,
        "valid": event.valid,
        "identity": event.identity[:12],
    }
