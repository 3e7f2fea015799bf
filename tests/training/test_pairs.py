"""Which answers on record are worth learning: each rule, and that it bites."""

import json
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.edits.parse import parse_edits
from agent.prompts import render
from agent.retrieve.judgements import write_scope
from models.attribution import Label
from models.chat import Message, prompt_text
from models.context import Relevance, SymbolUse
from models.curation_settings import CurationSettings
from models.edits import CreateFile, EditFormat, SearchReplace, SymbolEdit
from models.errors import UsageError
from models.judging import AnswerForm
from models.outcomes import OracleKind, OutcomeKind
from models.plans import MetaPlan, MetaPlanPart, PartPlan, PlanStep, Target
from models.protocols import FALLBACK, Answer, Request, Stage
from models.training import PairSource, TrainingTarget
from store.rows import writing
from store.runs.closed_runs import owner_of
from store.tables import TaskRun, table_of
from tests.support.pairs_material import GOOD_SCOPE, LIBRARY, OLD, Repository, World, gold_runs
from training.data.sources import StoredExamples, read_pairs, read_unverified
from training.data.sources.evolution import left_as_it_was
from training.data.sources.templates import is_current, task_of


@pytest.fixture
def world(tmp_path: Path) -> World:
    made = World(tmp_path)
    made.add(Repository("lib"))
    return made


def dropped(harvest: StoredExamples) -> dict[str, int]:
    return {name: count for name, _, count in harvest.funnel.rows if count}


def refused(harvest: StoredExamples) -> dict[str, int]:
    return {name: count for name, _, count in harvest.preference_funnel.rows if count}


def test_a_gold_answer_becomes_a_pair_with_all_that_is_known_of_it(world: World) -> None:
    run = world.run("lib-0").scope().close()
    [pair] = read_pairs(world.raw, TrainingTarget.SCOPE).pairs
    assert (pair.stage, pair.source, pair.weight) == (Stage.SCOPE, PairSource.SYNTHETIC, 1.0)
    assert json.loads(pair.answer)["files"] == GOOD_SCOPE
    assert task_of(pair.messages) == run.task.text
    assert is_current(pair.stage, pair.messages)
    known = pair.provenance
    instance = world.repositories["lib-0"].instance(0)
    assert (known.trajectory, known.attempt, known.seq) == (run.key, 1, 0)
    assert (known.repository, known.organisation, known.domain, known.license) == (
        "lib",
        "lib-people",
        "unknown",
        "MIT",
    )
    assert (known.commit, known.base_commit) == (instance.commit, instance.base_commit)
    assert (known.oracle, known.outcome, known.alignment) == ("f2p-p2p", "passed", 1.0)


@pytest.mark.parametrize("kind", [kind for kind in OutcomeKind if not kind.succeeded])
def test_nothing_but_a_pass_is_a_positive_example(world: World, kind: OutcomeKind) -> None:
    world.run("lib-0", "student", kind="solve").scope().close(kind, oracle=None)
    if kind.final:
        harvest = read_pairs(world.raw, TrainingTarget.SCOPE, CurationSettings(unjudged_weight=0.5))
        assert (harvest.pairs, dropped(harvest)) == ([], {"run did not pass": 1})
    assert read_pairs(world.raw, TrainingTarget.SCOPE).pairs == []


def test_an_open_trajectory_and_an_attempt_that_did_not_close_it_do_not_count(world: World) -> None:
    world.run("lib-0").scope()
    again = world.run("lib-1").scope({**GOOD_SCOPE, "src/far.py": "supporting"})
    again.close(OutcomeKind.PROVIDER_ERROR)
    world.run("lib-1").scope().close()
    harvest = read_pairs(world.raw, TrainingTarget.SCOPE)
    assert [pair.provenance.attempt for pair in harvest.pairs] == [2]
    assert json.loads(harvest.pairs[0].answer)["files"] == GOOD_SCOPE


@pytest.mark.parametrize(
    ("oracle", "alignment", "expected"),
    [
        (OracleKind.F2P_P2P, 1.0, 1.0),
        (OracleKind.F2P_P2P, 0.2, 0.6),
        (OracleKind.F2P_P2P, None, 0.75),
        (OracleKind.GENERATED_TESTS, 1.0, 0.8),
        (OracleKind.GENERATED_TESTS, 0.2, "lucky pass"),
        (OracleKind.STRUCTURAL, 1.0, "no real oracle"),
        (None, 1.0, "no real oracle"),
    ],
)
def test_a_pass_weighs_what_its_oracle_and_alignment_say(
    world: World, oracle: OracleKind | None, alignment: float | None, expected: float | str
) -> None:
    world.run("lib-0", "teacher").code().close(oracle=oracle, alignment=alignment)
    harvest = read_pairs(world.raw, TrainingTarget.CODE)
    if isinstance(expected, str):
        assert (harvest.pairs, dropped(harvest)) == ([], {expected: 1})
    else:
        assert [pair.weight for pair in harvest.pairs] == [expected]


def test_a_lucky_pass_may_count_for_less_instead(world: World) -> None:
    world.run("lib-0", "teacher").code().close(oracle=OracleKind.GENERATED_TESTS, alignment=0.2)
    [pair] = read_pairs(world.raw, TrainingTarget.CODE, CurationSettings(lucky_weight=0.1)).pairs
    assert pair.weight == 0.1


@pytest.mark.parametrize("kind", [kind for kind in OutcomeKind if kind.succeeded])
def test_a_persons_solve_is_logged_and_counts_only_if_the_settings_say_so(world: World, kind: OutcomeKind) -> None:
    world.run("lib-0", "student", kind="solve").code().close(kind, oracle=None, alignment=None)
    assert dropped(read_pairs(world.raw, TrainingTarget.CODE)) == {"no real oracle": 1}
    [pair] = read_pairs(world.raw, TrainingTarget.CODE, CurationSettings(unjudged_weight=0.3)).pairs
    assert (pair.source, pair.weight) == (PairSource.LOGGED, 0.3)


@pytest.mark.parametrize("form", AnswerForm)
def test_a_judgement_in_either_form_is_kept_if_it_finds_what_the_commit_changes(world: World, form: AnswerForm) -> None:
    first = next(iter(GOOD_SCOPE))
    assert GOOD_SCOPE[first] == "relevant"
    unlike_gold = {path for path, relevance in GOOD_SCOPE.items() if relevance == "irrelevant"}
    classes = {p: Relevance.SUPPORTING if p in unlike_gold else Relevance(r) for p, r in GOOD_SCOPE.items()}
    world.run("lib-0").scope().close()  # gold's, by path
    for sample, judged in enumerate((classes, {**classes, first: Relevance.IRRELEVANT})):
        run = world.run("lib-0", "student", sample=sample)
        request = run.scope_request().model_copy(update={"answers": form})
        run.say(request, write_scope(judged, form)).close()
    harvest = read_pairs(world.raw, TrainingTarget.SCOPE)
    [pair] = [pair for pair in harvest.pairs if pair.source is PairSource.HARNESS]
    assert pair.answer == write_scope(classes, form)
    assert is_current(pair.stage, pair.messages)
    assert dropped(harvest) == {"missed the change": 1}


def test_a_judgement_of_what_was_not_shown_is_not_learned(world: World) -> None:
    run = world.run("lib-0", "student")
    request = run.scope_request().model_copy(update={"answers": AnswerForm.LETTERS})
    run.say(request, '{"99": "R"}').close()
    assert dropped(read_pairs(world.raw, TrainingTarget.SCOPE)) == {"not readable": 1}


def test_a_models_run_is_the_harness_own(world: World) -> None:
    world.run("lib-0", "teacher").code().close()
    assert [pair.source for pair in read_pairs(world.raw, TrainingTarget.CODE).pairs] == [PairSource.HARNESS]


def test_a_call_without_its_prompt_cannot_be_learned(world: World) -> None:
    world.run("lib-0").scope(prompt=False).close()
    assert dropped(read_pairs(world.raw, TrainingTarget.SCOPE)) == {"no prompt": 1}


def test_of_a_repaired_answer_the_repair_stays_and_the_malformed_one_goes(world: World) -> None:
    run = world.run("lib-0").say(world.run("lib-0", sample=9).scope_request(), "nothing useful")
    run.malformed(Stage.SCOPE).scope(attempt=1).close()
    harvest = read_pairs(world.raw, TrainingTarget.SCOPE)
    assert [json.loads(pair.answer)["files"] for pair in harvest.pairs] == [GOOD_SCOPE]
    assert "Your last answer could not be used" in harvest.pairs[0].messages[1].content
    assert dropped(harvest) == {"malformed": 1}


def test_an_answer_recorded_as_malformed_never_counts_even_if_it_can_be_read_today(world: World) -> None:
    world.run("lib-0").scope().malformed(Stage.SCOPE).close()
    assert dropped(read_pairs(world.raw, TrainingTarget.SCOPE)) == {"malformed": 1}


def test_a_malformed_answer_of_another_stage_or_batch_harms_no_other(world: World) -> None:
    run = world.run("lib-0").analyse().malformed(Stage.TASK_ANALYSIS).scope()
    run.say(run.scope_request(paths=("docs/a.md",)), '{"files": {"docs/a.md": "irrelevant"}}').close()
    assert len(read_pairs(world.raw, TrainingTarget.SCOPE).pairs) == 2
    assert read_pairs(world.raw, TrainingTarget.TASK_ANALYSIS).pairs == []


def test_an_answer_that_nobody_can_read_does_not_count_though_nobody_said_so(world: World) -> None:
    run = world.run("lib-0")
    run.say(run.scope_request(), "{}").close()
    assert dropped(read_pairs(world.raw, TrainingTarget.SCOPE)) == {"not readable": 1}


def test_what_no_tokenizer_takes_is_not_learned(world: World) -> None:
    world.run("lib-0", "teacher").code("    return '\udc80'\n", "s1").code(step="s2").close()
    harvest = read_pairs(world.raw, TrainingTarget.CODE)
    assert (len(harvest.pairs), dropped(harvest)) == (1, {"not readable": 1})
    bad = world.run("lib-0", "student").code("    return '\udc80'\n", "s2")
    bad.close(OutcomeKind.TESTS_FAILED, label=Label.CODE)
    harvest = read_pairs(world.raw, TrainingTarget.CODE)
    assert (harvest.preferences, refused(harvest)) == ([], {"not readable": 1})


def test_an_answer_that_was_cut_off_does_not_count(world: World) -> None:
    world.run("lib-0").scope(finish_reason="length").close()
    assert dropped(read_pairs(world.raw, TrainingTarget.SCOPE)) == {"cut off": 1}


def test_of_a_step_that_was_coded_twice_the_answer_that_stood_counts(world: World) -> None:
    world.run("lib-0").code("    return 3\n").code("    return 2\n", attempt=1).code(step="s2").close()
    harvest = read_pairs(world.raw, TrainingTarget.CODE)
    assert len(harvest.pairs) == 2
    assert dropped(harvest) == {"answered again": 1}
    assert not any("return 3" in pair.answer for pair in harvest.pairs)


def test_code_whose_edits_were_rejected_does_not_count(world: World) -> None:
    world.run("lib-0").code(error="not found").code(step="s2").close()
    harvest = read_pairs(world.raw, TrainingTarget.CODE)
    assert ["in s2" in pair.messages[1].content for pair in harvest.pairs] == [True]
    assert dropped(harvest) == {"edits rejected": 1}


def test_the_same_answer_to_the_same_prompt_comes_once_and_from_where_it_weighs_most(world: World) -> None:
    world.run("lib-0", "teacher", sample=0).code().close(alignment=0.2)
    best = world.run("lib-0", "teacher", sample=1).code(reused=True).close(alignment=1.0)
    world.run("lib-0", "teacher", sample=2).code().close(alignment=0.6)
    harvest = read_pairs(world.raw, TrainingTarget.CODE)
    assert [(pair.weight, pair.provenance.trajectory) for pair in harvest.pairs] == [(1.0, best.key)]
    assert dropped(harvest) == {"same again": 2}


def test_what_was_said_in_a_campaign_that_is_meant_belongs_to_it(world: World) -> None:
    world.run("lib-0", campaign="first").scope().close()
    meant = world.run("lib-0", campaign="second").scope().close(alignment=0.9)
    harvest = read_pairs(world.raw, TrainingTarget.SCOPE, campaigns=["second"])
    assert [pair.provenance.trajectory for pair in harvest.pairs] == [meant.key]
    assert {pair.provenance.campaign for pair in harvest.pairs} == harvest.campaigns


def test_a_campaign_that_never_ran_is_named_with_those_that_did(world: World) -> None:
    world.run("lib-0", campaign="first").scope().close()
    with pytest.raises(UsageError, match="no campaign 'third' was run; known: first"):
        read_pairs(world.raw, TrainingTarget.SCOPE, campaigns=["third"])


def test_a_prompt_of_other_templates_is_not_what_the_student_will_see(world: World) -> None:
    run = world.run("lib-0")
    today = run.scope_request()
    old_question = prompt_text((Message(role="system", content="You judge."), Message(role="user", content="Judge.")))
    run.say(today, json.dumps({"files": GOOD_SCOPE}), prompt=False).close()
    assert dropped(read_pairs(world.raw, TrainingTarget.SCOPE)) == {"no prompt": 1}
    other = world.run("lib-1")
    other.recorder.call(today, Answer(text=json.dumps({"files": GOOD_SCOPE}), model="m", prompt=old_question))
    other.close()
    assert dropped(read_pairs(world.raw, TrainingTarget.SCOPE)) == {"no prompt": 1, "other template": 1}


@pytest.mark.parametrize("stage", list(Stage))
def test_todays_prompts_are_current_for_their_stage_and_no_other(world: World, stage: Stage) -> None:
    part = MetaPlanPart(id="p1", title="Part", description="Do")
    step = PlanStep(id="s1", description="Do", targets=(Target(path="a.py"),))
    request = Request(
        stage=stage, task=world.task("lib-0"), meta=MetaPlan(parts=(part,)), part=part,
        plan=PartPlan(part_id="p1", steps=(step,)), step=step, edit_format=EditFormat.WHOLE_SYMBOL,
    )  # fmt: skip
    messages = render(request, 10**6, len)
    assert [each for each in Stage if is_current(each, messages)] == [stage]


# Judgements


@pytest.mark.parametrize(
    ("judged", "weight"),
    [
        (GOOD_SCOPE, 1.0),
        ({**GOOD_SCOPE, "src/other.py": "relevant"}, 0.5),
        ({**GOOD_SCOPE, "src/lib.py": "supporting"}, None),
        ({"src/other.py": "relevant"}, None),
    ],
)
def test_a_models_judgement_counts_if_it_found_what_the_commit_changes(
    world: World, judged: dict[str, str], weight: float | None
) -> None:
    world.run("lib-0", "teacher").scope(judged).close()
    harvest = read_pairs(world.raw, TrainingTarget.SCOPE)
    assert [pair.weight for pair in harvest.pairs] == ([] if weight is None else [weight])
    assert dropped(harvest) == ({"missed the change": 1} if weight is None else {})


def test_what_gold_found_in_the_instance_must_be_found_too(world: World) -> None:
    world.run("lib-0").scope({**GOOD_SCOPE, "src/other.py": "relevant"}).close()
    world.run("lib-0", "teacher").scope(GOOD_SCOPE).close()
    harvest = read_pairs(world.raw, TrainingTarget.SCOPE)
    assert [pair.provenance.planner for pair in harvest.pairs] == ["gold"]
    assert dropped(harvest) == {"missed the change": 1}


def test_a_judge_of_a_batch_without_the_change_cannot_miss_it(world: World) -> None:
    run = world.run("lib-0", "teacher")
    run.say(run.scope_request(paths=("docs/a.md",)), '{"files": {"docs/a.md": "irrelevant"}}').close()
    assert len(read_pairs(world.raw, TrainingTarget.SCOPE).pairs) == 1


@pytest.mark.parametrize(("files", "kept"), [(["src/lib.py"], 1), (["src/other.py"], 0), ([], 0)])
def test_an_analysis_must_name_the_files(world: World, files: list[str], kept: int) -> None:
    world.run("lib-0", "teacher").analyse(files).close()
    assert len(read_pairs(world.raw, TrainingTarget.TASK_ANALYSIS).pairs) == kept


@pytest.mark.parametrize(("use", "kept"), [(SymbolUse.PRIMARY, 1), (SymbolUse.SUPPORTING, 0), (SymbolUse.EXCLUDED, 0)])
def test_a_judge_of_symbols_must_find_those_that_change(world: World, use: SymbolUse, kept: int) -> None:
    world.run("lib-0", "teacher").precision({"work": use, "help": SymbolUse.EXCLUDED}).close()
    assert len(read_pairs(world.raw, TrainingTarget.PRECISION).pairs) == kept


def test_planning_is_learned_with_its_reasoning(world: World) -> None:
    world.run("lib-0", "teacher").meta_plan(reasoning="First this, then that.").close()
    [pair] = read_pairs(world.raw, TrainingTarget.PLANNING).pairs
    assert (pair.stage, pair.reasoning) == (Stage.META_PLAN, "First this, then that.")


# Preferences


def failing(world: World, label: Label | None, **how: object) -> None:
    world.run("lib-0", "student").meta_plan("Wrong").close(OutcomeKind.TESTS_FAILED, label=label, **how)


def test_a_plan_that_passed_is_better_than_one_that_failed_by_its_plan(world: World) -> None:
    good = world.run("lib-0", "teacher").meta_plan("Right").close()
    failing(world, Label.PLAN)
    [preference] = read_pairs(world.raw, TrainingTarget.PLANNING).preferences
    assert (preference.kind, preference.stage) == ("attributed", Stage.META_PLAN)
    assert "Right" in preference.chosen and "Wrong" in preference.rejected
    assert (preference.chosen_by.trajectory, preference.rejected_by.attribution) == (good.key, "plan")


@pytest.mark.parametrize("label", [Label.UNDETERMINED, Label.RETRIEVAL, Label.CODE, None])
def test_a_failure_that_was_not_put_down_to_the_plan_says_nothing_of_it(world: World, label: Label | None) -> None:
    world.run("lib-0", "teacher").meta_plan("Right").close()
    failing(world, label)
    harvest = read_pairs(world.raw, TrainingTarget.PLANNING)
    assert harvest.preferences == []
    assert refused(harvest) == {"failure not attributed to this stage": 1}


def test_preferences_share_their_prompt_to_the_byte(world: World) -> None:
    run = world.run("lib-1", "teacher").meta_plan("Right").close()
    failing(world, Label.PLAN)
    harvest = read_pairs(world.raw, TrainingTarget.PLANNING)
    assert run.instance != "lib-0"
    assert harvest.preferences == []
    assert refused(harvest) == {"prompt not shared with a pass": 1}


def test_an_answer_to_another_prompt_of_the_same_step_is_no_match(world: World) -> None:
    world.run("lib-0", "teacher").code("    return 2\n").close()
    bad = world.run("lib-0", "student").code("    return 8\n", attempt=1)
    bad.close(OutcomeKind.TESTS_FAILED, label=Label.CODE)
    harvest = read_pairs(world.raw, TrainingTarget.CODE)
    assert harvest.preferences == []
    assert refused(harvest) == {"prompt not shared with a pass": 1}


def test_a_pass_that_counts_for_nothing_is_no_better_than_a_failure(world: World) -> None:
    world.run("lib-0", "teacher").meta_plan("Lucky").close(oracle=OracleKind.GENERATED_TESTS, alignment=0.1)
    failing(world, Label.PLAN)
    assert read_pairs(world.raw, TrainingTarget.PLANNING).preferences == []


def test_the_same_answer_is_no_preference_and_a_malformed_one_is_not_a_worse_plan(world: World) -> None:
    world.run("lib-0", "teacher").meta_plan("Right").close()
    world.run("lib-0", "student").meta_plan("Right").close(OutcomeKind.TESTS_FAILED, label=Label.PLAN)
    bad = world.run("lib-0", "student", sample=1).meta_plan("Wrong").malformed(Stage.META_PLAN)
    bad.close(OutcomeKind.PLAN_MALFORMED, label=Label.PLAN)
    harvest = read_pairs(world.raw, TrainingTarget.PLANNING)
    assert harvest.preferences == []
    assert refused(harvest) == {"malformed": 1, "same answer as the pass": 1}


def test_only_the_steps_that_failed_are_bad_code(world: World) -> None:
    world.run("lib-0", "teacher").code("    return 2\n", "s1").code("    return 2\n", "s2").close()
    bad = world.run("lib-0", "student").code("    return 8\n", "s1").code("    return 9\n", "s2")
    bad.close(OutcomeKind.TESTS_FAILED, label=Label.CODE, failed_steps=("p1/s2",))
    harvest = read_pairs(world.raw, TrainingTarget.CODE)
    assert ["return 9" in each.rejected for each in harvest.preferences] == [True]
    assert refused(harvest)["step did not fail"] == 1


def test_a_prompt_gives_so_many_preferences_and_no_more(world: World) -> None:
    world.run("lib-0", "teacher").meta_plan("Right").close()
    for sample in range(6):
        run = world.run("lib-0", "student", sample=sample).meta_plan(f"Wrong {sample}")
        run.close(OutcomeKind.TESTS_FAILED, label=Label.PLAN)
    harvest = read_pairs(world.raw, TrainingTarget.PLANNING, CurationSettings(preferences_per_prompt=3))
    assert (len(harvest.preferences), refused(harvest)) == (3, {"enough for this prompt": 3})


# Before and after


def test_new_code_is_better_than_old_in_the_same_form_and_in_both_orders(world: World) -> None:
    world.run("lib-0").code("    return 2\n").close()
    made = read_pairs(world.raw, TrainingTarget.CODE).preferences
    assert Counter(each.kind for each in made) == {"before-after": 1, "comparison": 2}
    [coder] = [each for each in made if is_current(Stage.CODE, each.messages)]
    assert parse_edits(coder.chosen) == [SearchReplace(path="src/lib.py", search=OLD, replace="    return 2\n")]
    assert parse_edits(coder.rejected) == [SearchReplace(path="src/lib.py", search=OLD, replace=OLD)]
    judged = [each for each in made if each is not coder]
    assert {(each.chosen, each.rejected) for each in judged} == {("A", "B"), ("B", "A")}
    for each in judged:
        change_a = each.messages[1].content.partition("# Change A")[2].partition("# Change B")[0]
        assert ("return 2" in change_a) == (each.chosen == "A")
        assert each.weight == 0.25 * coder.weight


def test_the_judges_question_can_be_left_out_and_models_answers_are_not_compared_with_old_code(world: World) -> None:
    world.run("lib-0").code().close()
    world.run("lib-1", "teacher").code().close()
    made = read_pairs(world.raw, TrainingTarget.CODE, CurationSettings(both_orders=False)).preferences
    assert [each.chosen_by.planner for each in made] == ["gold"]


def test_an_answer_that_changes_nothing_is_not_better_than_nothing(world: World) -> None:
    world.run("lib-0").code(edits=[]).close()
    assert read_pairs(world.raw, TrainingTarget.CODE).preferences == []


def test_what_has_no_old_code_leaves_no_edit() -> None:
    whole = SymbolEdit(path="src/lib.py", symbol="work", body="def work():\n    return 2\n")
    new = CreateFile(path="src/new.py", content="x = 1\n")
    beside = SymbolEdit(path="src/lib.py", symbol="work", op="insert-after", body="def more(): ...\n")
    assert left_as_it_was([whole, new, beside], {"src/lib.py": LIBRARY}) == [whole.model_copy(update={"body": LIBRARY})]


# Where things come from


@pytest.mark.parametrize(
    ("source", "owner"),
    [
        ("https://example.org/Hynek/stamina", "hynek"),
        ("https://example.org/group/sub/name.git", "group"),
        ("git@example.org:owner/name.git", "owner"),
        ("local:hynek-stamina", "unknown"),
        ("https://example.org/name", "unknown"),
        ("file:///home/me/name", "unknown"),
        ("", "unknown"),
    ],
)
def test_the_owner_is_read_from_the_url_or_unknown(source: str, owner: str) -> None:
    assert owner_of(source) == owner


@given(st.text())
def test_any_source_has_an_owner_or_none(source: str) -> None:
    assert owner_of(source)


def test_the_manifest_knows_the_organisation_better_than_the_url(tmp_path: Path) -> None:
    world = World(tmp_path)
    gold_runs(world, Repository("lib", organisation="Org", domain="Testing", license=None, instances=1))
    [pair] = read_pairs(world.raw, TrainingTarget.SCOPE).pairs
    known = pair.provenance
    assert (known.organisation, known.domain, known.license) == ("Org", "Testing", "unknown")


def test_a_source_stored_with_the_trajectory_is_believed(world: World) -> None:
    run = world.run("lib-0", "student").code()
    with writing(world.raw.engine) as connection:
        table = table_of(TaskRun)
        connection.execute(table.update().where(table.c.id == run.key).values(source="logged"))
    run.close()
    assert [pair.source for pair in read_pairs(world.raw, TrainingTarget.CODE).pairs] == [PairSource.LOGGED]


def fallen_back(world: World, planner: str = "student") -> None:
    """A run whose first judgement no attempt of the student's own model could give; the second is its own."""
    run = world.run("lib-0", planner).scope({}).malformed(Stage.SCOPE).scope({}, attempt=1).malformed(Stage.SCOPE)
    run.scope(attempt=2, model="large")
    run.recorder.decision(Stage.SCOPE, "task attempt 2", FALLBACK, "unusable: no JSON")
    run.scope({**GOOD_SCOPE, "src/far.py": "supporting"}).close()


def test_what_a_generalist_answered_is_not_under_the_students_name(world: World) -> None:
    world.run("lib-0").scope().close()
    fallen_back(world)
    pairs = read_pairs(world.raw, TrainingTarget.SCOPE).pairs
    by = {(pair.provenance.planner, pair.provenance.model) for pair in pairs if pair.provenance.planner != "gold"}
    assert by == {("generalist", "large"), ("student", "m")}


def test_a_generalists_answers_are_none_of_the_students_own(world: World) -> None:
    fallen_back(world)
    found = read_unverified(world.raw, TrainingTarget.SCOPE, 1.0)
    assert [(pair.provenance.planner, pair.provenance.model) for pair in found.pairs] == [("student", "m")]
    assert dropped(found)["a generalist's"] == 1
