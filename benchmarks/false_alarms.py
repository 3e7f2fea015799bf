"""How often the confirmation of passes suspects a right solution: the false-alarm rate.

    uv run python benchmarks/false_alarms.py [PACKAGE...] [--seeds 6] [--instances N] [--only TEXT] [--json]

Without packages, the sample repository is prepared (this needs the package index) and every re-implementation by hand
in benchmarks/reimplementations/ is judged. With packages, the gold patches of their instances (`--instances`: of the
newest N) are rewritten without a change of meaning (benchmarks/rewrites/): one version in another layout, one for each
kind of rewriting that finds a place, and `--seeds` in which chance mixes them. `--only` leaves out instances and
solutions whose name does not hold a text.

A false alarm is a solution that passes FAIL_TO_PASS and PASS_TO_PASS and is then `passed-unconfirmed` or `tampered`. A
solution that does not pass them is not right: it is discarded, and counted. Printed: a row for each instance, the first
difference of each false alarm, and the rate with its 95% Wilson interval, for solutions by hand and by rewriting apart.
"""

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from benchmarks.attacks._subject import prepare_sample
from benchmarks.rewrites import rewritten
from evals.statistics import wilson
from harness.packages.gold_patch import read_gold_patch
from harness.packages.package import RepoPackage, read_package
from harness.validation.judge import judge_candidate
from host.settings import load_settings
from models.files import Overlay
from models.manifest import Instance
from models.outcomes import OutcomeKind, Validation
from runtime.trees import Runtime
from tasks.runtime import open_runtime

BY_HAND, BY_REWRITING = "by hand", "by rewriting"
REIMPLEMENTATIONS = Path(__file__).with_name("reimplementations")
_WIDTH = 150  # of the table, in characters, also where no terminal is
_ALARMS = (OutcomeKind.PASSED_UNCONFIRMED, OutcomeKind.TAMPERED)


@dataclass(frozen=True)
class Solution:
    """A solution that should pass: where it comes from, its name, and what it changes over the instance's base."""

    source: str
    name: str
    package: RepoPackage
    instance: Instance
    changes: Overlay

    @property
    def title(self) -> str:
        """The instance and the solution, for people."""
        return f"{self.instance.instance_id} {self.name}"


@dataclass(frozen=True)
class Judged:
    """A solution and its verdict."""

    solution: Solution
    verdict: Validation

    @property
    def passed(self) -> bool:
        """Whether it passed and was confirmed."""
        return self.verdict.kind is OutcomeKind.PASSED

    @property
    def alarm(self) -> bool:
        """Whether it was suspected."""
        return self.verdict.kind in _ALARMS

    @property
    def has_twins(self) -> bool:
        """Whether twins judged it."""
        return self.verdict.confirmation is not None and self.verdict.confirmation.twins > 0

    @property
    def discarded(self) -> bool:
        """Whether it is no right solution."""
        return not self.passed and not self.alarm


def by_hand(package: RepoPackage) -> Iterator[Solution]:
    """The re-implementations of the sample's instances."""
    for instance in package.manifest.instances:
        for folder in sorted((REIMPLEMENTATIONS / instance.commit[:7]).iterdir()):
            files = [file for file in folder.rglob("*") if file.is_file() and "__pycache__" not in file.parts]
            changes = {file.relative_to(folder).as_posix(): (file.read_bytes(), False) for file in files}
            yield Solution(BY_HAND, folder.name, package, instance, changes)


def by_rewriting(package: RepoPackage, instances: int, seeds: int) -> Iterator[Solution]:
    """The gold patches of a package's newest instances, rewritten."""
    for instance in [each for each in package.manifest.instances if each.valid][:instances]:
        gold = read_gold_patch(package.git, instance.commit, instance.base_commit)
        diffs = {diff.path: diff for change in gold.production for diff in change.diffs()}
        whole = {
            d.path: None if d.after is None else (d.after.text.encode(), d.after.executable) for d in diffs.values()
        }
        python = {
            d.path: ("" if d.before is None else d.before.text, d.after.text)
            for d in diffs.values()
            if d.after is not None and d.path.endswith(".py")
        }
        for name, texts in rewritten(python, seeds):
            files = {path: (text.encode(), False) for path, text in texts.items()}
            yield Solution(BY_REWRITING, name, package, instance, {**whole, **files})


def judge_all(runtime: Runtime, solutions: Sequence[Solution]) -> list[Judged]:
    """Every verdict, with progress on standard error."""
    found: list[Judged] = []
    started = time.monotonic()
    for solution in solutions:
        verdict, _ = judge_candidate(runtime, solution.package, solution.instance, solution.changes, "false-alarms")
        found.append(Judged(solution, verdict))
        each = (time.monotonic() - started) / len(found)
        left = each * (len(solutions) - len(found)) / 60
        said = f"{verdict.kind.value} {' '.join(verdict.detail.split())[:200]}".rstrip()
        pace = f"{60 / each:.0f} a minute, {left:.0f} min left"
        print(f"{len(found)}/{len(solutions)} {solution.title}: {said} ({pace})", file=sys.stderr, flush=True)
    return found


def rows(judged: Sequence[Judged]) -> list[dict[str, str | int]]:
    """Counts for each instance."""
    instances = dict.fromkeys((each.solution.source, each.solution.instance.instance_id) for each in judged)
    found: list[dict[str, str | int]] = []
    for source, instance in instances:
        members = [
            each for each in judged if (each.solution.source, each.solution.instance.instance_id) == (source, instance)
        ]
        kinds = [each.verdict.kind for each in members]
        twins = max((each.verdict.confirmation.twins for each in members if each.verdict.confirmation), default=0)
        found.append(
            {
                "source": source,
                "instance": instance,
                "judged": len(members),
                "passed": kinds.count(OutcomeKind.PASSED),
                "passed-unconfirmed": kinds.count(OutcomeKind.PASSED_UNCONFIRMED),
                "tampered": kinds.count(OutcomeKind.TAMPERED),
                "discarded": sum(each.discarded for each in members),
                "twins": twins,
            }
        )
    return found


def rates(judged: Sequence[Judged]) -> list[dict[str, str | int | float]]:
    """The false-alarm rate of each source and of all, with its interval."""
    found: list[dict[str, str | int | float]] = []
    right = [each for each in judged if not each.discarded]
    parts = {source: [each for each in right if each.solution.source == source] for source in (BY_HAND, BY_REWRITING)}
    parts["all, where there are twins"] = [each for each in right if each.alarm or each.has_twins]
    for source, members in {**parts, "all": right}.items():
        if members:
            alarms, count = sum(each.alarm for each in members), len(members)
            low, high = wilson(alarms / count, count)
            found.append(
                {"source": source, "right": count, "alarms": alarms, "rate": alarms / count, "low": low, "high": high}
            )
    return found


def show(judged: Sequence[Judged], *, as_json: bool) -> None:
    """The table, what was suspected and why, the rates."""
    suspected = [each for each in judged if each.alarm]
    discarded = [each for each in judged if each.discarded]
    if as_json:
        cases = [
            {
                "solution": each.solution.title,
                "source": each.solution.source,
                "verdict": each.verdict.model_dump(mode="json"),
            }
            for each in judged
        ]
        print(json.dumps({"instances": rows(judged), "rates": rates(judged), "solutions": cases}, indent=2))
        return
    console = Console(width=max(Console().width, _WIDTH))
    counted = rows(judged)
    table = Table(*(counted[0] if counted else ["instance"]))
    for row in counted:
        table.add_row(*map(str, row.values()))
    console.print(table)
    for title, members in (("false alarm", suspected), ("discarded", discarded)):
        for each in members:
            detail = " ".join(each.verdict.detail.split())[:300]
            console.print(f"{title}: {each.solution.title}: {each.verdict.kind.value}: {detail}", markup=False)
    for rate in rates(judged):
        console.print(
            f"{rate['source']}: {rate['alarms']} false alarms of {rate['right']} right solutions: "
            f"{rate['rate']:.1%} (95% interval {rate['low']:.1%} to {rate['high']:.1%})",
            markup=False,
        )


def main() -> int:
    """Judge, and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("packages", nargs="*", type=Path)
    parser.add_argument("--seeds", type=int, default=6)
    parser.add_argument("--instances", type=int, default=100)
    parser.add_argument("--only", default="")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="cra-alarms-", ignore_cleanup_errors=True) as scratch:
        if options.packages:
            runtime = open_runtime(load_settings())
            found = [
                each
                for path in options.packages
                for each in by_rewriting(read_package(path), options.instances, options.seeds)
            ]
        else:
            subject = prepare_sample(Path(scratch), tuple(path.name for path in REIMPLEMENTATIONS.iterdir()))
            runtime, found = subject.runtime, list(by_hand(subject.package))
        show(judge_all(runtime, [each for each in found if options.only in each.title]), as_json=options.json)
    return 0


if __name__ == "__main__":
    sys.exit(main())
