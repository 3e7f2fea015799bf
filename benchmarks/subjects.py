"""Precision and recall of the mining rules on subjects that a person labelled.

    uv run python benchmarks/subjects.py FOLDER_OF_CLONES [--half tuning|test] [--wrong]

`subjects.csv` names 500 commits of 45 public histories by repository and commit id, so that no foreign text is stored
here; FOLDER_OF_CLONES holds bare clones as NAME.git. The labels are what a person who reads subject, author and file
names would say: a rule's name, or `task`; of several, any is right, and the first one is preferred. The sample is
stratified (40 % change only files in which releases and tools leave their traces, 50 % others with code, 10 % the rest)
and split in two: rules were tuned on one half only. The test half was labelled before any rule was run on it.

A commit that is dropped for its size or for a lack of code is no answer of a rule about subjects, and no task either.
"""

import argparse
import csv
import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from harness.mining.log import LogRecord, read_log
from harness.mining.rules import drop_reason
from models.manifest import DropReason
from models.mining import MiningRules
from repos.git import Git

RULES = (DropReason.AUTOMATED, DropReason.VERSION_BUMP, DropReason.CI_ONLY, DropReason.DOCS_ONLY)
LABELS = Path(__file__).with_name("subjects.csv")


@dataclass(frozen=True)
class Judged:
    """A labelled commit, and the reason for which it is dropped (`task` if it is not)."""

    repository: str
    record: LogRecord
    labels: tuple[str, ...]
    given: str

    @property
    def right(self) -> bool:
        """Whether the reason is among the labels; other reasons than those of RULES are right for a task."""
        return self.given in self.labels or ("task" in self.labels and self.given not in RULES)


def judge(clones: Path, half: str | None) -> list[Judged]:
    """Every labelled commit (of one half) whose clone is there."""
    wanted: dict[str, dict[str, tuple[str, ...]]] = {}
    with LABELS.open(newline="") as file:
        for row in csv.DictReader(file):
            if half in (None, row["half"]):
                wanted.setdefault(row["repository"], {})[row["commit"]] = tuple(row["labels"].split())
    judged = []
    for name, commits in sorted(wanted.items()):
        clone = clones / f"{name}.git"
        if not clone.is_dir():
            print(f"{clone} is missing: {len(commits)} commits are left out", file=sys.stderr)
            continue
        for record in read_log(Git(clone)):
            if record.sha in commits:
                given = drop_reason(record, MiningRules())
                judged.append(Judged(name, record, commits[record.sha], given or "task"))
    return judged


def print_figures(title: str, judged: list[Judged]) -> None:
    """One line for each rule, one for tasks that rules took, one for what is kept although it is no task."""
    print(f"{title}: {len(judged)} commits, {sum(each.right for each in judged)} right")
    for rule in RULES:
        given = [each for each in judged if each.given == rule]
        right = sum(rule in each.labels for each in given)
        meant = [each for each in judged if each.labels[0] == rule]
        found = sum(each.given in each.labels for each in meant)
        print(
            f"  {rule:13} precision {right:3}/{len(given):<3} {right / max(len(given), 1):6.1%}   "
            f"recall {found:3}/{len(meant):<3} {found / max(len(meant), 1):6.1%}"
        )
    tasks = [each for each in judged if "task" in each.labels]
    taken = sum(each.given in RULES and not each.right for each in tasks)
    print(f"  tasks dropped by one of these rules: {taken} of {len(tasks)}")
    kept = [each for each in judged if each.given == "task"]
    wrong = Counter(each.labels[0] for each in kept if "task" not in each.labels)
    print(f"  kept although no task: {wrong.total()} of {len(kept)} {dict(wrong) or ''}")


def main(arguments: list[str]) -> int:
    """Exit status 0, or 2 if no clone was found."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clones", type=Path)
    parser.add_argument("--half", choices=("tuning", "test"))
    parser.add_argument("--wrong", action="store_true", help="list every commit that is judged wrongly")
    options = parser.parse_args(arguments)
    judged = judge(options.clones, options.half)
    if not judged:
        return 2
    print_figures(options.half or "both halves", judged)
    for each in judged if options.wrong else ():
        if not each.right:
            subject = ascii(each.record.subject)[:80]
            print(f"  {each.repository}@{each.record.sha[:10]} {each.given} for {' '.join(each.labels)}: {subject}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
