"""One validation in a ready environment against bare pytest: export, apply, sandbox, tests, verdict, store.

    uv run python benchmarks/validation.py PACKAGE... [--pairs 7] [--instances 2]

For each of the newest valid instances, the gold patch is judged and bare pytest is run on the commit's exported files,
in turns, with the same interpreter and import path. Printed: the median seconds of both, and their ratio (target: at
most 1.15, sentinels and the watcher included). Twins are a run of their own, of passing candidates only: its seconds
are printed beside, with those that recording the twins took, once for the instance.
Bare pytest runs outside the sandbox: use packages that you trust.
"""

import argparse
import os
import statistics
import subprocess
import tempfile
import time
from pathlib import Path

from harness.packages.gold_patch import read_gold_patch
from harness.packages.package import RepoPackage, read_package
from harness.validation.confirmation.confirm import confirm, twins_of
from harness.validation.judged_tree import JudgedRun, JudgedTree
from host.settings import load_settings
from models.files import Overlay
from models.manifest import Instance
from models.outcomes import judge
from runtime.trees import Runtime, checked_out, install, lay_over
from store.runs import open_raw_store, validation_key
from tasks.runtime import open_runtime


def gold_changes(package: RepoPackage, instance: Instance) -> Overlay:
    """The gold patch's production side as an overlay."""
    gold = read_gold_patch(package.git, instance.commit, instance.base_commit)
    diffs = [diff for change in gold.production for diff in change.diffs()]
    return {d.path: None if d.after is None else (d.after.text.encode(), d.after.executable) for d in diffs}


def ours(judged: JudgedTree, database: Path) -> tuple[float, JudgedRun]:
    """Seconds of one validation without its twins, its verdict stored, and the run."""
    package, instance = judged.package, judged.instance
    store = open_raw_store(database)
    keys = store.register_package(package.manifest)
    environment = package.identity_of(instance)
    started = time.perf_counter()
    key = validation_key(keys[instance.instance_id], str(started), environment, {})
    run = judged.run()
    verdict = judge(instance, run.report, key)
    store.store_validation(keys[instance.instance_id], verdict, run.report)
    seconds = time.perf_counter() - started
    assert verdict.kind.passed and not run.forged, verdict.detail
    return seconds, run


def bare(judged: JudgedTree) -> float:
    """Seconds of pytest on the commit's files, which are exported before the clock starts."""
    with checked_out(judged.package.git, judged.instance.commit, judged.runtime.scratch) as tree:
        installation = install(judged.runtime, tree, judged.provided, of_commit=True)
        setup = lay_over(judged.runtime, tree, judged.provided, installation)
        path = os.pathsep.join(setup.import_path(tree))
        variables = {**os.environ, "PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1"}
        argv = [str(setup.python), "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:randomly"]
        started = time.perf_counter()
        subprocess.run(argv, cwd=tree, env=variables, capture_output=True, check=False)
        return time.perf_counter() - started


def measure(runtime: Runtime, package: RepoPackage, instance: Instance, pairs: int, database: Path) -> str:
    """The figures of one instance, in a line."""
    identity = package.identity_of(instance) or ""
    with package.provisioned(runtime, instance) as held:
        changes = gold_changes(package, instance)
        judged = JudgedTree(runtime, package, instance, held, instance.base_commit, changes)
        turns = [(ours(judged, database), bare(judged)) for _ in range(pairs + 1)][1:]  # the first warms files up
        mine, theirs = statistics.median(o[0] for o, _ in turns), statistics.median(b for _, b in turns)
        started = time.perf_counter()
        twins = twins_of(judged, identity)
        recording = time.perf_counter() - started
        started = time.perf_counter()
        confirmation = confirm(judged, turns[-1][0][1], identity)
        confirming = time.perf_counter() - started
    own = (
        f"{confirmation.agreed} of {len(twins.kept)} twins agree in {confirming:.2f} s, ratio {confirming / theirs:.2f}"
    )
    return (
        f"validation {mine:.2f} s, bare pytest {theirs:.2f} s, ratio {mine / theirs:.2f}; {own}; "
        f"recorded in {recording:.2f} s"
    )


def main() -> None:
    """Print a line per instance."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("packages", nargs="+", type=Path)
    parser.add_argument("--pairs", type=int, default=7)
    parser.add_argument("--instances", type=int, default=2)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="cra-bench-") as name:
        runtime = open_runtime(load_settings())
        for directory in options.packages:
            package = read_package(directory)
            for instance in [i for i in package.manifest.instances if i.valid][: options.instances]:
                figures = measure(runtime, package, instance, options.pairs, Path(name) / "raw.sqlite")
                print(f"{instance.instance_id}: {figures}", flush=True)


if __name__ == "__main__":
    main()
