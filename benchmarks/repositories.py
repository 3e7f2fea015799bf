"""How many of real repositories' commits become instances, why the others do not, and what that costs.

    uv run python benchmarks/repositories.py CLONE... --out FOLDER [--commits 6] [--minutes 30] [--again]
        [--no-campaign] [--json FILE]

For each clone, `cra prepare` of its newest mixed commits and `cra campaign --planner gold --planner null` over the
package, as a user would run them. Packages lie in FOLDER/corpus, what each command printed in FOLDER/logs, the row of
each repository in FOLDER/rows. A repository with a row is not run again unless `--again` says so: then what the caches
(CRA_CACHE_DIR, CRA_DATA_DIR) hold is not decided again either, and seconds are kept from the first time. With
`--no-campaign`, only packages are made. Printed: a Markdown table, the reasons by layer, and how many tests of valid
instances are excluded.

`built`, `F2P`, `stable` and `twins` are the funnel that `cra prepare` prints: commits in whose environment the suite
runs, those with tests that fail before and pass after, those of them that do not waver, and those with twins. `s` are
wall seconds of the first `cra prepare` by commit tried, `MB` the megabytes of the package's wheels by valid instance.
"""

import argparse
import json
import os
import re
import subprocess
import sys
import time
import tomllib
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from harness.packages.package import RepoPackage, read_package
from repos.git import Git
from repos.index.paths import is_test_path

UNKNOWN = "unknown"
_COLUMNS = (
    "repository", "back end", "tests", "commits", "kept", "tried", "environments", "built", "F2P", "stable", "valid",
    "twins", "gold", "null", "s", "MB", "reasons",
)  # fmt: skip


@dataclass
class Row:
    """The figures of one repository; `seconds` are those of the first preparation, all commits together."""

    repository: str
    fault: str = ""
    back_end: str = ""
    tests: str = ""
    commits: int = 0
    kept: int = 0
    tried: int = 0
    environments: int = 0
    built: int = 0
    distinguished: int = 0
    stable: int = 0
    valid: int = 0
    twins: int = 0
    gold: int = 0
    null: int = 0
    seconds: float = 0.0
    campaign_seconds: float = 0.0
    wheel_bytes: int = 0
    sampled: int = 0
    listed: int = 0
    excluded: dict[str, int] = field(default_factory=dict)
    reasons: dict[str, int] = field(default_factory=dict)
    layers: dict[str, int] = field(default_factory=dict)

    def cells(self) -> tuple[str, ...]:
        """The cells of the table."""
        reasons = ", ".join(f"{name} {count}" for name, count in sorted(self.reasons.items()))
        if self.fault:
            return (self.repository, *[""] * (len(_COLUMNS) - 2), self.fault.replace("|", "/"))
        return (
            self.repository, self.back_end, self.tests, str(self.commits), str(self.kept), str(self.tried),
            str(self.environments), str(self.built), str(self.distinguished), str(self.stable), str(self.valid),
            f"{self.twins} of {self.valid}", f"{self.gold} of {self.valid}", f"{self.null} of {self.valid}",
            f"{self.seconds / max(self.tried, 1):.0f}", f"{self.wheel_bytes / 1e6 / max(self.valid, 1):.1f}", reasons,
        )  # fmt: skip


def command(log: Path, seconds: float, *arguments: str) -> tuple[dict[str, Any] | None, str, float]:
    """The JSON that a `cra` command printed, or None and the last line of what it said; its wall seconds."""
    argv = [str(Path(sys.executable).with_name("cra")), *arguments, "--json"]
    started = time.perf_counter()
    with log.open("w") as said:
        try:
            finished = subprocess.run(argv, stdout=subprocess.PIPE, stderr=said, timeout=seconds, check=False)
        except subprocess.TimeoutExpired:
            return None, f"not done in {seconds / 60:.0f} minutes", time.perf_counter() - started
    wall = time.perf_counter() - started
    log.with_suffix(".json").write_bytes(finished.stdout)
    lines = [line for line in log.read_text().splitlines() if line.strip()]
    try:
        printed = json.loads(finished.stdout)
    except json.JSONDecodeError:
        return None, lines[-1] if lines else f"exit code {finished.returncode}", wall
    return printed, "", wall


def measure(clone: Path, out: Path, commits: int, minutes: float, earlier: Row | None, *, campaign: bool) -> Row:
    """The row of a repository, both commands run, or only the first without `campaign`."""
    name = clone.name.removesuffix(".git")
    row = Row(name)
    corpus, logs = out / "corpus", out / "logs"
    limit = minutes * 60
    what = ["prepare", str(clone), "--out", str(corpus), "--max-commits", str(commits)]
    prepared, row.fault, seconds = command(logs / f"{name}-prepare.log", limit, *what)
    if not prepared or not prepared["packages"]:
        row.fault = row.fault or "; ".join((prepared or {}).get("failed", {}).values())
        return row
    summary = prepared["packages"][0]
    package = read_package(corpus / summary["name"])
    describe(row, package, summary)
    fewer = earlier is not None and earlier.tried < row.tried  # then the others were decided now
    row.seconds = (earlier.seconds if earlier else 0) + (seconds if fewer or earlier is None else 0)
    if row.valid and campaign:
        what = ["campaign", str(package.directory), "--planner", "gold", "--planner", "null", "--yes"]
        judged, row.fault, seconds = command(logs / f"{name}-campaign.log", limit, *what)
        row.campaign_seconds = earlier.campaign_seconds if earlier and earlier.campaign_seconds else seconds
        if judged:
            row.gold, row.null = (judged["planners"].get(planner, {}).get("passed", 0) for planner in ("gold", "null"))
    return row


def describe(row: Row, package: RepoPackage, summary: dict[str, Any]) -> None:
    """Fill in what the package and the printed summary say."""
    manifest, funnel = package.manifest, summary["funnel"]
    row.back_end, row.tests = back_end(package.git, manifest.head), test_style(package.git, manifest.head)
    row.commits, row.kept, row.tried = manifest.funnel.total, funnel["kept"], funnel["tried"]
    row.environments, row.built = len(manifest.environments), funnel["environment"]
    row.distinguished, row.stable, row.valid = funnel["fail_to_pass"], funnel["stable"], summary["valid"]
    row.twins, row.sampled = funnel["twins"], funnel["sampled"]
    row.wheel_bytes = sum((package.wheels / wheel).stat().st_size for wheel in manifest.wheels)
    valid = [instance for instance in manifest.instances if instance.valid]
    row.listed = sum(len(i.excluded) + len(i.fail_to_pass) + len(i.pass_to_pass) for i in valid)
    row.reasons, row.layers, row.excluded = summary["invalid"], summary["layers"], summary["excluded"]


def back_end(git: Git, commit: str) -> str:
    """The module that builds the repository, without attributes; `setup.py` where only that is there."""
    paths = {entry.path for entry in git.tree(commit)}
    if "pyproject.toml" in paths:
        try:
            system = tomllib.loads(git.text("show", f"{commit}:pyproject.toml")).get("build-system", {})
        except tomllib.TOMLDecodeError:
            system = {}
        if named := system.get("build-backend"):
            return str(named).partition(":")[0].split(".")[0]
    return "setup.py" if "setup.py" in paths else "setuptools" if "setup.cfg" in paths else UNKNOWN


def test_style(git: Git, commit: str) -> str:
    """What most test files hold: functions, classes of unittest, or both; and whether they use hypothesis."""
    entries = {e.path: e.blob for e in git.tree(commit) if is_test_path(e.path) and e.path.endswith(".py")}
    texts = [blob.decode(errors="replace") for blob in git.blobs(sorted(set(entries.values()))).values()]
    classes = sum(bool(re.search(r"^class \w+\(.*TestCase\):", text, re.M)) for text in texts)
    plain = sum(bool(re.search(r"^(    )?def test_\w+\(", text, re.M)) for text in texts) - classes
    style = "unittest" if classes > max(plain, 0) * 4 else "pytest" if plain > classes * 4 else "both"
    return style + (" + hypothesis" if any("hypothesis" in text for text in texts) else "")


def markdown(rows: Iterable[Row]) -> str:
    """The table, a row of sums, and the reasons by layer."""
    rows = list(rows)
    lines = [_COLUMNS, ("---",) * len(_COLUMNS), *(row.cells() for row in rows)]
    whole = Row("all", tests="")
    for name in ("commits", "kept", "tried", "environments", "built", "distinguished", "stable", "valid", "twins",
                 "gold", "null", "seconds", "wheel_bytes", "sampled", "listed"):  # fmt: skip
        setattr(whole, name, sum(getattr(row, name) for row in rows))
    whole.reasons = added(row.reasons for row in rows)
    layers, excluded = added(row.layers for row in rows), added(row.excluded for row in rows)
    lines.append(whole.cells())
    table = "\n".join(f"| {' | '.join(cells)} |" for cells in lines)
    return (
        f"{table}\n\nRejected by layer: {counts(layers)}. Of {whole.listed} tests of valid instances, "
        f"{sum(excluded.values())} are excluded: {counts(excluded)}. A part of the suite was run for {whole.sampled}."
    )


def added(every: Iterable[dict[str, int]]) -> dict[str, int]:
    """Counts by name, added up."""
    return dict(sum((Counter(each) for each in every), Counter[str]()))


def counts(by_name: dict[str, int]) -> str:
    """Counts for people, the largest first."""
    return ", ".join(f"{name} {count}" for name, count in Counter(by_name).most_common()) or "none"


def main() -> int:
    """Exit status: 1 if gold failed or null passed any instance, or a repository has no package."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clones", nargs="+", type=Path)
    parser.add_argument("--out", required=True, type=Path)
    parser.add_argument("--commits", type=int, default=6)
    parser.add_argument("--minutes", type=float, default=30, help="most minutes of one command")
    parser.add_argument("--again", action="store_true", help="run repositories that have a row again")
    parser.add_argument("--no-campaign", dest="campaign", action="store_false", help="only make packages")
    parser.add_argument("--json", type=Path, help="also write the rows to this file")
    options = parser.parse_args()
    out = options.out.resolve()
    for folder in (out / "rows", out / "logs", out / "corpus"):
        folder.mkdir(parents=True, exist_ok=True)
    rows = []
    for clone in options.clones:
        path = out / "rows" / f"{clone.name.removesuffix('.git')}.json"
        row = Row(**json.loads(path.read_text())) if path.is_file() else None
        if row is None or options.again:
            row = measure(clone.resolve(), out, options.commits, options.minutes, row, campaign=options.campaign)
            path.write_text(json.dumps(asdict(row), indent=2) + "\n")
        print("  ".join(row.cells()), file=sys.stderr, flush=True)
        rows.append(row)
    print(markdown(rows))
    if options.json:
        options.json.write_text(json.dumps([asdict(row) for row in rows], indent=2) + "\n")
    return int(any(row.fault or (options.campaign and row.gold < row.valid) or row.null for row in rows))


if __name__ == "__main__":
    os.environ.setdefault("PYTHONUNBUFFERED", "1")
    sys.exit(main())
