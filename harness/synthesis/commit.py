"""The pairs of one commit: gold's retrieval, by two rankings, and its plans and edits, checked against the commit."""

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from agent.loop import solve
from agent.retrieve.retrieval import retrieve
from harness.packages.gold_patch import GoldPatch, UnsupportedChange, read_gold_patch
from harness.planners.gold import GoldPlanner
from harness.planners.student import StudentLimits
from harness.synthesis.recording import WORKING_STAGES, Event, Recording
from harness.synthesis.workspace import MemoryWorkspace
from models.edits import EditFormat
from models.errors import EditError, RepositoryError
from models.files import FileContent
from models.limits import LoopLimits
from models.manifest import Instance
from models.protocols import JUDGING_STAGES, Request, Stage, Task
from models.solution import Solution
from repos.git import Git
from repos.index.parse import MAX_BYTES
from repos.sources import GitSource

if TYPE_CHECKING:
    from repos.index import IndexCache

PLAIN, GUIDED, WORK = 0, 1, 2
"""The three trajectories of a commit, by sample: retrieval with the ranking by the task alone; scope and precision with
the ranking that an analysis guides; plans and code."""
TOO_LARGE, NOT_REPRODUCED, UNSUPPORTED, UNREADABLE = (
    "file too large",
    "edits do not give the commit's files",
    "no edit expresses the change",
    "commit not readable",
)


@dataclass
class CommitPairs:
    """The pairs of a commit. `events` by trajectory; one without any was refused, or gave nothing, with its reason."""

    events: dict[int, list[Event]] = field(default_factory=dict)
    why: dict[int, str] = field(default_factory=dict)
    calls: Counter[str] = field(default_factory=Counter)
    classes: Counter[tuple[str, str]] = field(default_factory=Counter)
    refused: Counter[tuple[str, str]] = field(default_factory=Counter)
    """By stage (or `commit`, for all of them) and reason."""


class GuidedGold(GoldPlanner):
    """Gold judgements, with the ranking guided by an analysis, as a model's is.

    A ranking that gold's whole analysis guides would give the answer away, so this analysis names only what the task's
    own words name.
    """

    guides_ranking = True

    def _text(self, request: Request) -> str:
        bare = request.model_copy(update={"overview": ""}) if request.stage is Stage.TASK_ANALYSIS else request
        return super()._text(bare)


def trajectories_of(stages: Collection[Stage]) -> tuple[int, ...]:
    """The trajectories that have calls of some of the stages."""
    wanted = set(stages)
    found = [PLAIN] if wanted & set(JUDGING_STAGES) else []
    found += [GUIDED] if wanted & {Stage.SCOPE, Stage.PRECISION} else []
    return tuple([*found, WORK] if wanted & set(WORKING_STAGES) else found)


def pairs_of(
    git: Git,
    repository: str,
    instance: Instance,
    stages: Collection[Stage],
    limits: StudentLimits,
    edit_format: EditFormat,
    cache: "IndexCache",
) -> CommitPairs:
    """The pairs of a commit for some stages. Raises InfrastructureError when the index cache cannot be written."""
    from repos.index import build_index

    found = CommitPairs()
    try:
        gold = read_gold_patch(git, instance.commit, instance.base_commit)
        _check_sizes(gold)
        source = GitSource(git, instance.base_commit)
        index = build_index(source, cache)
    except UnsupportedChange as error:
        return _refused(found, stages, UNSUPPORTED, str(error))
    except EditError as error:
        return _refused(found, stages, TOO_LARGE, str(error))
    except RepositoryError as error:
        return _refused(found, stages, UNREADABLE, str(error))
    task = Task(text=instance.task, repository=repository, base=instance.base_commit)
    asked = trajectories_of(stages)
    recording = Recording(frozenset(stages), limits)
    planner = GoldPlanner(gold, edit_format, limits)
    if WORK in asked:
        workspace = MemoryWorkspace(source, _files_before(gold))
        solution = solve(task, planner, workspace, recording, LoopLimits(), index)
        if why := _wrong(gold, workspace, solution):
            recording.drop(WORKING_STAGES, NOT_REPRODUCED)
            found.why[WORK] = why
        found.events[WORK] = recording.of(WORKING_STAGES)
    else:
        retrieve(task, planner, index, recording)
    if PLAIN in asked:
        found.events[PLAIN] = recording.of(JUDGING_STAGES)
    recordings = [recording]
    if GUIDED in asked:
        guided = Recording(frozenset(stages) - {Stage.TASK_ANALYSIS}, limits, known=recording.prompts)
        retrieve(task, GuidedGold(gold, edit_format, limits), index, guided)
        found.events[GUIDED] = guided.of(JUDGING_STAGES)
        recordings.append(guided)
    for each in recordings:
        calls, classes = each.counts()
        found.calls += calls
        found.classes += classes
        found.refused += each.refused
    return found


def _refused(found: CommitPairs, stages: Collection[Stage], reason: str, detail: str) -> CommitPairs:
    found.refused["commit", reason] += 1
    for sample in trajectories_of(stages):
        found.events[sample], found.why[sample] = [], f"{reason}: {detail}"
    return found


def _check_sizes(gold: GoldPatch) -> None:
    """Raises EditError for a file that the index would not read."""
    for change in (*gold.production, *gold.tests):
        for side in (change.before, change.after):
            if side is not None and len(side.text) > MAX_BYTES:
                raise EditError(f"{change.path} has more than {MAX_BYTES} characters")


def _files_before(gold: GoldPatch) -> dict[str, FileContent]:
    changes = (*gold.production, *gold.tests)
    return {change.old_path or change.path: change.before for change in changes if change.before is not None}


def _wrong(gold: GoldPatch, workspace: MemoryWorkspace, solution: Solution) -> str:
    """Why the edits are not the commit's, "" if they give its files byte for byte."""
    if not solution.complete:
        failed: Sequence[str] = [each.detail for each in solution.step_results if each.detail]
        return f"{solution.stopped_reason.value}: {solution.detail or ''.join(failed[:1])}"
    wanted = {diff.path: diff.after for change in (*gold.production, *gold.tests) for diff in change.diffs()}
    for path, after in wanted.items():
        if workspace.get(path) != after:
            return f"{NOT_REPRODUCED}: {path}"
    others = sorted(workspace.changed().keys() - wanted.keys())
    return f"{NOT_REPRODUCED}: {others[0]} changed as well" if others else ""
