"""What makes an evaluation by whole runs the same one, and that it is made once; without an engine."""

from pathlib import Path

import pytest

from benchmarks.attacks._package import honest_package
from harness.packages.package import read_package
from models.errors import EvaluationError
from models.evaluation import EvaluationItem, EvaluationSet
from models.outcomes import OutcomeKind
from models.protocols import Stage
from models.training import TrainingTarget
from tests.support.bad_server import ScriptedServer
from tests.support.plain_steps import plain_steps, student_settings
from tests.support.registry_material import fresh, make_base
from training.bases.bases import Base, find_base
from training.cycle.context import TrainingContext, open_context
from training.cycle.evaluation import EvaluationKey, evaluate, evaluation_ids, evaluation_key
from training.cycle.steps import StudentCampaign
from training.cycle.student_runs import STUDENT, student_identity

NOWHERE = "http://127.0.0.1:9/v1"


@pytest.fixture
def package(tmp_path: Path) -> Path:
    return honest_package(tmp_path)


@pytest.fixture
def context(package: Path, tmp_path: Path) -> TrainingContext:
    """A campaign has run on the package; the student's endpoint does not answer."""
    made = open_context(student_settings(tmp_path / "data", NOWHERE))
    make_base(made.curated, tmp_path / "data")
    made.raw.start_run(made.raw.register_campaign({"name": "gold"}), "gold", "flow", [str(package)])
    return made


def code_set(package: Path) -> EvaluationSet:
    """The package's instance, as an item of code."""
    [instance] = read_package(package).manifest.instances
    item = EvaluationItem(
        id="i", stage=Stage.CODE, repository="little", instance=instance.instance_id, commit=instance.commit,
        messages=(), expected="", answer_tokens=1,
    )  # fmt: skip
    return EvaluationSet(target=TrainingTarget.CODE, repositories=("little",), items=(item,))


def tiny(context: TrainingContext) -> Base:
    return find_base(context.curated, "tiny")


def key(context: TrainingContext, package: Path) -> EvaluationKey:
    return evaluation_key(context, code_set(package), tiny(context), None)


def test_base_and_adapter_share_all_but_the_adapter(context: TrainingContext, package: Path, tmp_path: Path) -> None:
    adapter = fresh(context.registry, tmp_path, 1.0, TrainingTarget.CODE)
    alone, adapted = key(context, package), evaluation_key(context, code_set(package), tiny(context), adapter)
    assert alone.settings == adapted.settings
    assert (alone.subject.adapter, adapted.subject.adapter) == (None, adapter.id)
    assert alone.id != adapted.id


def test_what_answers_the_other_stages_is_part_of_it_and_the_targets_own_adapter_is_not(
    context: TrainingContext, package: Path, tmp_path: Path
) -> None:
    before = key(context, package)
    context.registry.promote(fresh(context.registry, tmp_path, 1.0, TrainingTarget.CODE), override="for the test")
    assert key(context, package) == before
    context.registry.promote(fresh(context.registry, tmp_path, 2.0, TrainingTarget.SCOPE), override="for the test")
    after = key(context, package)
    assert after.id != before.id
    assert {name for name, value in after.settings.items() if value != before.settings[name]} == {"student"}


def test_the_limits_of_a_run_are_part_of_it(context: TrainingContext, package: Path, tmp_path: Path) -> None:
    other = open_context(student_settings(tmp_path / "data", NOWHERE, limits={"wall_seconds": 7}))
    before, after = key(context, package), key(other, package)
    assert {name for name, value in after.settings.items() if value != before.settings[name]} == {"campaign"}


def test_an_endpoint_of_another_base_is_refused(context: TrainingContext, package: Path, tmp_path: Path) -> None:
    other = open_context(student_settings(tmp_path / "data", NOWHERE, base="another"))
    with pytest.raises(EvaluationError, match="serve base tiny"):
        key(other, package)


def test_a_subject_is_run_once_and_its_evaluation_found_afterwards(
    context: TrainingContext, package: Path, tmp_path: Path
) -> None:
    asked = list[StudentCampaign]()

    def run_campaign(campaign: StudentCampaign) -> str:
        """As if the student had passed with the first sample only."""
        asked.append(campaign)
        store, manifest = context.raw, read_package(package).manifest
        identity = store.register_campaign({"name": campaign.name})
        store.start_run(identity, campaign.name, "flow", [str(package)])
        [instance_key] = store.register_package(manifest).values()
        for sample in range(campaign.samples):
            run = store.open_trajectory(
                identity, instance_key, STUDENT, student_identity(context, campaign.adapters), 0.6, sample
            )
            number = store.begin_attempt(run)
            assert number is not None
            store.close_trajectory(run, number, OutcomeKind.TESTS_FAILED if sample else OutcomeKind.PASSED, patch="p")
        return identity

    steps, items, base = plain_steps(run_campaign), code_set(package), tiny(context)
    first = evaluate(context, steps, items, base, None)
    assert {score.seed: score.scores for score in first.scores} == {0: {"pass@1": 1.0}, 1: {"pass@1": 0.0}}
    assert evaluate(context, steps, items, base, None) == first
    [campaign] = asked
    assert (campaign.packages, campaign.adapters) == ((package,), dict.fromkeys(Stage, ""))
    with ScriptedServer("I cannot say.", flavour="openai") as server:
        served = open_context(student_settings(tmp_path / "data", server.url))
        adapter = fresh(context.registry, tmp_path, 1.0, TrainingTarget.CODE)
        baseline = evaluate(served, steps, items, base, None)
        challenger = evaluate(served, steps, items, base, adapter)
    assert asked[-1].adapters[Stage.CODE] == adapter.served
    ids = [EvaluationKey(each.set_id, each.subject, each.settings).id for each in (baseline, challenger)]
    assert evaluation_ids(baseline, adapter.id) == ids
