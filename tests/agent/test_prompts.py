"""What a model is told: every stage renders, fits its room, is stable in front, and lets no text out of its fence."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.plan.parse import parse_adjustment, parse_meta_plan, parse_part_plan, parse_test_plan
from agent.prompts import answer_schema, render
from agent.prompts.shorten import one_line, shorten
from agent.retrieve.judgements import (
    form_of,
    parse_precision,
    parse_scope,
    parse_task_analysis,
    precision_classes,
    scope_classes,
)
from models.chat import prompt_text, read_prompt
from models.context import (
    Candidate,
    CandidateTier,
    ContextFile,
    ContextPackage,
    FileOutline,
    Relevance,
    SymbolOutline,
    TaskAnalysis,
)
from models.edits import EditFormat
from models.errors import PlanError
from models.judging import AnswerForm
from models.plans import Action, MetaPlan, MetaPlanPart, PartPlan, PlanStep, StepResult, StepStatus, Target
from models.protocols import Request, SourceFile, Stage, Task
from models.tokens import estimate_tokens

TASK = Task(text="Make `area` reject negative sides", repository="r", base="0")
TARGET = Target(path="src/a.py", symbol="area")
PART = MetaPlanPart(id="p1", title="reject", description="raise ValueError", targets=(TARGET,))
META = MetaPlan(rationale="small", parts=(PART,))
STEP = PlanStep(id="s1", description="check the sign", targets=(TARGET,))
PLAN = PartPlan(part_id="p1", steps=(STEP, PlanStep(id="s2", description="document", targets=(TARGET,))))
ROOM = 32_000


def context(*paths: str, size: int = 40) -> ContextPackage:
    files = tuple(
        ContextFile(
            path=path,
            relevance=Relevance.RELEVANT,
            text=f"# {path}\n" + "x = 1\n" * size,
            whole=True,
            tokens=size * 2,
            reason="named",
        )
        for path in paths
    )
    return ContextPackage(files=files, tokens=sum(file.tokens for file in files), budget=ROOM)


def request(stage: Stage, **changes: object) -> Request:
    candidates = (
        Candidate(
            path="src/a.py", score=1.0, tier=CandidateTier.MENTIONED, reason="names it", outline="def area(side)"
        ),
    )
    symbols = (SymbolOutline(name="area", kind="function", signature="def area(side)", tokens=12),)
    fields: dict[Stage, dict[str, object]] = {
        Stage.TASK_ANALYSIS: {"overview": "src/\n  a.py"},
        Stage.SCOPE: {"analysis": TaskAnalysis(summary="reject"), "candidates": candidates},
        Stage.PRECISION: {"outlines": (FileOutline(path="src/a.py", relevance=Relevance.RELEVANT, symbols=symbols),)},
        Stage.META_PLAN: {"context": context("src/a.py", "src/b.py")},
        Stage.PART_PLAN: {"context": context("src/a.py", "src/b.py"), "meta": META, "part": PART},
        Stage.TEST_PLAN: {"context": context("src/a.py"), "meta": META, "part": PART, "changes": "--- a\n+++ b\n"},
        Stage.ADJUSTMENT: {
            "context": context("src/a.py"),
            "meta": META,
            "part": PART,
            "results": (
                StepResult(part_id="p1", step_id="s1", status=StepStatus.TESTS_FAILED, attempts=2, detail="boom"),
            ),
        },
        Stage.CODE: {
            "context": context("src/a.py", "src/b.py"),
            "meta": META,
            "part": PART,
            "plan": PLAN,
            "step": STEP,
            "files": (SourceFile(path="src/a.py", text="def area(side):\n    return side * side\n"),),
            "edit_format": EditFormat.SEARCH_REPLACE,
        },
    }
    return Request.model_validate({"stage": stage, "task": TASK, **fields[stage], **changes})


@pytest.mark.parametrize("stage", list(Stage))
def test_every_stage_is_told_its_task_and_nothing_is_left_unrendered(stage: Stage) -> None:
    system, user = render(request(stage), ROOM, estimate_tokens)
    assert (system.role, user.role) == ("system", "user")
    assert TASK.text in user.content
    text = system.content + user.content
    assert "{%" not in text and "{{" not in text
    assert "Undefined" not in text
    assert read_prompt(prompt_text((system, user))) == (system, user)


@pytest.mark.parametrize("stage", list(Stage))
def test_the_same_request_gives_the_same_bytes(stage: Stage) -> None:
    assert render(request(stage), ROOM, estimate_tokens) == render(request(stage), ROOM, estimate_tokens)


def test_planning_stages_share_what_stands_first() -> None:
    meta = render(request(Stage.META_PLAN), ROOM, estimate_tokens)
    part = render(request(Stage.PART_PLAN), ROOM, estimate_tokens)
    assert meta[0] == part[0]
    shared = meta[1].content[: meta[1].content.index("# Your answer")]
    assert part[1].content.startswith(shared.rstrip("\n"))


def test_steps_of_a_part_share_all_but_their_end() -> None:
    first = render(request(Stage.CODE), ROOM, estimate_tokens)
    second = render(request(Stage.CODE, step=PLAN.steps[1]), ROOM, estimate_tokens)
    assert first[0] == second[0]
    assert first[1].content.split("# Step")[0] == second[1].content.split("# Step")[0]


def test_a_coder_sees_the_files_to_change_once_and_as_they_are_now() -> None:
    _, user = render(request(Stage.CODE), ROOM, estimate_tokens)
    assert "\n# src/a.py\n" not in user.content
    assert user.content.count("return side * side") == 1
    assert "src/b.py" in user.content


def test_context_gives_way_when_there_is_no_room() -> None:
    asked = request(Stage.META_PLAN, context=context("a.py", "b.py", "c.py", size=1500))
    whole = sum(estimate_tokens(m.content) for m in render(asked, 10**6, estimate_tokens))
    fitted = render(asked, whole - 100, estimate_tokens)
    assert sum(estimate_tokens(message.content) for message in fitted) <= whole - 100
    assert "## a.py" in fitted[1].content and "## b.py" in fitted[1].content
    assert "## c.py" not in fitted[1].content


def test_a_big_file_to_change_is_cut_to_what_the_step_targets() -> None:
    body = "".join(f"    x{line} = {line}\n" for line in range(9))
    filler = "".join(f"def f{n}():\n{body}\n\n" for n in range(400))
    text = filler + "def area(side):\n    return side * side\n"
    asked = request(Stage.CODE, files=(SourceFile(path="src/a.py", text=text),))
    messages = render(asked, 15_000, estimate_tokens)
    assert "return side * side" in messages[1].content
    assert sum(estimate_tokens(message.content) for message in messages) < estimate_tokens(text)


@given(st.text(alphabet="`~abc\n #", max_size=60))
def test_no_text_of_the_repository_closes_its_fence(text: str) -> None:
    asked = request(Stage.CODE, files=(SourceFile(path="src/a.py", text=text),))
    lines = render(asked, ROOM, estimate_tokens)[1].content.split("\n")
    start = lines.index("## src/a.py") + 2
    fence = lines[start].removesuffix("python")
    assert set(fence) == {"`"}
    end = next(i for i in range(start + 1, len(lines)) if lines[i].rstrip() == fence)
    assert "\n".join(lines[start + 1 : end]).split() == text.split()


def test_a_failure_is_shown_trimmed() -> None:
    failure = "\n".join(["head", *["noise"] * 5000, "E   assert 1 == 2", *["noise"] * 5000, "tail"])
    _, user = render(request(Stage.CODE, failure=failure, attempt=1), ROOM, estimate_tokens)
    assert "E   assert 1 == 2" in user.content and "tail" in user.content and "lines left out" in user.content


@given(st.text(max_size=3000), st.integers(min_value=100, max_value=500))
def test_shortened_text_keeps_its_order_and_bounds(text: str, most: int) -> None:
    short = shorten(text, most)
    if len(text) <= most:
        assert short == text
    else:
        marks = sum(line.startswith("[") and line.endswith("left out]") for line in short.split("\n"))
        assert len(short) <= most + 30 * (marks + 1) + 10 * short.count(" [cut]")


def test_one_line_folds_and_cuts() -> None:
    assert one_line("a\n  b") == "a b"
    assert len(one_line("x" * 500)) == 200


@pytest.mark.parametrize("form", AnswerForm)
@pytest.mark.parametrize("tokens", [300, 4000])
@pytest.mark.parametrize("stage", [stage for stage in Stage if stage is not Stage.CODE])
def test_a_schema_names_everything_and_bounds_every_list(stage: Stage, tokens: int, form: AnswerForm) -> None:
    def check(schema: dict[str, object]) -> None:
        if schema.get("type") == "object":
            properties = schema["properties"]
            assert isinstance(properties, dict)
            assert schema["required"] == list(properties) and schema["additionalProperties"] is False
            for each in properties.values():
                check(each)
        if schema.get("type") == "array":
            assert "maxItems" in schema
            check(schema["items"])  # type: ignore[arg-type]
        for each in schema.get("anyOf", []):  # type: ignore[attr-defined]
            check(each)

    schema = answer_schema(request(stage, answers=form), tokens)
    assert schema is not None
    check(schema)
    json.dumps(schema)


@pytest.mark.parametrize("form", AnswerForm)
def test_what_a_judge_is_shown_as_an_answer_is_of_the_form_that_is_read(form: AnswerForm) -> None:
    for stage, classes in ((Stage.SCOPE, scope_classes), (Stage.PRECISION, precision_classes)):
        system, _ = render(request(stage, answers=form), ROOM, estimate_tokens)
        [example] = [line for line in system.content.splitlines() if line.startswith("{")]
        assert form_of(example) is form
        assert len(classes(example)) == 2


def test_what_the_templates_show_as_answers_is_read_by_the_parsers() -> None:
    target = {"path": "src/a.py", "symbol": "area", "action": "modify", "new_path": None}
    step = {"id": "s1", "description": "d", "targets": [target], "depends_on": []}
    part = {"id": "p1", "title": "t", "description": "d", "targets": [target], "depends_on": []}
    assert parse_meta_plan(json.dumps({"rationale": "", "parts": [part]})).parts[0].targets[0].action is Action.MODIFY
    assert parse_part_plan(json.dumps({"part_id": "p1", "rationale": "", "steps": [step]}), PART).steps
    tests = {"part_id": "p1", "rationale": "", "steps": [step], "covers": ["area"]}
    assert parse_test_plan(json.dumps(tests), PART).covers == ("area",)
    assert parse_adjustment(json.dumps({"verdict": "continue", "reason": "r", "parts": []})).parts == ()


def test_a_judge_may_name_only_what_it_was_shown() -> None:
    scope, precision = request(Stage.SCOPE), request(Stage.PRECISION)
    good = '{"files": {"src/a.py": "relevant"}}'
    assert [each.path for each in parse_scope(good, scope.candidates)] == ["src/a.py"]
    assert parse_scope('{"files": {}}', scope.candidates) == []
    with pytest.raises(PlanError, match=r"'/etc/passwd' was not among those shown"):
        parse_scope(good.replace("src/a.py", "/etc/passwd"), scope.candidates)
    with pytest.raises(PlanError, match="appears twice"):
        parse_scope('{"files": {"src/a.py": "relevant", "src/a.py": "irrelevant"}}', scope.candidates)
    symbols = '{"symbols": {"src/a.py": {"nowhere": "primary"}}}'
    with pytest.raises(PlanError, match="was not among those shown"):
        parse_precision(symbols, precision.outlines)
    with pytest.raises(PlanError, match="summary"):
        parse_task_analysis("{}")
