"""Attribution: which stage a failed attempt failed at, from its plans, its context, its files and experiments."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.attribution import AttributionExperiments, attribute
from harness.attribution.merge import merge
from harness.packages.package import RepoPackage
from harness.runs.attempt import InstanceContext
from models.attribution import Attribution, CodePlace, Label
from models.context import ContextFile, ContextPackage, Relevance
from models.files import Overlay
from models.manifest import Instance, Manifest, MiningFunnel
from models.outcomes import OracleKind, OutcomeKind, Validation
from models.plans import Action, MetaPlan, MetaPlanPart, PartPlan, PlanStep, StepResult, StepStatus, Target
from models.solution import Solution, StopReason
from repos.git import Git
from runtime.trees import Runtime
from tests.support.gold_material import Repository

CORE = "def area(w, h):\n    return w + h\n\n\ndef edge(w, h):\n    return w\n"
CORE_AFTER = (
    "def area(w, h):\n    return _positive(w) * h\n\n\ndef _positive(x):\n    return max(x, 0)\n\n\n"
    "def edge(w, h):\n    return 2 * (w + h)\n"
)
CLI = "from p.core import area\n\n\ndef main():\n    print(area(1, 2))\n"
CLI_AFTER = "from p.core import area, edge\n\n\ndef main():\n    print(area(1, 2), edge(1, 2))\n"
OTHER = "def helper():\n    return 1\n"
FILES = {"p/__init__.py": "", "p/core.py": CORE, "p/cli.py": CLI, "p/other.py": OTHER, "NEWS.md": "old\n"}
AFTER = {"p/core.py": CORE_AFTER, "p/cli.py": CLI_AFTER, "NEWS.md": "new\n"}
NEEDED = {"p/core.py": ("_positive(w) * h", "2 * (w + h)", "def _positive"), "p/cli.py": ("edge(1, 2)",)}

AREA, EDGE, MAIN = (
    Target(path=path, symbol=symbol)
    for path, symbol in (("p/core.py", "area"), ("p/core.py", "edge"), ("p/cli.py", "main"))
)


class Judge:
    """Stands for the hidden tests: passes what has all that is needed and has not lost or broken anything."""

    def __init__(self) -> None:
        self.asked: list[Overlay] = []

    def __call__(self, changes: Overlay) -> Validation:
        self.asked.append(changes)
        texts = {path: changes.get(path, (text.encode(), False)) for path, text in FILES.items()}
        said = {path: "" if content is None else content[0].decode() for path, content in texts.items()}
        right = all(part in said[path] for path, parts in NEEDED.items() for part in parts)
        sound = "def helper" in said["p/other.py"] and not any("BROKEN" in text for text in said.values())
        kind = OutcomeKind.PASSED if right and sound else OutcomeKind.TESTS_FAILED
        return Validation(key=f"key-{len(self.asked)}", oracle=OracleKind.F2P_P2P, kind=kind)


@pytest.fixture
def instance_context(tmp_path: Path) -> InstanceContext:
    repository = Repository(tmp_path / "r")
    base = repository.commit(FILES)
    commit = repository.commit(AFTER)
    instance = Instance(
        instance_id="r-1", commit=commit, base_commit=base, task="t", planning_types=(), production_files=(),
        test_files=(), environment="e",
    )  # fmt: skip
    manifest = Manifest(
        name="r", source="r", license=None, organisation=None, domain=None, head=commit, python="3.11",
        test_command=(), lines_of_code=1, instances=(instance,),
        funnel=MiningFunnel(total=1, dropped={}, needs_message=0, kept=1, mixed=1),
    )  # fmt: skip
    directory = tmp_path / "package"
    directory.mkdir()
    (directory / "repo").symlink_to(repository.directory)
    runtime: Any = Runtime(sandbox=None, environments=None, limits=None, scratch=tmp_path / "s")  # type: ignore[arg-type]
    return InstanceContext(runtime, RepoPackage(directory, manifest), instance)


def solution(*steps: tuple[Target, ...], **fields: Any) -> Solution:
    """A plan of one part, whose steps were all done unless `statuses` say otherwise."""
    taken = [PlanStep(id=f"s{n}", description="", targets=targets) for n, targets in enumerate(steps)]
    statuses = fields.pop("statuses", [StepStatus.DONE] * len(steps))
    part = MetaPlanPart(id="p1", title="", description="", targets=tuple(t for step in steps for t in step))
    later = fields.pop("later", ())
    return Solution(
        meta=MetaPlan(parts=(part, *later)),
        part_plans=(PartPlan(part_id="p1", steps=tuple(taken)),),
        step_results=tuple(
            StepResult(part_id="p1", step_id=step.id, status=status, attempts=1)
            for step, status in zip(taken, statuses, strict=True)
        ),
        **{"stopped_reason": StopReason.FINISHED, **fields},
    )


def shown(*paths: str, **elided: str) -> ContextPackage:
    files = [
        ContextFile(
            path=path, relevance=Relevance.RELEVANT, text=elided.get(path.split("/")[-1][:-3], FILES[path]),
            whole=path.split("/")[-1][:-3] not in elided, tokens=1, reason="",
        )
        for path in paths
    ]  # fmt: skip
    return ContextPackage(files=tuple(files))


def work(**texts: str | None) -> dict[str, tuple[bytes, bool] | None]:
    return {f"p/{name}.py": None if text is None else (text.encode(), False) for name, text in texts.items()}


Find = Callable[..., Attribution]


@pytest.fixture
def find(instance_context: InstanceContext) -> Find:
    def attributed(
        solved: Solution, left: Overlay, outcome: OutcomeKind = OutcomeKind.TESTS_FAILED, planned: bool = True
    ) -> Attribution:
        return attribute(AttributionExperiments(instance_context, Judge()), solved, left, outcome, planned)

    return attributed


EVERYTHING = shown("p/core.py", "p/cli.py", "NEWS.md")
ALL = ((AREA,), (EDGE,), (MAIN,))


def test_a_sufficient_plan_badly_coded_is_the_coders(find: Find) -> None:
    found = find(solution(*ALL, context=EVERYTHING), work(core=CORE + "# BROKEN\n"))
    assert found.label is Label.CODE
    assert [each.passed for each in found.evidence.experiments] == [True]
    assert found.evidence.omitted == (CodePlace(path="NEWS.md"),)  # not needed, so no fault


def test_a_helper_that_the_plan_does_not_name_is_the_coders_to_write(find: Find) -> None:
    assert find(solution(*ALL), {}, OutcomeKind.EMPTY_PATCH).label is Label.CODE


def test_an_edit_rejected_in_a_sufficient_plan_is_the_coders_and_in_an_insufficient_one_the_planners(
    find: Find,
) -> None:
    rejected = [StepStatus.EDIT_REJECTED]
    assert find(solution((AREA, EDGE, MAIN), statuses=rejected), {}, OutcomeKind.EDIT_REJECTED).label is Label.CODE
    found = find(solution((AREA, MAIN), statuses=rejected), {}, OutcomeKind.EDIT_REJECTED)
    assert found.label is Label.PLAN
    assert found.evidence.failed_steps == ("p1/s0",)


def test_a_plan_that_misses_what_the_context_showed_is_at_fault(find: Find) -> None:
    found = find(solution((AREA,), (MAIN,), context=EVERYTHING), work(cli=CLI_AFTER))
    assert found.label is Label.PLAN
    assert CodePlace(path="p/core.py", symbol="edge") in found.evidence.omitted
    assert not found.evidence.unseen
    assert find(solution(context=EVERYTHING), {}, OutcomeKind.EMPTY_PATCH).label is Label.PLAN


def test_a_plan_cannot_name_what_the_context_hid(find: Find) -> None:
    found = find(solution((AREA,), (EDGE,), context=shown("p/core.py", "p/other.py", "NEWS.md")), work(core=CORE_AFTER))
    assert found.label is Label.RETRIEVAL
    assert found.evidence.unseen == (CodePlace(path="p/cli.py"),)
    empty = find(solution(context=shown("p/other.py")), {}, OutcomeKind.EMPTY_PATCH)
    assert empty.label is Label.RETRIEVAL


def test_a_hidden_file_that_is_not_needed_excuses_no_plan(find: Find) -> None:
    found = find(solution((AREA,), (MAIN,), context=shown("p/core.py", "p/cli.py")), {})
    assert found.evidence.unseen == (CodePlace(path="NEWS.md"),)
    assert found.label is Label.PLAN


def test_a_symbol_left_out_of_a_file_that_is_shown_is_hidden(find: Find) -> None:
    core = CORE.replace("    return w\n", "    ...\n")
    context = shown("p/core.py", "p/cli.py", "NEWS.md", core=core)
    found = find(solution((AREA,), (MAIN,), context=context), {})
    assert found.label is Label.RETRIEVAL
    assert found.evidence.unseen == (CodePlace(path="p/core.py", symbol="edge"),)


def test_a_plan_that_names_what_it_was_not_shown_is_judged_by_what_it_names(find: Find) -> None:
    assert find(solution(*ALL, context=shown("p/other.py")), work(core=CORE + "# BROKEN\n")).label is Label.CODE


def test_a_target_in_the_wrong_place_is_the_planners_if_the_rest_of_the_work_is_right(find: Find) -> None:
    elsewhere = Target(path="p/other.py")
    right = work(core=CORE_AFTER, other=OTHER + "# more\n")
    found = find(solution((AREA,), (EDGE,), (elsewhere,), context=EVERYTHING), right)
    assert found.label is Label.PLAN
    assert found.evidence.foreign == (CodePlace(path="p/other.py"),)


def test_a_plan_that_may_solve_it_another_way_is_not_blamed(find: Find) -> None:
    for elsewhere in (Target(path="p/other.py"), Target(path="p/new.py", action=Action.CREATE)):
        wrong = work(core=CORE + "# BROKEN\n", other=OTHER + "# more\n")
        found = find(solution((AREA,), (EDGE,), (elsewhere,), context=EVERYTHING), wrong)
        assert found.label is Label.UNDETERMINED


def test_a_plan_with_nothing_in_common_with_the_change_is_at_fault(find: Find) -> None:
    found = find(solution((Target(path="p/other.py"),), context=EVERYTHING), work(other=OTHER + "# BROKEN\n"))
    assert found.label is Label.PLAN


def test_removing_what_is_to_change_or_is_used_is_the_planners(find: Find) -> None:
    gone = Target(path="p/cli.py", action=Action.DELETE)
    assert find(solution((AREA,), (EDGE,), (gone,)), work(core=CORE_AFTER, cli=None)).label is Label.PLAN
    lost = Target(path="p/other.py", action=Action.DELETE)
    left = work(core=CORE_AFTER, cli=CLI_AFTER, other=None)
    assert find(solution(*ALL, (lost,)), left).label is Label.PLAN
    assert find(solution(*ALL), left).label is Label.CODE  # nobody asked for it
    besides = Target(path="p/more.py", action=Action.CREATE)
    assert find(solution(*ALL, (lost,), (besides,)), left | work(more="x = 1\n")).label is Label.PLAN


def test_what_the_plan_wants_besides_and_breaks_the_change_is_not_decided(find: Find) -> None:
    left = work(core=CORE_AFTER, cli=CLI_AFTER, other=OTHER.replace("1", "BROKEN"))
    assert find(solution(*ALL, (Target(path="p/other.py", symbol="helper"),)), left).label is Label.UNDETERMINED


def test_an_answer_that_cannot_be_read_is_the_planners_and_needs_no_experiment(find: Find) -> None:
    solved = Solution(meta=None, stopped_reason=StopReason.PLAN_MALFORMED, detail="meta_plan: not JSON")
    found = find(solved, {}, OutcomeKind.PLAN_MALFORMED)
    assert (found.label, found.evidence.experiments) == (Label.PLAN, ())
    assert "not JSON" in found.reason


def test_a_planner_that_stops_because_a_step_of_a_sufficient_plan_failed_is_not_at_fault(find: Find) -> None:
    stopped = {"stopped_reason": StopReason.STOPPED, "context": EVERYTHING}
    statuses = [StepStatus.TESTS_FAILED, StepStatus.NOT_RUN, StepStatus.NOT_RUN]
    found = find(solution(*ALL, statuses=statuses, **stopped), {}, OutcomeKind.PLANNER_STOPPED)
    assert found.label is Label.CODE
    given_up = [StepStatus.DONE, StepStatus.NOT_RUN, StepStatus.NOT_RUN]
    found = find(solution(*ALL, statuses=given_up, **stopped), {}, OutcomeKind.PLANNER_STOPPED)
    assert found.label is Label.PLAN


def test_a_part_that_was_never_begun_counts_with_its_own_targets(find: Find) -> None:
    later = (MetaPlanPart(id="p2", title="", description="", targets=(MAIN,)),)
    found = find(
        solution((AREA,), (EDGE,), later=later, stopped_reason=StopReason.TOO_MANY_PARTS, detail="more than 1 parts"),
        work(core=CORE_AFTER),
        OutcomeKind.LIMITS_REACHED,
    )
    assert found.label is Label.PLAN
    assert "too long" in found.reason


def test_a_plan_revised_after_a_failed_step_is_not_decided(find: Find) -> None:
    statuses = [StepStatus.TESTS_FAILED, StepStatus.NOT_RUN, StepStatus.NOT_RUN]
    found = find(solution(*ALL, statuses=statuses), work(core=CORE_AFTER))
    assert found.label is Label.UNDETERMINED


def test_a_prompt_too_long_is_not_decided(find: Find) -> None:
    solved = Solution(meta=None, stopped_reason=StopReason.PROMPT_TOO_LONG)
    assert find(solved, {}, OutcomeKind.PROMPT_TOO_LONG).label is Label.UNDETERMINED


def test_tests_that_fail_on_the_gold_patch_decide_nothing(instance_context: InstanceContext) -> None:
    def fails(changes: Overlay) -> Validation:
        return Validation(key="k", oracle=OracleKind.F2P_P2P, kind=OutcomeKind.TESTS_FAILED)

    found = attribute(
        AttributionExperiments(instance_context, fails), solution(*ALL), work(core=""), OutcomeKind.TESTS_FAILED
    )
    assert found.label is Label.UNDETERMINED


def test_without_a_plan_it_is_the_coder_or_retrieval(find: Find) -> None:
    core, cli = Target(path="p/core.py"), Target(path="p/cli.py")
    assert find(solution((core, cli), context=EVERYTHING), {}, planned=False).label is Label.CODE
    assert find(solution((core,), context=shown("p/core.py")), {}, planned=False).label is Label.RETRIEVAL
    nothing = Solution(meta=None, stopped_reason=StopReason.STOPPED, detail="no file", context=shown())
    assert find(nothing, {}, OutcomeKind.PLANNER_STOPPED, planned=False).label is Label.RETRIEVAL


def test_symbols_are_taken_as_models_write_them(find: Find) -> None:
    loosely = (Target(path="p/core.py", symbol="area()"), Target(path="p/core.py", symbol="p/core.py::edge"))
    assert find(solution(loosely, (MAIN,)), {}, OutcomeKind.EMPTY_PATCH).label is Label.CODE


@pytest.mark.parametrize("kind", [OutcomeKind.PASSED, OutcomeKind.PROVIDER_ERROR, OutcomeKind.FLAKY])
def test_what_is_no_failure_of_a_model_is_not_attributed(find: Find, kind: OutcomeKind) -> None:
    with pytest.raises(ValueError, match="no failure to attribute"):
        find(solution(*ALL), {}, kind)


def test_an_attribution_is_the_same_when_made_again(find: Find) -> None:
    solved = solution((AREA,), (MAIN,), (Target(path="p/other.py"),), context=EVERYTHING)
    assert find(solved, work(core=CORE_AFTER)) == find(solved, work(core=CORE_AFTER))


def test_the_clone_is_read_and_never_written(instance_context: InstanceContext, find: Find) -> None:
    git: Git = instance_context.package.git
    before = git.text("for-each-ref") + git.text("count-objects", "-v")
    find(solution((AREA,)), {})
    assert git.text("for-each-ref") + git.text("count-objects", "-v") == before


# merging

LINES = st.lists(st.sampled_from("abcd"), max_size=8).map(lambda letters: "".join(f"{letter}\n" for letter in letters))


@given(LINES, LINES)
def test_merging_with_what_did_not_change_gives_the_change(base: str, other: str) -> None:
    assert merge(base, other, base) == merge(base, base, other) == merge(base, other, other) == other


@given(LINES, LINES, LINES)
def test_merging_is_symmetric(base: str, ours: str, theirs: str) -> None:
    assert merge(base, ours, theirs) == merge(base, theirs, ours)


def test_changes_apart_are_both_made_and_changes_of_the_same_lines_conflict() -> None:
    base = "a\nb\nc\nd\ne\n"
    assert merge(base, "x\nb\nc\nd\ne\n", "a\nb\nc\nd\ny\n") == "x\nb\nc\nd\ny\n"
    assert merge(base, "a\nx\nc\nd\ne\n", "a\ny\nc\nd\ne\n") is None
