"""The worker: the engine's process worker, which takes runs of its own version of the code only."""

import asyncio
import logging
import os
import signal
import sys
from pathlib import Path
from typing import Any

from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.filters import DeploymentFilter, DeploymentFilterTags
from prefect.client.schemas.objects import FlowRun
from prefect.utilities.processutils import command_to_string
from prefect.workers.process import ProcessJobConfiguration, ProcessWorker

from flows.server.deployments import TAG, other_version, our_deployments
from host.code_version import code_version
from models.errors import UsageError


def check_version(client: SyncPrefectClient) -> int:
    """The number of our deployments on the server. Raises UsageError if they were made from other code than this."""
    deployments = our_deployments(client)
    if other := other_version(deployments, version := code_version()):
        raise UsageError(_refusal(other, version))
    return len(deployments)


def _refusal(theirs: str, ours: str) -> str:
    return (
        f"the deployments are of version {theirs}, the code here is {ours}; install that version here, or run `cra up` "
        "where the server is with this one"
    )


class CodeJobConfiguration(ProcessJobConfiguration):
    """A flow run as a process of this interpreter in the worker's own directory, where cra.toml is read."""

    def prepare_for_flow_run(self, *arguments: Any, **named: Any) -> None:
        """Complete the configuration; a command or directory that the work pool sets stays."""
        super().prepare_for_flow_run(*arguments, **named)
        if not self._command_configured:
            self.command = command_to_string([sys.executable, "-m", "flows.server.engine"])
            self._command_configured = (
                True  # otherwise it may start another interpreter, for a project in the directory
            )
        self.working_dir = self.working_dir or Path.cwd()


class CodeWorker(ProcessWorker):
    """Process worker that takes no run while its code is of another version than the deployments on the server."""

    job_configuration = CodeJobConfiguration
    _refused = ""

    @classmethod
    def __dispatch_key__(cls) -> str:
        """Its own entry in the engine's table of worker types; for the server it is one for processes."""
        return "clean-room-process"

    async def get_and_submit_flow_runs(self) -> list[FlowRun]:
        """Start what is due, unless the versions differ: that is logged once, and looked at again at the next turn."""
        deployments = await self.client.read_deployments(
            deployment_filter=DeploymentFilter(tags=DeploymentFilterTags(all_=[TAG])), limit=200
        )
        other = other_version(deployments, version := await asyncio.to_thread(code_version))
        refused = _refusal(other, version) if other else ""
        if refused != self._refused:
            self._logger.error("no runs are taken: %s", refused) if refused else self._logger.warning("runs are taken")
        self._refused = refused
        return [] if refused else await super().get_and_submit_flow_runs()


def run_worker(pool: str, name: str, limit: int) -> None:
    """Work until the process is told to end; does not return. Flow runs have the heartbeats that the environment sets.

    The process ends at once after that: threads of the engine may wait for a server that has ended as well.
    """
    from prefect.utilities.processutils import setup_signal_handlers_worker

    signal.signal(signal.SIGINT, signal.default_int_handler)  # a background job of a script inherits it as ignored
    setup_signal_handlers_worker(os.getpid(), "the worker", lambda *text: None)
    worker = CodeWorker(work_pool_name=pool, name=name, limit=limit, create_pool_if_not_found=False)
    code = 1
    try:
        asyncio.run(worker.start(printer=lambda *text: None))
        code = 0
    except KeyboardInterrupt:
        logging.getLogger("prefect.worker").warning("the worker ends: interrupted")
    except BaseExceptionGroup as error:
        logging.getLogger("prefect.worker").error("the worker ends: %s", error)
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
