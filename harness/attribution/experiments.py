"""Experiments: changes composed from a plan, the gold patch and a model's own work, judged by the hidden tests."""

from collections.abc import Callable, Collection, Iterable, Sequence
from typing import NamedTuple

from harness.attribution.merge import merge
from harness.planners.gold import GoldPlanner
from harness.planners.hunks import FileHunks
from harness.runs.attempt import InstanceContext
from harness.runs.verdicts import Judge
from harness.runs.workspace import TreeWorkspace
from models.attribution import Experiment
from models.edits import Edit, EditFormat
from models.errors import EditError
from models.files import Overlay
from models.outcomes import Validation
from models.plans import PlanStep, Target
from repos.edit_paths import check_path
from repos.index.symbols import base_name
from runtime.trees import checked_out

Code = Callable[[PlanStep, dict[str, str | None]], list[Edit]]


class GoldCoded(NamedTuple):
    """The gold coder's changes, and the steps of the gold plan that have work left."""

    changes: Overlay
    left: list[PlanStep]


class AttributionExperiments:
    """Experiments on one attempt at an instance. Each is recorded; the same change is judged once."""

    def __init__(self, instance_context: InstanceContext, judge: Judge) -> None:
        self.instance_context = instance_context
        self.gold = GoldPlanner(instance_context.gold(), EditFormat.SEARCH_REPLACE)
        self.experiments: list[Experiment] = []
        self._judge = judge
        self._verdicts: dict[tuple[tuple[str, tuple[bytes, bool] | None], ...], Validation] = {}

    @property
    def own_steps(self) -> list[PlanStep]:
        """The steps of the gold plan, tests left out, in order."""
        plan = self.gold.plan
        return [step for part in plan.meta.in_order() for step in plan.part_plans[part.id].in_order()]

    def coded(self, steps: Iterable[PlanStep], more: Iterable[PlanStep] = ()) -> GoldCoded:
        """The gold coder's changes for a plan's steps, confined to their targets, and then for gold steps."""
        with checked_out(
            self.instance_context.package.git,
            self.instance_context.instance.base_commit,
            self.instance_context.runtime.scratch,
        ) as tree:
            workspace = TreeWorkspace(tree)
            for step in steps:
                _take(workspace, step, self.gold.confined_edits)
            for step in more:
                _take(workspace, step, self.gold.edits)
            left = [step for step in self.own_steps if self.gold.edits(step, _files(workspace, step))]
            changes = workspace.changes()
        files = {d.path: (d.after.text.encode(), d.after.executable) if d.after else None for d in changes}
        return GoldCoded(files, left)

    def try_out(self, name: str, changes: Overlay | None) -> Experiment:
        """Judge a change and record it as an experiment; None is recorded as one that could not be made."""
        if changes is None:
            experiment = Experiment(name=name, kind=None, detail="the changes conflict")
        else:
            verdict = self._judged(changes)
            experiment = Experiment(name=name, kind=verdict.kind, validation=verdict.key, detail=verdict.detail)
        self.experiments.append(experiment)
        return experiment

    def added_to(self, work: Overlay, steps: Sequence[PlanStep]) -> Overlay | None:
        """A model's own changes plus gold steps; None where the two conflict.

        For a file that only one of them removes, the gold steps take precedence.
        """
        merged = dict(work)
        for path, content in self.coded((), steps).changes.items():
            ours, base = work.get(path), self._base(path)
            if ours is None or content is None or ours == content:
                merged[path] = content
                continue
            if base is None:
                return None
            try:
                text = merge(base, ours[0].decode(), content[0].decode())
            except UnicodeDecodeError:
                return None
            if text is None:
                return None
            merged[path] = (text.encode(), content[1])
        return merged

    def without(self, work: Overlay, targets: Collection[Target]) -> Overlay:
        """A model's own changes without those at some targets."""
        rest = dict(work)
        for path in sorted({path for target in targets for path in (target.path, target.new_path) if path}):
            here = [target for target in targets if path in (target.path, target.new_path)]
            ours, base = rest.get(path), self._base(path)
            names = {base_name(target.symbol) for target in here if target.symbol}
            if ours is None or base is None or any(target.symbol is None for target in here):
                rest.pop(path, None)
                continue
            file = FileHunks(path, base, ours[0].decode("utf-8", "replace"))
            kept = {index for index, hunk in enumerate(file.hunks) if not _within(hunk.names, names)}
            rest[path] = (file.text(kept).encode(), ours[1])
        return rest

    def _judged(self, changes: Overlay) -> Validation:
        key = tuple(sorted(changes.items(), key=lambda item: item[0]))
        if key not in self._verdicts:
            self._verdicts[key] = self._judge(changes)
        return self._verdicts[key]

    def _base(self, path: str) -> str | None:
        data = self.instance_context.package.git.read(self.instance_context.instance.base_commit, path)
        return None if data is None else data.decode("utf-8", "replace")


def _take(workspace: TreeWorkspace, step: PlanStep, code: Code) -> None:
    workspace.apply(code(step, _files(workspace, step)))


def _files(workspace: TreeWorkspace, step: PlanStep) -> dict[str, str | None]:
    """The files that a step names; one that cannot be edited (a link, a binary) counts as absent."""
    files: dict[str, str | None] = {}
    for path in dict.fromkeys(path for target in step.targets for path in (target.path, target.new_path) if path):
        try:
            check_path(path)
            files[path] = workspace.read(path)
        except EditError:
            files[path] = None
    return files


def _within(names: Collection[str], wanted: Collection[str]) -> bool:
    return any(f"{name}.".startswith(f"{each}.") for name in names for each in wanted)
