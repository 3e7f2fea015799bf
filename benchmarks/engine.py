"""What the engine, the database and the logs cost beside a model: a campaign whose model answers at once.

    uv run python benchmarks/engine.py PACKAGE [--trajectories N]

Runs N (500) samples of the package's newest valid instance with a scripted model on loopback, in another process, which
gives an empty plan. No step is taken, so that next to nothing but the engine is at work. Printed are the CPU
milliseconds of this process for each of the engine's task runs, those of the engine's own server beside it, resident
memory after each fifth of the trajectories, and the share of wall time that this would be with models that take 20
seconds for a trajectory. Targets: 45 ms of CPU per task run, flat memory, 5% of wall time. Linux only.
"""

import argparse
import json
import multiprocessing
import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

MODEL_SECONDS = 20.0
EMPTY = json.dumps({"rationale": "", "parts": [], "summary": "", "files": {}, "symbols": {}})


class AtOnce(BaseHTTPRequestHandler):
    """A model that answers every question at once, with nothing to do."""

    protocol_version = "HTTP/1.1"

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def do_GET(self) -> None:
        """The list of models."""
        self._say(
            json.dumps({"object": "list", "data": [{"id": "m", "object": "model", "max_model_len": 32768}]}), "json"
        )

    def do_POST(self) -> None:
        """A whole answer in one piece."""
        request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if "messages" not in request:  # it has no tokenizer to ask
            self.send_error(404)
            return
        system = request["messages"][0]["content"]
        told = request["messages"][1]["content"]
        if system.startswith("You plan"):
            keys = ["rationale", "parts"]
        else:
            keys = ["summary"] if "# Repository" in told else ["files"] if "# Candidate" in told else ["symbols"]
        text = json.dumps({key: json.loads(EMPTY)[key] for key in keys})
        head = {"id": "c", "object": "chat.completion.chunk", "created": 0, "model": "m"}
        usage = {"prompt_tokens": 1000, "completion_tokens": 10, "total_tokens": 1010}
        said = {
            **head,
            "choices": [{"index": 0, "delta": {"role": "assistant", "content": text}, "finish_reason": "stop"}],
        }
        events = [said, {**head, "choices": [], "usage": usage}]
        self._say("".join(f"data: {json.dumps(event)}\n\n" for event in events) + "data: [DONE]\n\n", "event-stream")

    def _say(self, text: str, kind: str) -> None:
        data = text.encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json" if kind == "json" else "text/event-stream")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)


def _serve(handler: type[AtOnce], told: "multiprocessing.Queue[int]") -> None:
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    told.put(server.server_address[1])
    server.serve_forever()


@contextmanager
def model(handler: type[AtOnce] = AtOnce) -> Iterator[str]:
    """The URL of a scripted model, in a process of its own."""
    told: multiprocessing.Queue[int] = multiprocessing.Queue()
    process = multiprocessing.Process(target=_serve, args=(handler, told), daemon=True)
    process.start()
    try:
        yield f"http://127.0.0.1:{told.get()}/v1"
    finally:
        process.terminate()


def resident() -> float:
    """MiB of this process that are in memory."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def server_seconds() -> float:
    """CPU seconds of the engine's server, which is a child of this process; the scripted model is another."""
    total = 0
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if b"uvicorn" in (process / "cmdline").read_bytes():
                fields = (process / "stat").read_text().rpartition(")")[2].split()
                total += (int(fields[11]) + int(fields[12])) if int(fields[1]) == os.getpid() else 0
        except OSError:
            continue
    return total / os.sysconf("SC_CLK_TCK")


class Watch:
    """Notes memory as trajectories finish."""

    def __init__(self, total: int) -> None:
        self.every, self.done, self.memory = max(1, total // 5), 0, list[float]()

    def start(self, what: str, total: int | None, done: int = 0) -> None:
        """A campaign begins."""

    def note(self, text: str) -> None:
        """What is waited for."""

    def advance(self, what: str, note: str, by: int = 1) -> None:
        """A trajectory is done."""
        self.done += 1
        if self.done % self.every == 0:
            self.memory.append(resident())
        if self.done == 1:
            print(f"first: {note}", flush=True)


def measure(package: Path, trajectories: int) -> None:
    """Run the campaign and print what it cost."""
    from sqlalchemy import create_engine, text

    from flows.campaign import campaign
    from flows.progress import watched_by
    from host.settings import load_settings

    def run(name: str, samples: int, watch: Watch) -> None:
        with watched_by(watch):
            campaign([package], ["student"], name, temperatures=[0.5], samples=samples, limit=1)

    run("warm", 1, Watch(1))  # imports, migrations, the engine's start, the only validation
    watch = Watch(trajectories)
    wall, mine, servers = time.perf_counter(), time.process_time(), server_seconds()
    run("measured", trajectories, watch)
    wall, mine, servers = time.perf_counter() - wall, time.process_time() - mine, server_seconds() - servers
    with create_engine(load_settings().raw_url).connect() as connection:
        ends = connection.execute(text("SELECT kind, count(*) FROM outcomes GROUP BY kind")).all()
        calls = connection.execute(text("SELECT count(*) FROM retrieval_llm_calls")).scalar_one()
    tasks = calls + 3 * trajectories  # a trajectory, its verdict and its attribution are tasks, too
    print(f"{trajectories} trajectories, about {tasks} task runs, {wall:.0f} s; outcomes {dict(map(tuple, ends))}")
    print(
        f"CPU per task run: {mine / tasks * 1000:.1f} ms here, {servers / tasks * 1000:.1f} ms in the engine's server"
    )
    print(f"CPU per trajectory: {mine / trajectories * 1000:.0f} ms here, {servers / trajectories * 1000:.0f} ms there")
    print("resident MiB: " + ", ".join(f"{each:.0f}" for each in watch.memory))
    share = (mine + servers) / trajectories / (MODEL_SECONDS + (mine + servers) / trajectories)
    print(f"share of wall time where a trajectory's models take {MODEL_SECONDS:g} s, one at a time: {share:.1%}")


def main() -> None:
    """Set up a place of its own, run, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("package", type=Path)
    parser.add_argument("--trajectories", type=int, default=500)
    given = parser.parse_args()
    os.environ.setdefault("PREFECT_LOGGING_LEVEL", "CRITICAL")
    os.environ.setdefault("PREFECT_SERVER_ANALYTICS_ENABLED", "false")
    package = given.package.resolve()
    with tempfile.TemporaryDirectory() as place, model() as url:
        os.environ |= {"CRA_DATA_DIR": f"{place}/data", "CRA_CACHE_DIR": f"{place}/cache"}
        os.chdir(place)
        Path("cra.toml").write_text(
            f'[models.endpoints.here]\nurl = "{url}"\nmodel = "m"\n'
            '[models.roles]\nreasoning = "here"\ncoding = "here"\n[campaign]\nstep_test_seconds = 60\n'
        )
        measure(package, given.trajectories)


if __name__ == "__main__":
    main()
