"""The gold planner: whatever a commit does, its steps reproduce it byte for byte, in both edit formats."""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from agent.edits.parse import parse_edits
from agent.loop import solve
from agent.plan.parse import parse_meta_plan, parse_part_plan, parse_test_plan
from agent.prompts import render
from agent.retrieve import rank
from harness.packages.gold_patch import GoldFileChange, GoldPatch, read_gold_patch
from harness.planners import GoldPlanner, NullPlanner
from harness.planners.gold_plan import ordered_by_use
from harness.planners.hunks import FileHunks
from harness.planners.rewrite import rewrite
from harness.runs.workspace import TreeWorkspace
from models.chat import prompt_text
from models.context import Relevance
from models.edits import CreateFile, EditFormat, SearchReplace, SymbolEdit
from models.files import FileContent
from models.plans import Action, MetaPlanPart, PlanStep, Target
from models.protocols import Request, SourceFile, Stage
from models.solution import StopReason
from repos.git import Git
from repos.index import build_index
from repos.sources import GitSource
from tests.support.gold_material import (
    AFTER,
    BEFORE,
    TASK,
    TEXTS,
    Deaf,
    Repository,
    change,
    patch,
    patches,
    reproduce,
    write_before,
    wrong,
)

FORMATS = list(EditFormat)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(gold=patches(), edit_format=st.sampled_from(FORMATS))
@example(gold=patch(change("a.py", "a\nb\n", "b\na\nb\n")), edit_format=EditFormat.SEARCH_REPLACE)
@example(gold=patch(change("a.py", "a\r\nb\r\n", "a\nb\n")), edit_format=EditFormat.WHOLE_SYMBOL)
@example(gold=patch(change("a.py", "", "x\n"), change("b.py", "x\n", "")), edit_format=EditFormat.WHOLE_SYMBOL)
def test_any_change_is_reproduced(
    tmp_path_factory: pytest.TempPathFactory, gold: GoldPatch, edit_format: EditFormat
) -> None:
    reproduce(gold, edit_format, tmp_path_factory.mktemp("tree"))


@settings(max_examples=200, deadline=None)
@given(TEXTS, TEXTS, st.data())
def test_any_mixture_of_hunks_is_recognised(before: str, after: str, data: st.DataObject) -> None:
    file = FileHunks("a.py", before, after)
    assert file.text(set()) == before
    assert file.text(set(range(len(file.hunks)))) == after
    indices = st.sets(st.sampled_from(range(len(file.hunks)))) if file.hunks else st.just(set())
    mixture = file.text(data.draw(indices))
    found = file.applied_in(mixture)
    assert found is not None
    assert file.text(found) == mixture


# real and synthetic commits


@pytest.mark.parametrize("edit_format", FORMATS)
def test_commits_of_a_repository_are_reproduced(tmp_path: Path, edit_format: EditFormat) -> None:
    repository = Repository(tmp_path / "r")
    repository.commit({"src/p/a.py": BEFORE, "src/p/b.py": "from p.a import first\n", "tests/test_a.py": "x = 1\n"})
    commits = [
        repository.commit(
            {"src/p/a.py": AFTER, "src/p/b.py": "from p.a import helper\n", "tests/test_a.py": "x = 2\n"}
        ),
        repository.commit({"src/p/a.py": None, "src/p/c.py": AFTER.replace("red", "blue"), "pyproject.toml": "[x]\n"}),
        repository.commit({"src/p/c.py": AFTER + "\n\nX = 1"}),
        repository.commit({"src/p/c.py": FileContent(AFTER.replace("\n", "\r\n"), executable=True)}),
        repository.commit({"src/p/c.py": None, "src/p/b.py": None, "tests/test_a.py": None}),
    ]
    for number, commit in enumerate(commits):
        gold = read_gold_patch(Git(repository.directory), commit)
        reproduce(gold, edit_format, tmp_path / str(number))


@pytest.mark.parametrize("edit_format", FORMATS)
def test_a_module_that_becomes_a_package_is_reproduced(tmp_path: Path, edit_format: EditFormat) -> None:
    reproduce(patch(change("p/x", "a\n", None), change("p/x/y.py", None, "b\n")), edit_format, tmp_path / "1")
    reproduce(patch(change("p/x/y.py", "a\n", None), change("p/x", None, "b\n")), edit_format, tmp_path / "2")
    reproduce(patch(change("x/x", BEFORE, AFTER, old_path="x")), edit_format, tmp_path / "3")


def test_whole_symbols_are_written_as_symbols(tmp_path: Path) -> None:
    _, recorder = reproduce(patch(change("a.py", BEFORE, AFTER)), EditFormat.WHOLE_SYMBOL, tmp_path)
    edits = [result.edit for result in recorder.results]
    assert all(isinstance(edit, SymbolEdit) for edit in edits)
    said = {(edit.op, edit.symbol) for edit in edits if isinstance(edit, SymbolEdit)}
    assert said == {
        ("replace", "<imports>"), ("insert-after", "SIZE"), ("replace", "first"),
        ("replace", "Thing.size"), ("replace", "Thing.name"),
    }  # fmt: skip


def test_search_blocks_have_the_least_context_that_is_unique(tmp_path: Path) -> None:
    before = "def f():\n    x\n    y\n\ndef g():\n    x\n    y\n"
    after = "def f():\n    x\n    y\n\ndef g():\n    x\n    z\n"
    _, recorder = reproduce(patch(change("a.py", before, after)), EditFormat.SEARCH_REPLACE, tmp_path)
    (edit,) = [result.edit for result in recorder.results]
    assert isinstance(edit, SearchReplace)
    assert edit.search == "def g():\n    x\n    y\n"


def test_nothing_is_rewritten_that_is_the_same() -> None:
    assert rewrite("a.py", AFTER, AFTER, EditFormat.SEARCH_REPLACE) == []


# plans


def plan_of(*changes: GoldFileChange) -> GoldPlanner:
    return GoldPlanner(patch(*changes), EditFormat.SEARCH_REPLACE)


def test_steps_are_symbols_in_the_order_of_their_use() -> None:
    plan = plan_of(change("a.py", BEFORE, AFTER)).plan
    steps = plan.part_plans["part-1"].in_order()
    symbols = [[target.symbol for target in step.targets] for step in steps]
    assert symbols == [["helper"], ["first"], ["Thing.size"], ["Thing.color", "Thing.name"]]
    assert steps[1].depends_on == (steps[0].id,)
    assert steps[0].targets[0].action is Action.CREATE


def test_parts_are_files_and_depend_on_what_they_import() -> None:
    plan = plan_of(
        change("src/p/a.py", "from p.z import new\n", "from p.z import new\nnew()\n"),
        change("src/p/z.py", "", "def new(): ...\n"),
        change("src/p/z.pyi", "", "def new() -> None: ...\n"),
        change("README.md", "a\n", "b\n"),
        change("pyproject.toml", "a\n", "b\n"),
        change("tests/test_z.py", "", "from p.z import new\n"),
    ).plan
    parts = plan.meta.in_order()
    assert [part.title for part in parts] == ["src/p/z.py, src/p/z.pyi", "src/p/a.py", "README.md, pyproject.toml"]
    assert parts[1].depends_on == (parts[0].id,)
    assert [len(plan.test_plans[part.id].steps) for part in parts] == [1, 0, 0]
    assert "new" in plan.test_plans[parts[0].id].covers


def test_relative_and_script_imports_are_edges() -> None:
    plan = plan_of(
        change("p/a.py", "", "from . import b\n"), change("p/b.py", "", "x = 1\n"),
        change("web/index.ts", "", "import { y } from './lib/y';\n"),
        change("web/lib/y.ts", "", "export const q = 1\n"),
    ).plan  # fmt: skip
    titles = {part.id: part.title for part in plan.meta.parts}
    edges = {(titles[part.id], titles[first]) for part in plan.meta.parts for first in part.depends_on}
    assert edges == {("p/a.py", "p/b.py"), ("web/index.ts", "web/lib/y.ts")}


def test_a_commit_of_tests_alone_has_a_part_for_them(tmp_path: Path) -> None:
    solution, _ = reproduce(patch(change("tests/test_a.py", "a\n", "b\n")), EditFormat.SEARCH_REPLACE, tmp_path)
    assert [plan.steps for plan in solution.part_plans] == [()]
    assert [len(plan.steps) for plan in solution.test_plans] == [1]


def test_use_in_a_circle_still_gives_an_order() -> None:
    uses = {("a", "b"), ("b", "c"), ("c", "a"), ("d", "a")}
    order, edges = ordered_by_use(["a", "b", "c", "d"], lambda node, other: (node, other) in uses)
    assert order == ["c", "b", "a", "d"]
    assert sum(map(len, edges.values())) == 3


def test_answers_are_text_that_the_parsers_of_a_models_answers_read() -> None:
    planner = plan_of(change("a.py", BEFORE, AFTER), change("tests/test_a.py", None, "x\n"))
    meta = parse_meta_plan(planner.answer(Request(stage=Stage.META_PLAN, task=TASK)).text)
    (part,) = meta.parts
    plan = parse_part_plan(planner.answer(Request(stage=Stage.PART_PLAN, task=TASK, meta=meta, part=part)).text, part)
    tests = parse_test_plan(planner.answer(Request(stage=Stage.TEST_PLAN, task=TASK, meta=meta, part=part)).text, part)
    files = (SourceFile(path="tests/test_a.py", text=None),)
    asked = Request(
        stage=Stage.CODE, task=TASK, step=tests.steps[0], files=files, edit_format=EditFormat.SEARCH_REPLACE
    )
    answer = planner.answer(asked)
    assert parse_edits(answer.text) == [CreateFile(path="tests/test_a.py", content="x\n")]
    assert len(plan.steps) == 4


@pytest.mark.parametrize("edit_format", FORMATS)
def test_all_eight_stages_are_answered_to_the_prompt_a_model_would_be_sent(
    tmp_path: Path, edit_format: EditFormat
) -> None:
    repository = Repository(tmp_path / "r")
    unrelated = {f"src/p/unrelated_{n}.py": f"def other_{n}():\n    return {n}\n" for n in range(3)}
    before = {"src/p/a.py": BEFORE, "src/p/b.py": "from p.a import first\n", "tests/test_a.py": "from p import a\n"}
    parent = repository.commit(before | unrelated)
    commit = repository.commit({"src/p/a.py": AFTER, "tests/test_a.py": "from p import a\n\nassert a.helper(1)\n"})
    git = Git(repository.directory)
    gold = read_gold_patch(git, commit)
    git.export(parent, tmp_path / "tree")
    recorder = Deaf()
    index = build_index(GitSource(git, parent))
    task = TASK.model_copy(update={"text": "Give a thing a color, and let first() use a helper"})
    planner = GoldPlanner(gold, edit_format)
    solution = solve(task, planner, TreeWorkspace(tmp_path / "tree"), recorder, index=index)
    assert solution.complete, solution
    assert wrong(gold, tmp_path / "tree") == []
    assert {request.stage for request, _ in recorder.answers} == set(Stage)
    assert [request.attempt for request, _ in recorder.answers] == [0] * len(recorder.answers)
    for request, answer in recorder.answers:
        assert answer.prompt == prompt_text(render(request, planner.max_prompt_tokens(request.stage), planner.count))
        assert 0 < answer.prompt_tokens <= planner.max_prompt_tokens(request.stage)
    assert solution.context is not None
    shown = {file.path: file.relevance for file in solution.context.files}
    assert shown["src/p/a.py"] is Relevance.RELEVANT
    assert not unrelated.keys() & shown.keys()


def test_no_prompt_tells_what_the_gold_patch_changes_but_the_task_does_not_say(tmp_path: Path) -> None:
    repository = Repository(tmp_path / "r")
    files = {f"src/p/{name}.py": f"def {name}_of(x):\n    return x\n" for name in ("alpha", "beta", "gamma", "delta")}
    parent = repository.commit(files)
    changed = {"src/p/gamma.py": "def gamma_of(x):\n    return x + 1\n"}
    git = Git(repository.directory)
    gold = read_gold_patch(git, repository.commit(changed))
    git.export(parent, tmp_path / "tree")
    recorder = Deaf()
    task = TASK.model_copy(update={"text": "Count from one"})
    index = build_index(GitSource(git, parent))
    planner = GoldPlanner(gold, EditFormat.SEARCH_REPLACE)
    assert solve(task, planner, TreeWorkspace(tmp_path / "tree"), recorder, index=index).complete
    [scope] = [request for request, _ in recorder.answers if request.stage is Stage.SCOPE]
    assert scope.candidates == tuple(rank(task.text, index)[: len(scope.candidates)])
    assert not [candidate.reason for candidate in scope.candidates if "names" in candidate.reason]


# coding


def coded(planner: GoldPlanner, files: dict[str, str | None], *targets: Target) -> list[object]:
    step = PlanStep(id="s", description="", targets=targets)
    return list(planner.edits(step, files))


def test_a_step_whose_edits_are_in_already_is_answered_with_no_change() -> None:
    planner = plan_of(change("a.py", BEFORE, AFTER), change("new.py", None, "x\n"), change("gone.py", "x\n", None))
    for plan in planner.plan.part_plans.values():
        for step in plan.steps:
            done = {"a.py": AFTER, "new.py": "x\n", "gone.py": None}
            assert planner.edits(step, done) == []


def test_another_planners_targets_get_only_what_lies_in_them(tmp_path: Path) -> None:
    planner = plan_of(change("a.py", BEFORE, AFTER), change("b.py", "x = 1\n", "x = 2\n"))
    edits = coded(planner, {"a.py": BEFORE}, Target(path="a.py", symbol="Thing"))
    text = BEFORE
    for edit in edits:
        assert isinstance(edit, SearchReplace)
        text = text.replace(edit.search, edit.replace)
    assert "SIZE * 2" in text
    assert "def color" in text
    assert "import sys" in text  # imports come with any target of their file
    assert "helper" not in text
    assert coded(planner, {"a.py": BEFORE}, Target(path="a.py", symbol="last"), Target(path="c.py")) == coded(
        planner, {"a.py": BEFORE}, Target(path="a.py", symbol="unknown")
    )
    assert len(coded(planner, {"b.py": "x = 1\n"}, Target(path="b.py"))) == 1


def test_a_plan_that_creates_and_deletes_instead_of_renaming_can_be_coded() -> None:
    planner = plan_of(change("new.py", BEFORE, AFTER, old_path="old.py"))
    create = Target(path="new.py", action=Action.CREATE)
    delete = Target(path="old.py", action=Action.DELETE)
    edits = coded(planner, {"new.py": None, "old.py": BEFORE}, create)
    assert edits == [CreateFile(path="new.py", content=AFTER)]
    assert len(coded(planner, {"new.py": AFTER, "old.py": BEFORE}, delete)) == 1
    assert len(coded(planner, {"new.py": None, "old.py": BEFORE}, delete, create)) == 2


def edited(planner: GoldPlanner, *targets: Target) -> str:
    step = PlanStep(id="s", description="", targets=targets)
    text = BEFORE
    for edit in planner.confined_edits(step, {"a.py": BEFORE}):
        assert isinstance(edit, SearchReplace)
        text = text.replace(edit.search, edit.replace)
    return text


def test_a_helper_that_no_target_names_comes_with_the_code_that_uses_it() -> None:
    planner = plan_of(change("a.py", BEFORE, AFTER))
    text = edited(planner, Target(path="a.py", symbol="first"))
    assert "def helper" in text
    assert "SIZE * 2" not in text


def test_a_class_is_made_by_a_plan_that_names_its_methods_alone() -> None:
    after = BEFORE + "\n\nclass New:\n    def run(self):\n        return 1\n"
    planner = plan_of(change("a.py", BEFORE, after))
    method = Target(path="a.py", symbol="New.run", action=Action.CREATE)
    assert planner.reaches(method)
    assert edited(planner, method) == after


@pytest.mark.parametrize(
    "target",
    [
        Target(path="a.py", action=Action.DELETE),
        Target(path="a.py", symbol="Thing.size", action=Action.DELETE),
        Target(path="a.py", symbol="last"),
        Target(path="b.py"),
        Target(path="b.py", action=Action.RENAME, new_path="a.py"),
    ],
)
def test_nothing_is_coded_where_the_patch_does_otherwise(target: Target) -> None:
    planner = plan_of(change("a.py", BEFORE, AFTER))
    assert not planner.reaches(target)
    assert edited(planner, target) in (BEFORE, BEFORE.replace("import os\n", "import os\nimport sys\n"))


def test_an_unknown_part_has_no_steps() -> None:
    planner = plan_of(change("a.py", BEFORE, AFTER))
    part = MetaPlanPart(id="other", title="", description="")
    assert parse_part_plan(planner.answer(Request(stage=Stage.PART_PLAN, task=TASK, part=part)).text, part).steps == ()


def test_identity_follows_patch_and_format() -> None:
    one, same, other = (patch(change("a.py", "a\n", after)) for after in ("b\n", "b\n", "c\n"))
    identities = {GoldPlanner(gold, edit_format).identity for gold in (one, same, other) for edit_format in FORMATS}
    assert len(identities) == 4


def test_the_null_planner_changes_nothing(tmp_path: Path) -> None:
    gold = patch(change("a.py", BEFORE, AFTER))
    write_before(gold, tmp_path)
    workspace = TreeWorkspace(tmp_path)
    solution = solve(TASK, NullPlanner(), workspace, Deaf())
    assert solution.stopped_reason is StopReason.FINISHED
    assert workspace.patch() == ""
    assert wrong(gold, tmp_path) == ["a.py"]
