"""Runs of planners with plans of all types, in a real database: what they named, and what came of their steps."""

from models.edits import CreateFile, EditResult, Rung
from models.outcomes import OutcomeKind
from models.plans import MetaPlan, MetaPlanPart, PartPlan, PlanStep, Target, TestPlan
from models.protocols import Request, Stage
from tests.support.pairs_material import Attempt, Repository, World

HOSTILE = "</pre><script>document.title = 'taken'</script>"
PATCH = """\
diff --git a/src/lib.py b/src/lib.py
--- a/src/lib.py
+++ b/src/lib.py
@@ -1,2 +1,5 @@
 def work():
-    return 1
+    return help()
+
+def help():
+    return 2
diff --git a/tests/test_lib.py b/tests/test_lib.py
--- a/tests/test_lib.py
+++ b/tests/test_lib.py
@@ -1 +1,2 @@
+def test_more(): pass
"""


def planned(
    world: World,
    instance: str,
    planner: str = "student",
    *,
    target: str = "src/lib.py",
    rejected: int = 0,
    covers: tuple[str, ...] = ("work",),
    outcome: OutcomeKind = OutcomeKind.PASSED,
    order: float = 1.0,
    why: str = "it is simple",
    campaign: str = "c",
    revised: bool = False,
    model: str = "m",
    label: str = "",
) -> Attempt:
    """One run: a part of two steps, of which the edits of `rejected` are never applied, and a test step."""
    run = world.run(instance, planner, campaign=campaign, identity=model, label=label)
    where = Target(path=target, symbol="work")
    part = MetaPlanPart(id="p1", title="Part", description="Do it", targets=(where,))
    meta = MetaPlan(rationale=why, parts=(part,))
    steps = tuple(PlanStep(id=f"s{n}", description=f"Change {n}", targets=(where,)) for n in range(2))
    plan = PartPlan(part_id="p1", steps=steps)
    tests = TestPlan(
        part_id="p1",
        steps=(PlanStep(id="t0", description="Test it", targets=(Target(path="tests/test_lib.py"),)),),
        covers=covers,
    )
    run.say(Request(stage=Stage.META_PLAN, task=run.task), meta.model_dump_json(), reasoning=why, model=model)
    run.recorder.plan(Stage.META_PLAN, meta)
    run.say(Request(stage=Stage.PART_PLAN, task=run.task, meta=meta, part=part), plan.model_dump_json(), model=model)
    run.recorder.plan(Stage.PART_PLAN, plan)
    for number, step in enumerate(steps):
        _edited(run, step.id, target, "rejected" if number < rejected else None)
    run.say(Request(stage=Stage.TEST_PLAN, task=run.task, meta=meta, part=part), tests.model_dump_json(), model=model)
    run.recorder.plan(Stage.TEST_PLAN, tests)
    _edited(run, "t0", "tests/test_lib.py", None)
    if revised:
        run.recorder.plan(Stage.ADJUSTMENT, MetaPlan(rationale="again", parts=(part,)))
    return run.close(outcome, alignment=order, patch=PATCH)


def unreadable(world: World, instance: str, planner: str = "student", campaign: str = "c") -> Attempt:
    """A run whose planner never gave a plan that can be read."""
    run = world.run(instance, planner, campaign=campaign, identity="m")
    run.say(Request(stage=Stage.META_PLAN, task=run.task), "no").malformed(Stage.META_PLAN)
    return run.close(OutcomeKind.PLAN_MALFORMED, alignment=None, patch="")


def _edited(run: Attempt, step: str, path: str, error: str | None) -> None:
    for attempt in range(2 if error else 1):
        edit = EditResult(edit=CreateFile(path=path, content=""), rung=None if error else Rung.EXACT, error=error)
        run.recorder.edits("p1", step, attempt, [edit])


def planning_campaign(world: World, campaign: str = "c", repositories: int = 3) -> None:
    """Runs over repositories of four instances: one passes whole, one has a rejected step, one plans the wrong file,
    one gives no plan. The rationale of the first is hostile to a page that does not escape it."""
    for number in range(repositories):
        name = f"lib{number}"
        if name not in world.repositories:
            world.add(Repository(name))
        planned(world, f"{name}-0", why=HOSTILE, campaign=campaign)
        planned(world, f"{name}-1", rejected=1, outcome=OutcomeKind.EDIT_REJECTED, campaign=campaign)
        planned(
            world, f"{name}-2", target="src/other.py", order=0.0, outcome=OutcomeKind.TESTS_FAILED, covers=(),
            revised=True, campaign=campaign,
        )  # fmt: skip
        unreadable(world, f"{name}-3", campaign=campaign)
