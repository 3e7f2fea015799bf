"""An environment from cached wheels: ours against `python -m venv` and `pip install --no-index`, same lock.

    uv run python benchmarks/environments.py REPOSITORY...

Each REPOSITORY is a path of a git repository. `cold` is the first environment with these wheels, when uv's cache
and the bytecode are made; `warm` every later one, which is what a campaign sees, until it can be used
(eviction comes after). pip compiles bytecode, as it does by default.
"""

import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from datetime import datetime, timedelta
from pathlib import Path

from repos.git import clone
from runtime.environments import (
    EnvironmentStore,
    choose_interpreter,
    discover_commit,
    fetch_wheels,
    installed_interpreters,
    lock,
)

REPEATS = 3


def main(repository: str) -> None:
    """Print both times (seconds, median of three) and their ratio."""
    with tempfile.TemporaryDirectory() as folder:
        scratch = Path(folder)
        git = clone(repository, scratch / "repo")
        project = discover_commit(git, git.resolve("HEAD"))
        made = datetime.fromisoformat(git.text("log", "-1", "--format=%cI", "HEAD"))
        interpreter = choose_interpreter(project.requires_python, made, installed_interpreters())
        environment = lock(project, interpreter, (made + timedelta(days=1)).date())
        packages = scratch / "packages"
        wheels = fetch_wheels(environment, interpreter, packages)
        store = EnvironmentStore(scratch / "store", 1 << 40)
        requirements = scratch / "requirements.txt"
        requirements.write_text(environment.lock)

        known: list[str] = []

        def ours() -> float:
            start = time.perf_counter()
            with store.acquire(environment, packages) as built:
                known.append(built.key)
                return time.perf_counter() - start

        def pips() -> float:
            venv = scratch / "venv"
            shutil.rmtree(venv, ignore_errors=True)
            start = time.perf_counter()
            subprocess.run([interpreter.executable, "-m", "venv", venv], check=True)
            pip = [venv / "bin" / "pip", "install", "--quiet", "--no-index", "--find-links", packages]
            subprocess.run([*pip, "--require-hashes", "--no-deps", "-r", requirements], check=True)
            return time.perf_counter() - start

        cold = ours()
        warm, pip_times = [], []
        for _ in range(REPEATS):  # interleaved, so that a busy machine slows both
            store.remove(known[-1])
            warm.append(ours())
            pip_times.append(pips())
        reuse = ours()
    ratio = statistics.median(pip_times) / statistics.median(warm)
    print(f"{project.name}: {len(wheels)} wheels, Python {interpreter.full}")
    print(f"ours, cold {cold:.2f} s, warm {statistics.median(warm):.3f} s, reused {reuse * 1000:.1f} ms")
    print(f"venv + pip {statistics.median(pip_times):.2f} s: {ratio:.1f}x (target 30x)")


if __name__ == "__main__":
    for each in sys.argv[1:]:
        main(each)
