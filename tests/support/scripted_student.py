"""A student that is scripted to solve one instance of a package."""

from typing import Any

from agent.edits.format import format_edits
from harness.packages.gold_patch import read_gold_patch
from harness.packages.package import RepoPackage
from harness.planners import GoldPlanner
from models.edits import Edit, EditFormat
from models.plans import MetaPlan, MetaPlanPart, PartPlan, PlanAdjustment, PlanStep, Target, TestPlan, Verdict


class Student:
    """A scripted student that solves the newest instance of a package, until an adapter has judged for it."""

    def __init__(self, package: RepoPackage, spoilt: bool) -> None:
        instance = next(each for each in package.manifest.instances if each.valid)
        gold = GoldPlanner(
            read_gold_patch(package.git, instance.commit, instance.base_commit), EditFormat.SEARCH_REPLACE
        )
        files = {change.path: change.before and change.before.text for change in gold.gold.production}
        edits: list[Edit] = []
        for part in gold.plan.meta.in_order():
            for step in gold.plan.part_plans[part.id].in_order():
                edits += gold.edits(step, files)
        self.code = format_edits(edits)
        self.targets = tuple(Target(path=path) for path in files)
        self.spoilt, self.adapted = spoilt, False

    def __call__(self, request: dict[str, Any]) -> str:
        self.adapted |= request["model"] != "scripted"
        said = "\n".join(message["content"] for message in request["messages"])
        if "You write one step" in said:
            return "no edits" if self.adapted and self.spoilt else self.code
        question = said.rpartition("# Your answer")[2]
        if '"verdict"' in question:
            return PlanAdjustment(verdict=Verdict.CONTINUE, reason="It holds.").model_dump_json()
        if '"parts"' in question:
            part = MetaPlanPart(id="p1", title="All", description="All of it", targets=self.targets)
            return MetaPlan(parts=(part,)).model_dump_json()
        if '"steps"' in question and "test" not in question.partition("\n\n")[0].lower():
            step = PlanStep(id="s1", description="Do it", targets=self.targets)
            return PartPlan(part_id="p1", steps=(step,)).model_dump_json()
        if '"steps"' in question:
            return TestPlan(part_id="p1").model_dump_json()
        return "I cannot say."
