"""What commands cost before they do anything: CPU seconds of imports, of commands, and of the engine.

    cra demo --dir D
    uv run python benchmarks/startup.py D/corpus/spans demo [--against CHECKOUT] [--tries 5]

Each is run in a process of its own, once to write what Python compiles and then several times; the best is shown, in
user CPU seconds with those of its children. `--against` runs those of another checkout in turns with them.
"""

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

_CRA = "import sys; sys.argv[0] = 'cra'\nfrom cli.main import main\nmain()"
_ENGINE = """
from cli.main import app
from typer.testing import CliRunner
CliRunner().invoke(app, ["config", "show"])
from cli.flow_context import flow_context
with flow_context():
    from prefect import flow
    flow(name="nothing")(lambda: None)()
"""


def figures(package: Path, campaign: str) -> dict[str, list[str]]:
    """What is measured: a name, and the arguments of Python."""
    planners = ["--planner", "gold", "--planner", "null"]
    return {
        "import prefect.main": ["-c", "import prefect.main"],
        "import flows.campaign": ["-c", "import flows.campaign"],
        "cra --help": ["-c", _CRA, "--help"],
        "cra plan --help": ["-c", _CRA, "plan", "--help"],
        "cra report": ["-c", _CRA, "report", campaign],
        "cra trace": ["-c", _CRA, "trace", _example(campaign)],
        "cra campaign, nothing left": ["-c", _CRA, "campaign", str(package), *planners, "--name", campaign],
        "a flow that does nothing": ["-c", _ENGINE],
    }


def _example(campaign: str) -> str:
    from host.settings import load_settings
    from store.runs import open_raw_store

    return open_raw_store(load_settings().raw_url).report(campaign).example


def measured(arguments: list[str], checkout: Path, compiled: Path) -> tuple[float, float]:
    """User CPU seconds of a process and its children, and its wall seconds. Raises CalledProcessError."""
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    environment = {**kept, "PYTHONPATH": str(checkout), "PYTHONPYCACHEPREFIX": str(compiled)}
    before, started = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime, time.monotonic()
    subprocess.run([sys.executable, *arguments], cwd=compiled, env=environment, capture_output=True, check=True)
    return resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime - before, time.monotonic() - started


def main() -> None:
    """Print a row for each figure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("package", type=Path)
    parser.add_argument("campaign")
    parser.add_argument("--against", type=Path)
    parser.add_argument("--tries", type=int, default=5)
    given = parser.parse_args()
    checkouts = [Path(__file__).parents[1], *([given.against.resolve()] if given.against else [])]
    print("| what | user CPU, wall |" + (" the other checkout | ratio |" if given.against else ""))
    print("|---|---|" + ("---|---|" if given.against else ""))
    with tempfile.TemporaryDirectory() as compiled:
        for name, arguments in figures(given.package.resolve(), given.campaign).items():
            runs: dict[Path, list[tuple[float, float]]] = {checkout: [] for checkout in checkouts}
            for _ in range(given.tries + 1):
                for checkout, taken in runs.items():
                    taken.append(measured(arguments, checkout, Path(compiled)))
            best = [tuple(map(min, zip(*taken[1:], strict=True))) for taken in runs.values()]
            cells = [f"{cpu:.2f} s, {wall:.1f} s" for cpu, wall in best]
            ratio = [f"{best[0][0] / best[1][0]:.2f}"] if given.against else []
            print(f"| {name} | {' | '.join([*cells, *ratio])} |", flush=True)


if __name__ == "__main__":
    main()
