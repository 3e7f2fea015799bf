"""How much of a full index the index of the next commit costs.

    uv run python benchmarks/indexing.py [--commits N] [--fresh] REPOSITORY_PATH...

Indexes the last N (100) first-parent commits of each repository in their order, the first with an empty cache. Printed
are the first, the others as shares of it, and the whole run as a multiple of it, cumulatively for three things: records
(files parsed), history (ancestor commits), graph (imports resolved). Targets: the mean of the others is at most 3% of
the first, the whole run of 100 at most 3 times the first. Both wall and CPU time are given; git's own CPU time is in
neither. `--fresh` opens the cache anew for each commit, as a new process would. Last, the index of the last commit must
tell the same whether it was cached or not.
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import mean, median

from cli.index import described
from repos.git import Git, clone
from repos.index import IndexCache, RepositoryIndex, build_index
from repos.sources import GitSource

PARTS = ("records", "+ history", "+ graph")
SHARE, MULTIPLE = 0.03, 3.0


def steps(git: Git, revision: str, cache: IndexCache, clock: Callable[[], float]) -> list[float]:
    """Seconds from the start of indexing a revision to the end of each part."""
    started = clock()
    index = build_index(GitSource(git, revision), cache)
    built = clock()
    _ = index.commits
    told = clock()
    index.importers("")
    return [built - started, told - started, clock() - started]


def report(clock: str, runs: list[list[float]]) -> bool:
    """Print one clock's figures; whether the targets were met by all parts together."""
    good = False
    for number, part in enumerate(PARTS):
        first, *others = [run[number] for run in runs]
        shares = sorted(other / first for other in others)
        multiple = 1 + sum(shares)
        good = mean(shares) <= SHARE and multiple <= MULTIPLE
        print(
            f"  {clock:4} {part:10} first {first * 1000:7.1f} ms   next: mean {mean(shares):6.2%}, median "
            f"{median(shares):6.2%}, 90th {shares[int(len(shares) * 0.9)]:6.2%}, worst {shares[-1]:6.2%}   "
            f"all {len(runs)}: {multiple:5.2f}x",
            flush=True,
        )
    return good


def measure(source: str, commits: int, fresh: bool) -> bool:
    """Index the commits of one repository; whether the targets were met and the cache changed nothing."""
    with tempfile.TemporaryDirectory() as directory:
        git = clone(source, Path(directory) / "repo")
        revisions = git.text("rev-list", "--first-parent", f"--max-count={commits}", "HEAD").split()[::-1]
        build_index(GitSource(git, revisions[0]))  # grammars and git's own caches
        good = True
        for clock, now in (("wall", time.perf_counter), ("CPU", time.process_time)):
            place = Path(directory) / clock
            cache = IndexCache(place)
            runs = []
            for revision in revisions:
                cache = IndexCache(place) if fresh else cache
                runs.append(steps(git, revision, cache, now))
            good &= report(clock, runs)
        same = same_told(git, revisions[-1], cache)
        size = (place / "index.db").stat().st_size
        print(f"  cache {size / 1e6:.1f} MB; cached and uncached tell {'the same' if same else 'DIFFERENT THINGS'}")
    return good and same


def same_told(git: Git, revision: str, cache: IndexCache) -> bool:
    """Whether a revision's index tells the same with and without the cache."""
    indexes: list[RepositoryIndex] = [build_index(GitSource(git, revision), kept) for kept in (cache, None)]
    one, other = (described(index) for index in indexes)
    return one == other


def main() -> int:
    """Exit status: 0 if every repository met the targets."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("repositories", nargs="+", metavar="REPOSITORY_PATH")
    parser.add_argument("--commits", type=int, default=100)
    parser.add_argument("--fresh", action="store_true", help="open the cache anew for each commit")
    options = parser.parse_args()
    good = True
    for source in options.repositories:
        print(source)
        good &= measure(source, options.commits, options.fresh)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
