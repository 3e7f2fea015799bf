"""One validation in a ready environment against bare pytest: export, apply, sandbox, tests, verdict, store.

    uv run python benchmarks/validation.py PACKAGE... [--pairs 7] [--instances 2]

For each of the newest valid instances, the gold patch is judged and bare pytest is run on the commit's exported files,
in turns, with the same interpreter and import path. Printed: the median seconds of both, and their ratio (target: at
most 1.10).
Bare pytest runs outside the sandbox: use packages that you trust.
"""

import argparse
import os
import statistics
import subprocess
import tempfile
import time
from pathlib import Path

from harness.candidates import judge_candidate
from harness.goldpatch import read_gold_patch
from harness.packages import RepoPackage, read_package
from harness.state import Overlay, Runtime, checked_out, provisioned, suite_setup
from harness.store import open_raw_store, validation_key
from models.manifest import Instance
from models.settings import load_settings
from tasks.runtime import open_runtime


def gold_changes(package: RepoPackage, instance: Instance) -> Overlay:
    """The gold patch's production side as an overlay."""
    gold = read_gold_patch(package.git, instance.commit, instance.base_commit)
    diffs = [diff for change in gold.production for diff in change.diffs()]
    return {d.path: None if d.after is None else (d.after.text.encode(), d.after.executable) for d in diffs}


def ours(runtime: Runtime, package: RepoPackage, instance: Instance, changes: Overlay, database: Path) -> float:
    """Seconds of one validation, its verdict stored."""
    store = open_raw_store(database)
    keys = store.register_package(package.manifest)
    started = time.perf_counter()
    key = validation_key(keys[instance.instance_id], str(started), instance.environment, {})
    verdict, report = judge_candidate(runtime, package, instance, changes, key)
    store.store_validation(keys[instance.instance_id], verdict, report)
    seconds = time.perf_counter() - started
    assert verdict.kind.passed, verdict.detail
    return seconds


def bare(runtime: Runtime, package: RepoPackage, instance: Instance) -> float:
    """Seconds of pytest on the commit's files, which are exported before the clock starts."""
    assert instance.environment is not None
    environment = package.manifest.environment(instance.environment)
    with (
        provisioned(runtime, environment, package.wheels, instance.version) as held,
        checked_out(package.git, instance.commit, runtime.scratch) as tree,
        suite_setup(runtime, tree, held) as setup,
    ):
        path = os.pathsep.join(setup.import_path(tree))
        variables = {**os.environ, "PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1"}
        argv = [str(setup.python), "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:randomly"]
        started = time.perf_counter()
        subprocess.run(argv, cwd=tree, env=variables, capture_output=True, check=False)
        return time.perf_counter() - started


def main() -> None:
    """Print a line per instance."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("packages", nargs="+", type=Path)
    parser.add_argument("--pairs", type=int, default=7)
    parser.add_argument("--instances", type=int, default=2)
    options = parser.parse_args()
    runtime = open_runtime(load_settings())
    with tempfile.TemporaryDirectory(prefix="cra-bench-") as name:
        for directory in options.packages:
            package = read_package(directory)
            for instance in [i for i in package.manifest.instances if i.valid][: options.instances]:
                changes = gold_changes(package, instance)
                pairs = [
                    (
                        ours(runtime, package, instance, changes, Path(name) / "raw.sqlite"),
                        bare(runtime, package, instance),
                    )
                    for _ in range(options.pairs + 1)
                ][1:]  # the first pair warms files up
                mine, theirs = (statistics.median(column) for column in zip(*pairs, strict=True))
                figures = f"validation {mine:.2f} s, bare pytest {theirs:.2f} s, ratio {mine / theirs:.2f}"
                print(f"{instance.instance_id}: {figures}", flush=True)


if __name__ == "__main__":
    main()
