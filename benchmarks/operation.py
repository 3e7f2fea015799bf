"""A simulation of unattended operation: what each turn came to, what stopped it, disk, databases and memory.

    uv run python -m benchmarks.operation [--turns 30] [--collapse 22] [--root FOLDER] [--budget-mib 24]

The student is a script (`tests/support/operation_material.py` says what is real and what is simulated): it improves,
comes to a plateau, and from version `--collapse` on loses its diversity. A repository arrives every second turn, and
whenever the operation waits or is done; after a stop a person continues it. With --root, a run that was killed goes on.
"""

import argparse
import json
import resource
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from models.training import TrainingTarget
from tests.support.operation_material import Script, Simulation, run_script
from training.operation.lineage import check_lineage
from training.operation.log import EventKind
from training.operation.orders import OperateReport

_MIB = 2**20
_COLUMNS = (
    "turn  round  verdict       adapter    led to    rule                used   freed   raw  curated  peak RSS  seconds"
)


def row(simulation: Simulation, report: OperateReport, seconds: float) -> str:
    """A line of the table; sizes in MiB."""
    turn = report.turns[-1] if report.turns else 0
    events = {event.kind: event.result for event in simulation.log.events() if event.turn == turn}
    line = report.lines[-1] if report.lines else None
    kept: dict[str, Any] = events.get(EventKind.UPKEEP, {"databases": {}, "disk": {"used": 0}})
    sizes = [kept["databases"].get(name, {}).get("bytes", 0) / _MIB for name in ("raw", "curated")]
    disk = kept["disk"]["used"] / _MIB
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    freed = events.get(EventKind.RETENTION, {}).get("freed", 0) / _MIB
    return (
        f"{turn:4}  {line.round if line else '-':>5}  {line.verdict if line else '-':12}  "
        f"{line.adapter if line else '-':9}  {report.standing.state.value:8}  {report.standing.rule:18}  "
        f"{disk:5.1f}  {freed:6.1f}  {sizes[0]:4.1f}  {sizes[1]:7.1f}  {peak:8.0f}  {seconds:7.1f}"
    )


def main() -> None:
    """Run the simulation and print its table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--turns", type=int, default=30)
    parser.add_argument("--collapse", type=int, default=22)
    parser.add_argument("--root", type=Path)
    parser.add_argument("--base", type=Path, help="a tiny base that was made before")
    parser.add_argument("--budget-mib", type=float)
    options = parser.parse_args()
    with ExitStack() as stack:
        root = options.root or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="cra-operation-")))
        simulation = Simulation(root, Script(collapse=options.collapse))
        simulation.prepare(options.base or _base(root))
        given = {} if options.budget_mib is None else {"disk_budget_gib": options.budget_mib / 1024}
        print(_COLUMNS, flush=True)
        before = time.monotonic()
        for report in run_script(simulation, options.turns, operation={"least_free_gib": 0.0, **given}):
            print(row(simulation, report, time.monotonic() - before), flush=True)
            before = time.monotonic()
        context = simulation.context()
        active = context.registry.active(TrainingTarget.SCOPE)
        print(
            json.dumps(
                {
                    "serves": active.name if active else "the base",
                    "adapters": len(context.registry.list()),
                    "lineage": check_lineage(context) or "intact",
                }
            )
        )


def _base(root: Path) -> Path:
    from tests.support.tiny import make_tiny_base

    return make_tiny_base(root / "tiny")


if __name__ == "__main__":
    main()
