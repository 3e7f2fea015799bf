"""The simulated operation, killed at random moments and started again, beside one that nothing disturbs.

    python -m tests.support.operation_kills FOLDER BASE [TURNS KILLS SEED]

prints JSON: what the undisturbed one came to, what each disturbed one came to, and how many kills there were. A child
is forked from a process that has imported everything, and gets SIGKILL at a random moment; another goes on, until all
kills are dealt and the last operation has come to its end.
"""

import json
import os
import random
import signal
import sys
import time
from pathlib import Path
from typing import Any

from host.packed import open_either
from models.training import TrainingTarget
from tests.support.operation_material import Simulation, run_script
from training.adapters.registry import AdapterVersion
from training.cycle.past_rounds import read_rounds
from training.data.datasets import dataset_dir
from training.operation.lineage import check_lineage
from training.operation.log import EventKind

LIMITS = {"operation": {"disk_budget_gib": 0.012, "least_free_gib": 0.0}}
_BESIDE = (EventKind.DELETED, EventKind.CLOCK, EventKind.STANDING)


def outcome(simulation: Simulation) -> dict[str, Any]:
    """All that an operation came to, free of times, sizes and deletions.

    Datasets are compared row by row without the number of the attempt that answered: a trajectory that was interrupted
    has a second one, which its provenance names, so that hashes over it differ.
    """
    context = simulation.context(**LIMITS)
    events = [event for event in simulation.log.events() if event.kind not in _BESIDE]
    active = context.registry.active(TrainingTarget.SCOPE)
    versions = context.registry.list()
    names = {None: "", **{version.id: version.name for version in versions}}
    return {
        "rounds": [
            [each.number, each.finished, [line.model_dump(mode="json") for line in each.lines]]
            for each in read_rounds(context.raw_engine)
        ],
        "stages": [[event.turn, event.kind.value] for event in events],
        "standings": [event.result for event in events if event.kind is EventKind.END],
        "adapters": [[each.name, rows_of(simulation, each)] for each in versions],
        "decisions": [[each.action, names[each.adapter], names[each.serving]] for each in context.registry.log()],
        "serves": active.name if active else "",
        "lineage": check_lineage(context),
    }


def rows_of(simulation: Simulation, version: AdapterVersion) -> list[dict[str, Any]]:
    """What an adapter was trained on, without the numbers of attempts."""
    place = dataset_dir(simulation.data, version.target, version.dataset_id)
    with open_either(place / "sft.jsonl") as lines:
        rows = [json.loads(line) for line in lines]
    for row in rows:
        del row["provenance"]["attempt"]
    return sorted(rows, key=lambda row: str(row["id"]))


def run_to_end(simulation: Simulation, turns: int) -> None:
    """Run until so many turns have ended."""
    for _ in run_script(simulation, turns, **LIMITS):
        pass


def killed(simulation: Simulation, turns: int, seconds: float) -> bool:
    """Run in a child that is killed after `seconds`; whether it was, and had not come to its end."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            run_to_end(simulation, turns)
            code = 0
        finally:
            os._exit(code)  # whatever happens, the child never goes on as its parent would
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            if status:
                sys.exit(f"a child failed with status {status}")
            return False
        time.sleep(0.005)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return True


def main() -> None:
    """Print what the operations came to."""
    root, base, *numbers = sys.argv[1:]
    turns, kills, seed = map(int, numbers or ("4", "10", "0"))
    chance = random.Random(seed)
    calm = Simulation(Path(root) / "calm")
    calm.prepare(Path(base))
    before = time.monotonic()
    run_to_end(calm, turns)
    length = time.monotonic() - before
    dealt, disturbed = 0, list[dict[str, Any]]()
    while dealt < kills:
        simulation = Simulation(Path(root) / f"disturbed-{len(disturbed)}")
        simulation.prepare(Path(base))
        while dealt < kills and killed(simulation, turns, chance.uniform(0.01, 0.3) * length):
            dealt += 1
        run_to_end(simulation, turns)
        disturbed.append(outcome(simulation))
    print(json.dumps({"calm": outcome(calm), "disturbed": disturbed, "kills": dealt}))


if __name__ == "__main__":
    main()
