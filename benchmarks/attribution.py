"""Does attribution find the stage that a fault was planted in?

    uv run python benchmarks/attribution.py PACKAGE... [--each N] [--limit N] [--database FILE] [--no-retrieval]

Plants faults in the context, the plan or the edits of attempts at the valid instances of repo packages (`cra prepare`
makes them), N of each stage for every instance. Only faults that make the attempt fail count. Prints each that was
attributed otherwise, the confusion matrix, the share that is undetermined, and how many of those decided are right.
With a database, verdicts are kept there, and the same command goes on where it was.
"""

import argparse
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from evals.planted import PlantedResult, confusion, run_suite
from harness.packages.package import read_package
from harness.planners import GoldPlanner
from harness.runs.attempt import InstanceContext
from harness.runs.verdicts import Judge, stored_judge
from models.attribution import Label
from models.context import ContextPackage
from models.edits import EditFormat
from models.settings import Settings
from store.runs import RawStore, open_raw_store
from tasks.runtime import open_runtime


class Deaf:
    """A recorder that keeps nothing."""

    def __getattr__(self, name: str) -> object:
        return lambda *args: None


def benches(
    packages: list[Path], limit: int, store: RawStore, retrieval: bool
) -> Iterator[tuple[InstanceContext, Judge, ContextPackage | None]]:
    """The newest valid instances of each package, with judges that keep verdicts, and what retrieval finds for each."""
    runtime = open_runtime(Settings())
    for directory in packages:
        package = read_package(directory)
        keys = store.register_package(package.manifest)
        valid = [instance for instance in package.manifest.instances if instance.valid]
        for instance in valid[:limit]:
            instance_context = InstanceContext(runtime, package, instance)
            judge = stored_judge(store, instance_context, keys[instance.instance_id])
            yield instance_context, judge, context(instance_context) if retrieval else None


def context(instance_context: InstanceContext) -> ContextPackage:
    """What retrieval finds with gold as its judge."""
    from agent.retrieve.retrieval import retrieve
    from repos.index import build_index
    from repos.sources import GitSource

    index = build_index(GitSource(instance_context.package.git, instance_context.instance.base_commit))
    gold = GoldPlanner(instance_context.gold(), EditFormat.SEARCH_REPLACE)
    return retrieve(instance_context.task(), gold, index, Deaf())  # type: ignore[arg-type]


def said(result: PlantedResult) -> str:
    """One line about a result."""
    fault = result.case.fault
    mark = "ok   " if result.right else "WRONG" if result.found.label is not Label.UNDETERMINED else "open "
    head = f"{mark} {result.instance[-20:]:20} {result.kind.label.value:10} -> {result.found.label.value:12}"
    return f"{head} {result.case.outcome.value:14} {result.kind.name.lower():15} {fault.where}: {result.found.reason}"


def show(results: list[PlantedResult]) -> None:
    """The confusion matrix and the figures."""
    counts = confusion(results)
    planted = [label for label in Label if label is not Label.UNDETERMINED]
    print(f"\n{'planted':12}" + "".join(f"{label.value:>14}" for label in Label))
    for label in planted:
        print(f"{label.value:12}" + "".join(f"{counts[label, found]:14}" for found in Label))
    decided = [result for result in results if result.found.label is not Label.UNDETERMINED]
    right = sum(result.right for result in decided)
    print(f"\nfaults that make an attempt fail: {len(results)}, on {len({r.instance for r in results})} instances")
    print(f"undetermined: {len(results) - len(decided)} ({1 - len(decided) / max(1, len(results)):.1%})")
    print(f"decided: {len(decided)}, right: {right} ({right / max(1, len(decided)):.1%})")
    runs = sum(len(result.found.evidence.experiments) for result in results)
    print(f"experiments per attribution: {runs / max(1, len(results)):.2f}")
    for kind, number in sorted(Counter(result.kind.name.lower() for result in results).items()):
        good = sum(result.right for result in results if result.kind.name.lower() == kind)
        print(f"  {kind:16} {good:4} of {number}")


def main() -> None:
    """Parse the arguments, run the suite, print the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("packages", nargs="+", type=Path)
    parser.add_argument("--each", type=int, default=1, help="faults of each stage for every instance")
    parser.add_argument("--limit", type=int, default=1000, help="instances of each package")
    parser.add_argument("--database", type=Path, help="where verdicts are kept")
    parser.add_argument("--no-retrieval", action="store_true", help="contexts hold the files to be changed alone")
    chosen = parser.parse_args()
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        store = open_raw_store(chosen.database or Path(folder) / "raw.db")
        every = benches(chosen.packages, chosen.limit, store, not chosen.no_retrieval)
        results = []
        for result in run_suite(every, chosen.each):
            print(said(result), flush=True)
            results.append(result)
    show(results)
    print(f"seconds: {time.monotonic() - started:.0f}")


if __name__ == "__main__":
    main()
