"""Faults planted in real attempts at the sample repository, judged by its own tests, are found in their stage."""

from collections import Counter

import pytest

from evals.planted import AttemptStyle, FaultKind, confusion, find_case, run_suite
from evals.planted.contexts import complete
from harness.attribution import AttributionExperiments, attribute, attribute_attempt
from harness.packages.package import RepoPackage
from harness.planners import GoldPlanner
from harness.runs.attempt import InstanceContext
from harness.runs.verdicts import Judge, stored_judge
from models.attribution import Label
from models.edits import EditFormat
from models.outcomes import OutcomeKind
from runtime.trees import Runtime
from store.runs import RawStore, open_raw_store

pytestmark = pytest.mark.index


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> RawStore:
    return open_raw_store(tmp_path_factory.mktemp("store") / "raw.db")


@pytest.fixture(scope="module")
def benches(runtime: Runtime, sample: RepoPackage, store: RawStore) -> list[tuple[InstanceContext, Judge, None]]:
    keys = store.register_package(sample.manifest)
    found = []
    for instance in sample.manifest.instances:
        instance_context = InstanceContext(runtime, sample, instance)
        found.append((instance_context, stored_judge(store, instance_context, keys[instance.instance_id]), None))
    return found


def test_each_fault_is_found_in_the_stage_it_was_planted_in(benches: list[tuple[InstanceContext, Judge, None]]) -> None:
    results = list(run_suite(benches))
    assert {result.kind.label for result in results} == {Label.RETRIEVAL, Label.PLAN, Label.CODE}
    wrong = [(result.kind, result.case.fault.where, result.found) for result in results if not result.right]
    assert not [each for each in wrong if each[2].label is not Label.UNDETERMINED]
    assert sum(confusion(results).values()) == len(results)
    undetermined = Counter(found.label for _, _, found in wrong)[Label.UNDETERMINED]
    assert undetermined <= len(results) // 4


def test_an_attribution_is_kept_under_its_attempt_and_made_once(
    benches: list[tuple[InstanceContext, Judge, None]], store: RawStore
) -> None:
    instance_context, judge, _ = benches[0]
    gold = GoldPlanner(instance_context.gold(), EditFormat.SEARCH_REPLACE)
    case = find_case(
        instance_context, judge, gold, complete(gold, None), FaultKind.STEP_DROPPED, AttemptStyle(coarse=True)
    )
    assert case is not None
    instance = store.register_package(instance_context.package.manifest)[instance_context.instance.instance_id]
    campaign = store.register_campaign({"planners": ["planted"]})
    key = store.open_trajectory(campaign, instance, "planted", "planted")
    attempt = store.begin_attempt(key)
    assert attempt is not None
    assert store.find_attribution(key, attempt) is None
    args = (store, key, attempt, instance, instance_context, case.solution, case.work)
    found = attribute_attempt(*args, case.outcome)
    assert found is not None
    assert found.label is Label.PLAN
    assert store.find_attribution(key, attempt) == found
    assert attribute_attempt(*args, case.outcome) == found
    assert all(store.find_validation(each.validation) for each in found.evidence.experiments)
    assert store.close_trajectory(key, attempt, case.outcome)
    assert [each.attribution for each in store.trace(key).outcomes] == [found]
    assert attribute(AttributionExperiments(instance_context, judge), case.solution, case.work, case.outcome) == found
    assert attribute_attempt(*args, OutcomeKind.PASSED) is None
