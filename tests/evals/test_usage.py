"""What a report counts, and what a campaign is expected to cost."""

from pathlib import Path

import pytest

from evals.quality import UNATTRIBUTED, qualities
from harness.packages.package import RepoPackage
from harness.runs.campaigns import PRIOR, campaign_config, estimate
from harness.runs.model_pool import ModelPool
from models.attribution import Attribution, Evidence, Label
from models.campaign_settings import Grid, StepTestMode
from models.context import ContextPackage
from models.edits import CreateFile, EditResult, Rung
from models.llm_settings import Endpoint, ModelSettings, Price, Roles
from models.outcomes import OutcomeKind
from models.protocols import JUDGING_STAGES, Answer, Request, Stage
from models.settings import Settings
from store.database import open_database
from store.runs import RawStore, campaign_key
from store.runs.voiding import AnswerChoice, forget_answers
from tests.support.store_material import TASK, make_manifest

EDIT = CreateFile(path="lib.py", content="")


@pytest.fixture
def store(database_target: str) -> RawStore:
    return RawStore(open_database(database_target, "raw"))


def attempt(store: RawStore, key: str, kind: OutcomeKind, label: Label | None = None, **answer: object) -> None:
    number = store.begin_attempt(key)
    assert number is not None
    recorder = store.recorder(key, number)
    said = Answer(**({"text": "{}", "model": "m", "prompt_tokens": 100, "cost": 0.5, "latency": 2.0} | answer))
    recorder.call(Request(stage=Stage.SCOPE, task=TASK), said)
    recorder.decision(Stage.SCOPE, "task attempt 0", "malformed", "no JSON")
    recorder.call(Request(stage=Stage.SCOPE, task=TASK, attempt=1, failure="no JSON"), said)
    context = ContextPackage(tokens=700 if answer else 900, budget=1000)
    recorder.call(Request(stage=Stage.CODE, task=TASK, context=context), said)
    recorder.edits("p", "s", 0, [EditResult(edit=EDIT, rung=Rung.EXACT), EditResult(edit=EDIT, error="exists")])
    if label is not None:
        found = Attribution(label=label, reason="so", version=1, evidence=Evidence(outcome=kind))
        store.store_attribution(key, number, found)
    store.close_trajectory(key, number, kind, seconds=3.0)


def campaign(store: RawStore) -> str:
    keys = store.register_package(make_manifest())
    identity = store.register_campaign({"any": "thing"})
    store.start_run(identity, "c", "flow", [Path("lib")])
    opened = [
        store.open_trajectory(identity, keys[instance], "student", "v1", temperature, 0)
        for instance in ("lib-0", "lib-1")
        for temperature in (0.3, 0.6)
    ]
    attempt(store, opened[0], OutcomeKind.PASSED)
    attempt(store, opened[1], OutcomeKind.TESTS_FAILED, Label.CODE, reused=True, cost=0.0, latency=0.0)
    attempt(store, opened[2], OutcomeKind.TESTS_FAILED)
    attempt(store, opened[3], OutcomeKind.PROVIDER_ERROR)
    return identity


def test_calls_are_counted_by_stage_and_what_was_reused_costs_nothing(store: RawStore) -> None:
    campaign(store)
    stages = {use.stage: use for use in store.usage("c").stages}
    scope = stages["scope"]
    assert (scope.questions, scope.calls, scope.prompt_tokens) == (8, 6, 600)
    assert (scope.cost, scope.seconds, scope.malformed, scope.repairs) == (3.0, 12.0, 4, 4)
    assert (stages["code"].calls, stages["code"].malformed, stages["code"].repairs) == (3, 0, 0)


def test_rates_count_instances_alike_and_leave_out_what_has_no_verdict(store: RawStore) -> None:
    campaign(store)
    [student] = qualities(store.usage("c"))
    assert student.trajectories == 3
    assert student.pass_at_1 is not None and student.pass_at_1.value == 0.25
    assert student.pass_at_k == {1: 0.25}
    assert {name: rate.value for name, rate in student.by_temperature.items()} == {"0.3": 0.5, "0.6": 0.0}
    assert student.attribution == {"code": 1, UNATTRIBUTED: 1}
    assert student.context_tokens == 900
    assert student.rungs == {"exact": 4, "rejected": 4}
    assert student.cost == 4.5


def test_a_campaign_without_a_closed_trajectory_has_no_rates(store: RawStore) -> None:
    identity = store.register_campaign({"any": "thing"})
    store.start_run(identity, "c", "flow", [])
    assert qualities(store.usage("c")) == []


def pool(**changes: object) -> ModelPool:
    price = Price(input=10.0, output=20.0)
    here = Endpoint(**({"url": "http://127.0.0.1:1/v1", "model": "m", "window": 8192, "price": price} | changes))
    return ModelPool(ModelSettings(endpoints={"here": here}, roles=Roles(reasoning="here", coding="here")))


STUDENT = pool().planner("student", None, 0.0, 0).identity


def test_what_a_campaign_may_cost_is_a_stated_guess_until_some_were_run(store: RawStore, tmp_path: Path) -> None:
    package = RepoPackage(tmp_path, make_manifest(3))
    grid = Grid(planners=("student", "gold"), temperatures=(0.3, 0.6), samples=2)
    expected = estimate(store, "none", [package], grid, pool())
    assert expected is not None
    times = {stage: 3 if stage in JUDGING_STAGES else 12 for stage in PRIOR}  # samples share an instance's retrieval
    cost = sum(times[stage] * calls * (given * 10 + said * 20) for stage, (calls, given, said) in PRIOR.items()) / 1e6
    assert expected.trajectories == 12
    assert expected.cost == pytest.approx(cost, rel=1e-3)
    assert "a guess" in str(expected)


def test_later_campaigns_are_estimated_from_earlier_ones_and_what_is_done_costs_nothing(
    store: RawStore, tmp_path: Path
) -> None:
    keys = store.register_package(make_manifest(6))
    identity = store.register_campaign({"any": "thing"})
    for name in sorted(keys):
        attempt(store, store.open_trajectory(identity, keys[name], "student", STUDENT), OutcomeKind.TESTS_FAILED)
    package, grid = RepoPackage(tmp_path, make_manifest(6)), Grid(planners=("student",))
    assert estimate(store, identity, [package], grid, pool()).trajectories == 0  # type: ignore[union-attr]
    expected = estimate(store, "another", [package], grid, pool())
    assert expected is not None
    assert (expected.trajectories, expected.prompt_tokens) == (6, 1800)
    assert "6 earlier ones of student" in expected.basis


@pytest.fixture
def paid(store: RawStore) -> dict[str, str]:
    """Six closed trajectories whose answers are all kept, each of 300 tokens, 200 of them of retrieval; keys of
    instances."""
    keys = store.register_package(make_manifest(8))
    campaign = store.register_campaign({"any": "thing"})
    for number in range(6):
        trajectory = store.open_trajectory(campaign, keys[f"lib-{number}"], "student", STUDENT)
        ask(store, trajectory, [Stage.SCOPE, Stage.PRECISION, Stage.CODE])
        store.close_trajectory(trajectory, 1, OutcomeKind.TESTS_FAILED)
    return keys


def ask(store: RawStore, trajectory: str, stages: list[Stage], endpoint: str = "here") -> None:
    """Begin an attempt with answers of 100 tokens that are kept."""
    number = store.begin_attempt(trajectory)
    assert number is not None
    recorder = store.recorder(trajectory, number)
    for position, stage in enumerate(stages):
        slot = store.answer_slot(f"{trajectory} {position}")
        said = Answer(text="{}", model="m", endpoint=endpoint, prompt_tokens=100, cost=0.5)
        store.keep_answer(slot, stage, said)
        recorder.call(Request(stage=stage, task=TASK), said.model_copy(update={"answer_id": slot.id}))


def test_what_will_be_replayed_is_left_out_and_told(store: RawStore, paid: dict[str, str], tmp_path: Path) -> None:
    package = RepoPackage(tmp_path, make_manifest(8))
    again = estimate(store, "another", [package], Grid(planners=("student",)), pool())
    assert again is not None
    assert (again.trajectories, again.replayed, again.prompt_tokens) == (8, 6, 600)
    assert "all of 6 trajectories" in str(again)
    warmer = estimate(store, "another", [package], Grid(planners=("student",), temperatures=(0.0, 0.7)), pool())
    assert warmer is not None
    # Two new instances in whole, once with a retrieval, and a warm sample of each old one with the retrieval there is.
    assert (warmer.trajectories, warmer.replayed, warmer.retrieved) == (16, 6, 6)
    assert warmer.prompt_tokens == 2 * (200 + 2 * 100) + 6 * 100


def test_an_interrupted_trajectory_is_charged_for_what_it_lacks(
    store: RawStore, paid: dict[str, str], tmp_path: Path
) -> None:
    campaign, package = store.register_campaign({"an": "other"}), RepoPackage(tmp_path, make_manifest(8))
    begun = store.open_trajectory(campaign, paid["lib-7"], "student", STUDENT)
    ask(store, begun, [Stage.SCOPE, Stage.PRECISION, Stage.CODE])
    store.close_trajectory(begun, 1, OutcomeKind.PROVIDER_ERROR)
    grid = Grid(planners=("student",))
    expected = estimate(store, campaign, [package], grid, pool())
    assert expected is not None
    assert (expected.trajectories, expected.replayed, expected.resumed) == (8, 6, 1)
    assert expected.prompt_tokens == 300, "of the one that was never begun"


def test_void_answers_are_paid_again(store: RawStore, paid: dict[str, str], tmp_path: Path) -> None:
    package, grid = RepoPackage(tmp_path, make_manifest(6)), Grid(planners=("student",))
    assert forget_answers(store.engine, AnswerChoice(stages=(Stage.CODE,)), "x").trajectories == 6
    expected = estimate(store, "another", [package], grid, pool())
    assert expected is not None
    assert (expected.trajectories, expected.replayed, expected.resumed, expected.retrieved) == (6, 0, 6, 6)
    assert "a guess" in expected.basis, "none of them is closed any more"


def test_nothing_is_counted_as_replayed_for_other_models_or_where_the_server_is_away(
    store: RawStore, paid: dict[str, str], tmp_path: Path
) -> None:
    package, grid = RepoPackage(tmp_path, make_manifest(6)), Grid(planners=("student",))
    for models in (pool(model="another"), pool(window=None)):
        expected = estimate(store, "another", [package], grid, models)
        assert expected is not None
        assert (expected.trajectories, expected.replayed, expected.prompt_tokens) == (6, 0, 1800)


def test_gold_and_null_cost_nothing_and_need_no_models(store: RawStore, tmp_path: Path) -> None:
    assert (
        estimate(store, "x", [RepoPackage(tmp_path, make_manifest())], Grid(planners=("gold", "null")), pool()) is None
    )


def test_a_campaign_is_the_same_however_its_options_are_ordered_and_whatever_it_may_spend(tmp_path: Path) -> None:
    def key(**options: object) -> str:
        grid = Grid(**({"planners": ("gold", "student"), "temperatures": (0.3, 0.6)} | options))
        package = RepoPackage(tmp_path, make_manifest())
        return campaign_key(campaign_config([package], grid, None, StepTestMode.AUTO, Settings(), "bubblewrap"))

    assert key() == key(planners=("student", "gold"), temperatures=(0.6, 0.3, 0.3))
    assert len({key(), key(samples=2), key(limit=1), key(temperatures=(0.3,)), key(planners=("gold",))}) == 5
