"""Exports of a large campaign: seconds of wall time and of processors, bytes, and the memory of the largest process.

    uv run --extra viewer python -m benchmarks.export_trajectories [TRAJECTORIES...]

The campaign is made up in a temporary database: trajectories of eight calls with prompts of 24 KB, of which a third is
shared by the calls of one, and a test run. Memory is flat if it is the same for every number of trajectories.
"""

import os
import random
import sys
import tempfile
import time
from pathlib import Path

from models.chat import Message, prompt_text
from models.manifest import Instance, Manifest, MiningFunnel
from models.outcomes import OutcomeKind
from models.protocols import Answer, Request, Stage, Task
from models.suite import CaseResult, CaseStatus, SuiteEnd, SuiteReport
from store.runs import RawStore, open_raw_store

NUMBERS = (250, 1000)
SHARED, OWN = 8_000, 16_000
"""Characters of a prompt."""
WORDS = [f"{first}_{second}" for first in ("get", "make", "find", "is") for second in ("path", "node", "key", "span")]


def main() -> None:
    """Print a line for each number of trajectories and format."""
    numbers = [int(each) for each in sys.argv[1:]] or NUMBERS
    print("| trajectories | format | seconds | CPU s | MB written | MB of the largest process |")
    print("|---|---|---|---|---|---|")
    for number in numbers:
        with tempfile.TemporaryDirectory(prefix="cra-export-") as name:
            folder = Path(name)
            fill(open_raw_store(folder / "raw.sqlite"), number)
            for format in ("inspect", "atif", "predictions"):
                seconds, used, memory = exported(folder, format)
                written = sum(path.stat().st_size for path in (folder / format).rglob("*") if path.is_file())
                print(
                    f"| {number} | {format} | {seconds:.1f} | {used:.1f} | {written / 1e6:.1f} | {memory / 1e6:.0f} |",
                    flush=True,
                )


def exported(folder: Path, format: str) -> tuple[float, float, int]:
    """Export as a user would; seconds, seconds of processors, and bytes of the largest process."""
    out = folder / format
    out.mkdir()
    environment = {**os.environ, "CRA_DATA_DIR": str(folder), "CRA_CACHE_DIR": str(folder / "cache")}
    command = [sys.executable, "-c", "import sys; sys.argv[0] = 'cra'; from cli.main import main; main()"]
    command += ["export", "made", "--format", format]
    if format == "inspect":
        command += ["--out", str(out)]
    started = time.monotonic()
    with (out / "lines").open("wb") as lines:
        child = os.posix_spawn(
            command[0], command, environment, file_actions=[(os.POSIX_SPAWN_DUP2, lines.fileno(), 1)]
        )
        _, status, usage = os.wait4(child, 0)
    if status:
        raise SystemExit(f"the export as {format} ended with {status}")
    return time.monotonic() - started, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024


def fill(store: RawStore, number: int) -> None:
    """Record trajectories of one planner, one for each instance."""
    drawn = random.Random(1)
    keys = store.register_package(manifest(number))
    campaign = store.register_campaign({"number": number})
    store.start_run(campaign, "made", "none", [])
    for instance in keys.values():
        key = store.open_trajectory(campaign, instance, "student", "made up")
        attempt = store.begin_attempt(key)
        assert attempt is not None
        recorder = store.recorder(key, attempt)
        task = Task(text="Make it", repository="made", base="b" * 40)
        shared = prose(drawn, SHARED)
        for stage in Stage:
            messages = (Message(role="system", content=shared), Message(role="user", content=prose(drawn, OWN)))
            recorder.decision(stage, "a.py", "include", "named in the task")
            said = Answer(text=prose(drawn, 2000), model="made", prompt=prompt_text(messages), prompt_tokens=8000)
            recorder.call(Request(stage=stage, task=task), said)
        recorder.tests("affected", suite())
        store.close_trajectory(key, attempt, OutcomeKind.TESTS_FAILED, patch=prose(drawn, 3000), seconds=20.0)


def prose(drawn: random.Random, size: int) -> str:
    """Made-up code of about `size` characters, which compresses as code does."""
    lines: list[str] = []
    length = 0
    while length < size:
        lines.append(f"    {drawn.choice(WORDS)} = {drawn.choice(WORDS)}({drawn.randrange(10**6)})")
        length += len(lines[-1]) + 1
    return "\n".join(lines)


def suite() -> SuiteReport:
    """A run of fifty tests."""
    cases = {f"t.py::test_{n}": CaseResult(id=f"t.py::test_{n}", status=CaseStatus.PASSED) for n in range(50)}
    return SuiteReport(end=SuiteEnd.COMPLETED, exit_code=0, seconds=1.0, cases=cases, output="50 passed")


def manifest(number: int) -> Manifest:
    """A package of made-up instances."""
    instances = tuple(
        Instance(
            instance_id=f"made-{n}", commit=f"{n:040x}", base_commit="b" * 40, task="Make it", planning_types=(),
            production_files=("a.py",), test_files=("t.py",), fail_to_pass=("t.py::test",),
        )
        for n in range(number)
    )  # fmt: skip
    return Manifest(
        name="made", source="made", license=None, organisation=None, domain=None, head="c" * 40, python="3.11",
        test_command=(), lines_of_code=1, instances=instances,
        funnel=MiningFunnel(total=number, dropped={}, needs_message=0, kept=number, mixed=0),
    )  # fmt: skip


if __name__ == "__main__":
    main()
