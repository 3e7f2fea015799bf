"""Labels of plans by what their history shows; what no rule covers is unclear, never guessed.

done, and what was written lasted                            good
done, then commits that say fix changed what was written     fine
done, then rewritten; or begun and replaced by a plan        bad
begun, a part done, and left                                 abandoned
"""

from collections import defaultdict
from dataclasses import dataclass
from enum import StrEnum

from training.data.sources.plan_artifacts import rules
from training.data.sources.plan_artifacts.following import Trajectory, follow, outcome, replacement
from training.data.sources.plan_artifacts.history import DAY, History
from training.data.sources.plan_artifacts.hunks import Patches
from training.data.sources.plan_artifacts.plans import Found, Plan, find_plans


class Label(StrEnum):
    """How well a plan did."""

    GOOD = "good"
    FINE = "fine"
    BAD = "bad"
    ABANDONED = "abandoned"
    UNCLEAR = "unclear"


@dataclass(frozen=True)
class Labelled:
    """A plan with its label and the reason for it, in words and numbers."""

    trajectory: Trajectory
    label: Label
    reason: str

    @property
    def plan(self) -> Plan:
        """The plan."""
        return self.trajectory.plan


def label(trajectory: Trajectory) -> tuple[Label, str]:
    """The label of a trajectory, and why."""
    named = len(trajectory.targets)
    if not named:
        return Label.UNCLEAR, "names no file that exists before it or after"
    if named > rules.MOST_TARGETS:
        return Label.UNCLEAR, f"names {named} files"
    if trajectory.written_after:
        return Label.UNCLEAR, "was ticked when it was committed, without its files: written down after the work"
    if not trajectory.touched:
        return Label.UNCLEAR, "was not begun: no commit touches what it names"
    share = f"{len(trajectory.touched)} of {named + len(trajectory.missing)} named files touched"
    if trajectory.replaced_by is not None:
        return Label.BAD, f"{share}; replaced by {trajectory.replaced_by.path}"
    commits, days = trajectory.since
    seen = commits >= rules.LEAST_COMMITS or days >= rules.LEAST_DAYS
    if not _done(trajectory):
        return _partly(trajectory, share)
    if not seen:
        return Label.UNCLEAR, f"{share}; only {commits} commits in {days:.0f} days after it"
    rework = trajectory.rework
    if rework is None:
        return Label.UNCLEAR, f"{share}; its commits wrote no line of code"
    lines = f"{rework:.0%} of its lines changed again"
    if rework >= rules.REWRITTEN:
        return Label.BAD, f"{share}; {lines}"
    if trajectory.fixes:
        fix = trajectory.fixes[0]
        return Label.FINE, f"{share}; {lines}; {len(trajectory.fixes)} fixes, first {fix.sha[:10]} {fix.subject[:60]}"
    if rework <= rules.CLEAN:
        return Label.GOOD, f"{share}; {lines}"
    return Label.UNCLEAR, f"{share}; {lines}: neither clean nor rewritten"


def _done(trajectory: Trajectory) -> bool:
    enough = rules.DONE_IF_TICKED if trajectory.ticked or trajectory.archived else rules.DONE
    return trajectory.coverage >= enough


def _partly(trajectory: Trajectory, share: str) -> tuple[Label, str]:
    commits, days = trajectory.since
    if trajectory.coverage >= rules.ABANDONED:
        return Label.UNCLEAR, f"{share}: neither done nor left"
    if trajectory.ticked or trajectory.archived:
        return Label.UNCLEAR, f"{share}, though it is marked as done"
    if commits < rules.GAP_COMMITS and days < rules.GAP_DAYS:
        return Label.UNCLEAR, f"{share}; in progress when its history ends"
    return Label.ABANDONED, f"{share}; nothing of it in {commits} commits and {days:.0f} days after"


def label_all(history: History) -> tuple[list[Labelled], Found]:
    """Every plan of a history with its label, oldest first. Raises RepositoryError, InfrastructureError."""
    found = find_plans(history)
    patches = Patches(history.git)
    trajectories = [follow(history, plan) for plan in found.plans]
    together: defaultdict[tuple[str, str], set[str]] = defaultdict(set)
    for each in trajectories:
        together[_came_with(each)].update(commit.sha for commit in each.work)
    for each in trajectories:
        outcome(each, patches, together[_came_with(each)])
    labelled = []
    for index, trajectory in enumerate(trajectories):
        limit = (trajectory.work[-1] if trajectory.work else trajectory.plan.commit).when + rules.AFTER_DAYS * DAY
        later = [each for each in trajectories[index + 1 :] if each.plan.commit.when <= limit and each.touched]
        trajectory.replaced_by = replacement(trajectory, later)
        labelled.append(Labelled(trajectory, *label(trajectory)))
    return labelled, found


def _came_with(trajectory: Trajectory) -> tuple[str, str]:
    plan = trajectory.plan
    return plan.introduced.commit, plan.path.rpartition("/")[0]
