"""Does the gold planner reproduce commits byte for byte? All that touch Python files, in both edit formats.

    uv run python benchmarks/gold_roundtrip.py REPOSITORY... [--limit N] [--mixed]

Prints, for each repository: commits tried, reproduced, unsupported, and how whole-symbol edits were said.
"""

import argparse
import tempfile
import time
from collections import Counter
from pathlib import Path

from agent.loop import solve
from harness.packages.gold_patch import GoldFileChange, GoldPatch, UnsupportedChange, read_gold_patch
from harness.planners import GoldPlanner
from harness.runs.alignment import align
from harness.runs.workspace import TreeWorkspace
from models.edits import EditFormat, EditResult
from models.plans import MetaPlan, PartPlan
from models.protocols import Answer, Request, Stage, Task
from models.solution import Solution
from models.suite import SuiteReport
from repos.git import Git, clone
from repos.index.paths import kind_of


class Kinds:
    """A recorder that counts how edits were said."""

    def __init__(self) -> None:
        self.kinds: Counter[str] = Counter()

    def call(self, request: Request, answer: Answer) -> None: ...
    def plan(self, stage: Stage, plan: MetaPlan | PartPlan) -> None: ...
    def tests(self, purpose: str, report: SuiteReport) -> None: ...
    def decision(self, stage: Stage, subject: str, decision: str, reason: str) -> None: ...

    def edits(self, part_id: str, step_id: str, attempt: int, results: list[EditResult]) -> None:
        for result in results:
            if result.error:
                self.kinds["rejected"] += 1
            symbol = getattr(result.edit, "symbol", "")
            kind = symbol if symbol.startswith("<") else result.edit.kind
            self.kinds[kind if kind_of(result.edit.path) != "other" else f"{kind} (no code)"] += 1


def write_before(gold: GoldPatch, root: Path) -> None:
    """The files that the patch touches, as they are before it."""
    for change in (*gold.production, *gold.tests):
        if change.before is not None:
            file = root / (change.old_path or change.path)
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(change.before.text.encode())
            file.chmod(0o755 if change.before.executable else 0o644)


def wrong(gold: GoldPatch, root: Path) -> list[str]:
    """Paths that are not as the commit has them."""
    return [change.path for change in (*gold.production, *gold.tests) if not right(change, root)]


def right(change: GoldFileChange, root: Path) -> bool:
    """Whether a file is as the commit has it, mode included."""
    file = root / change.path
    if change.old_path is not None and (root / change.old_path).exists():
        return False
    if change.after is None:
        return not file.exists()
    if not file.exists() or file.read_bytes() != change.after.text.encode():
        return False
    return bool(file.stat().st_mode & 0o100) == change.after.executable


def attempt(gold: GoldPatch, edit_format: EditFormat, kinds: Kinds) -> tuple[Solution, list[str]]:
    """Solve a commit with its gold planner in a fresh folder."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        write_before(gold, root)
        task = Task(text="", repository="", base=gold.parent)
        solution = solve(task, GoldPlanner(gold, edit_format), TreeWorkspace(root), kinds)
        return solution, wrong(gold, root)


def check(git: Git, limit: int, mixed: bool) -> Counter[str]:
    """Counts over the newest `limit` commits that touch Python files (production and tests, if `mixed`)."""
    counts: Counter[str] = Counter()
    kinds = Kinds()
    for commit in git.text("log", "--no-merges", "--min-parents=1", "--format=%H", "--", "*.py").split():
        if counts["commits"] == limit:
            break
        try:
            gold = read_gold_patch(git, commit)
        except UnsupportedChange:
            counts["unsupported"] += 1
            continue
        if mixed and not (gold.tests and any(change.side == "production" for change in gold.production)):
            continue
        counts["commits"] += 1
        for edit_format in EditFormat:
            solution, paths = attempt(gold, edit_format, kinds)
            counts["steps"] += len(solution.step_results)
            counts["reproduced" if solution.complete and not paths else "FAILED"] += 1
            if paths or not solution.complete:
                print(f"  {commit[:12]} {edit_format.value}: {paths} {solution.model_dump_json()[-600:]}")
        plan = GoldPlanner(gold, EditFormat.WHOLE_SYMBOL).plan
        scores = align(plan.meta, [*plan.part_plans.values(), *plan.test_plans.values()], gold)
        nothing = align(MetaPlan(), (), gold)
        counts["aligned"] += (scores.files, scores.symbols, scores.order) == (1.0, 1.0, 1.0)
        counts["null aligned"] += (nothing.files, nothing.symbols, nothing.order) == (0.0, 0.0, 0.0)
    return counts + kinds.kinds


def main() -> None:
    """Parse the command line and print a line for each repository."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("repositories", nargs="+")
    parser.add_argument("--limit", type=int, default=-1)
    parser.add_argument("--mixed", action="store_true")
    options = parser.parse_args()
    for repository in options.repositories:
        with tempfile.TemporaryDirectory() as folder:
            started = time.perf_counter()
            counts = check(clone(repository, Path(folder) / "repo"), options.limit, options.mixed)
            seconds = time.perf_counter() - started
            print(f"{repository}: {dict(counts)} in {seconds:.1f} s")


if __name__ == "__main__":
    main()
