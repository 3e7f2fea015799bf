"""How much faster mining is than PyDriller's own traversal with the same filters; same commits must be kept.

    uv run python benchmarks/mining.py REPOSITORY_PATH...

(a) keep/drop funnel against `traverse_commits()` with `modified_files`; (b) mining with changed symbols against
PyDriller with sources and methods of every file. Ratios of wall times (the faster of two) on a fresh clone; what
both sides share (imports, the verb dictionary) is loaded before the clock starts. On a busy machine the ratio of
CPU times says more.
"""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from pydriller import Repository

from harness.mining import mine
from harness.mining.log import LogFileChange, LogRecord
from harness.mining.messages import fault
from harness.mining.rules import drop_reason
from models.mining import MiningRules
from repos.git import Git, clone

TARGETS = {"funnel": 15.0, "symbols": 5.0}
T = TypeVar("T")


def timed(work: Callable[[], T]) -> tuple[float, float, T]:
    """Wall seconds and CPU seconds (git included) of the faster of two runs, and the result."""
    runs = []
    for _ in range(2):
        started, before = time.perf_counter(), os.times()
        result = work()
        runs.append((time.perf_counter() - started, sum(os.times()[:4]) - sum(before[:4])))
    return *min(runs), result


def pydriller_keeps(checkout: Path, rules: MiningRules, *, with_methods: bool) -> set[str]:
    """Ids of the commits that PyDriller's traversal and our rules keep."""
    kept = set()
    for commit in Repository(str(checkout)).traverse_commits():
        files = commit.modified_files
        if with_methods:
            for file in files:
                _ = (file.source_code, file.source_code_before, file.methods_before, file.changed_methods)
        record = as_record(commit, [] if commit.merge else files)
        if drop_reason(record, rules) is None and fault(record.message, rules.min_words) is None:
            kept.add(commit.hash)
    return kept


def as_record(commit: Any, files: list[Any]) -> LogRecord:
    """PyDriller's commit in the form that the rules read. It does not tell links and submodules apart."""
    changes = tuple(
        LogFileChange(
            file.new_path or file.old_path,
            file.old_path,
            file.added_lines,
            file.deleted_lines,
            binary="Binary files" in file.diff and not file.added_lines,
        )
        for file in files
    )
    author = commit.author
    date = commit.author_date.isoformat()
    committed = int(commit.committer_date.timestamp())
    parents = tuple(commit.parents)
    return LogRecord(commit.hash, parents, author.name, author.email, date, committed, commit.msg, changes)


def compare(source: str, directory: Path) -> bool:
    """Print the ratios for one repository; whether both targets were met and the same commits kept."""
    git = clone(source, directory / "bare.git")
    checkout = directory / "checkout"
    subprocess.run(["git", "clone", "--quiet", str(git.directory), str(checkout)], check=True)
    rules = MiningRules()
    good = True
    for what, symbols in (("funnel", False), ("symbols", True)):
        ours, our_cpu, mined = timed(partial(mine, Git(git.directory), rules, with_symbols=symbols))
        theirs, their_cpu, expected = timed(partial(pydriller_keeps, checkout, rules, with_methods=symbols))
        kept = {commit.sha for commit in mined.commits}
        ratio = theirs / ours
        verdict = "ok" if ratio >= TARGETS[what] and kept == expected else "MISSED"
        good &= verdict == "ok"
        print(
            f"{what:8} {mined.funnel.total:6} commits  {ours:6.2f} s  PyDriller {theirs:7.2f} s {ratio:6.1f}x "
            f"(CPU {their_cpu / our_cpu:.1f}x, target {TARGETS[what]:.0f}x)  "
            f"kept {len(kept)}, differences {len(kept ^ expected)}  {verdict}",
            flush=True,
        )
        for sha in sorted(kept ^ expected):
            side = "here" if sha in kept else "PyDriller"
            print(f"         only {side}: {git.text('log', '-1', '--format=%h %s', sha)}")
    return good


def main(sources: list[str]) -> int:
    """Exit status: 0 if every repository met the targets."""
    if not sources:
        print(__doc__)
        return 2
    fault("Blorbify the dictionary of verbs", 3)
    good = True
    for source in sources:
        print(source)
        with tempfile.TemporaryDirectory() as directory:
            good &= compare(source, Path(directory))
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
