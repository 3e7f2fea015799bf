"""What larger batches of the server's recorders gain.

    uv run python -m benchmarks.recorder [--tasks 1000] [--sizes 0,10,50,200]

For each size (0: the server's own) a fresh PostgreSQL and server; a flow of so many tasks that do nothing; then the
seconds until the server knows the end of each, and the CPU time of server and database. All sizes in one run: compare
ratios.
"""

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from urllib.request import urlopen

from host.postgres import USER, initialise, socket_answers
from store.upkeep import asynchronous, create_databases, database_on
from tests.support.doubles import free_port

SERVE = (
    "import sys; from pathlib import Path; from host.postgres import serve\n"
    "serve(Path(sys.argv[1]) / 'postgres', Path(sys.argv[1]))"
)
FLOW = """
import sys, time
from prefect import flow, task
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import TaskRunFilter, TaskRunFilterState, TaskRunFilterStateType
from prefect.client.schemas.objects import StateType
from prefect.task_runners import ThreadPoolTaskRunner

@task(persist_result=False)
def nothing(number):
    return number

@flow(task_runner=ThreadPoolTaskRunner(max_workers=8), persist_result=False)
def many(count):
    for each in [nothing.submit(number) for number in range(count)]:
        each.result()

count = int(sys.argv[1])
began = time.monotonic()
many(count)
ran = time.monotonic() - began
done = TaskRunFilter(state=TaskRunFilterState(type=TaskRunFilterStateType(any_=[StateType.COMPLETED])))
with get_client(sync_client=True) as client:
    known, last = 0, time.monotonic()
    while known < count and time.monotonic() - last < 120:
        answer = client._client.post("/task_runs/count", json={"task_runs": done.model_dump(mode="json")}).json()
        if answer > known:
            known, last = answer, time.monotonic()
        time.sleep(0.25)
print(known, ran, time.monotonic() - began)
"""


def _cpu(process: int) -> float:
    """CPU seconds of a process and of its children so far."""
    total = 0.0
    for each in Path("/proc").glob("[0-9]*"):
        try:
            fields = (each / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(each.name) == process:
            total += sum(map(int, fields[11:15]))
        elif int(fields[1]) == process:
            total += sum(map(int, fields[11:13]))
    return total / os.sysconf("SC_CLK_TCK")


def _ready(url: str) -> bool:
    try:
        with urlopen(f"{url}/ready", timeout=5) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def measure(size: int, tasks: int) -> dict[str, Any]:
    """The figures of one size."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="cra-rec-")))
        initialise(folder / "postgres", "word")

        def start(*command: str, **variables: str) -> "subprocess.Popen[bytes]":
            log = stack.enter_context((folder / "log").open("ab"))
            process = subprocess.Popen(command, env={**os.environ, **variables}, stdout=log, stderr=log)
            stack.callback(process.wait, 60)
            stack.callback(process.send_signal, signal.SIGINT)
            return process

        database = start(sys.executable, "-c", SERVE, str(folder))
        while not socket_answers(folder):
            time.sleep(0.1)
        url = f"postgresql://{USER}:word@/postgres?host={folder}"
        create_databases(url, ["prefect"])
        port = free_port()
        api = f"http://127.0.0.1:{port}/api"
        batches = {
            f"PREFECT_SERVER_SERVICES_{service}_{kind}": str(size)
            for service in ("TASK_RUN_RECORDER", "EVENT_PERSISTER")
            for kind in ("BATCH_SIZE", "READ_BATCH_SIZE")
        }
        if size == 0:
            batches = {}
        common = {"PREFECT_HOME": str(folder / "home"), "PREFECT_SERVER_ANALYTICS_ENABLED": "false"}
        server = start(
            sys.executable, "-m", "flows.server.app", "--without-trigrams",
            PREFECT_SERVER_DATABASE_CONNECTION_URL=asynchronous(database_on(url, "prefect")),
            PREFECT_SERVER_API_PORT=str(port), PREFECT_SERVER_LOGGING_LEVEL="WARNING", **common, **batches,
        )  # fmt: skip
        while not _ready(api):
            assert server.poll() is None, (folder / "log").read_text()[-2000:]
            time.sleep(0.2)
        before = _cpu(server.pid), _cpu(database.pid)
        quiet = {"PREFECT_API_URL": api, "PREFECT_LOGGING_LEVEL": "ERROR", **common}
        said = subprocess.run(
            [sys.executable, "-c", FLOW, str(tasks)], env={**os.environ, **quiet}, capture_output=True, text=True,
            check=True,
        )  # fmt: skip
        known, ran, all_known = said.stdout.split()[-3:]
        return {
            "batch size": size or "the server's own",
            "tasks known in the end": int(known),
            "seconds of the flow": round(float(ran), 1),
            "seconds until all are known": round(float(all_known), 1),
            "server ms CPU per task": round(1000 * (_cpu(server.pid) - before[0]) / tasks, 1),
            "database ms CPU per task": round(1000 * (_cpu(database.pid) - before[1]) / tasks, 1),
        }


def main() -> None:
    """Print the figures of each size as JSON lines."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tasks", type=int, default=1000)
    parser.add_argument("--sizes", default="0,10,50,200")
    options = parser.parse_args()
    for size in map(int, options.sizes.split(",")):
        print(json.dumps(measure(size, options.tasks)), flush=True)


if __name__ == "__main__":
    main()
