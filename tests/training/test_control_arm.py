"""A control arm: drawn from the student's own answers, trained outside the registry, shown beside a gate's verdict."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("torch")

from benchmarks.attacks._package import honest_package
from evals.gate_report import NO_CONTROL, control_cell, control_lines, gate_markdown, verdict_lines
from evals.sets import build_set, freeze, reserve
from models.errors import TrainingError
from models.evaluation import ControlReport, Evaluation, EvaluationSet, GateReport, GateVerdict, MetricTest, Subject
from models.outcomes import OracleKind, OutcomeKind
from models.protocols import Stage
from models.training import TrainingTarget
from models.training_settings import TrainingSettings
from store.learning.datasets import newest_dataset_id, trained_datasets, trained_repositories
from store.learning.trainings import FinishedTraining
from tests.support.bad_server import ScriptedServer
from tests.support.identity_material import PAIR
from tests.support.pairs_material import GOOD_SCOPE, Repository, World, varied_gold_runs
from tests.support.plain_steps import plain_steps, student_settings
from tests.support.tiny import make_tiny_base
from training.bases.bases import Base, add_base, find_base
from training.bases.chat_format import ChatFormat
from training.cycle.context import TrainingContext, open_context
from training.cycle.control import CONTROLS, PREFERENCES, run_control
from training.cycle.evaluation import answer_set
from training.cycle.improvement import ImproveOrder, improve
from training.cycle.lifecycle import find_inputs, train
from training.cycle.matching import lengths_of, of_steps
from training.cycle.orders import TrainOrder
from training.cycle.steps import StudentCampaign, TrainingSteps
from training.data.curation import UnverifiedDraw, curate, curate_unverified
from training.data.curation.examples import Example
from training.data.datasets import read_dataset
from training.fit.backends import choose_backend
from training.fit.data import supervised_rows
from training.fit.job import job_for
from training.fit.recipe import Method, applied
from training.fit.schedule import planned_steps

FEW = {"max_steps": 2, "batch_size": 2, "validation_rows": 6, "checkpoint_steps": 1, "rank": 4}
CLASSES = ("relevant", "supporting", "irrelevant")


def student_runs(world: World, campaign: str = "own") -> None:
    """Runs of the student on every known instance, one of which passed, and an answer that cannot be read."""
    for number, instance in enumerate(sorted(world.repositories)):
        judged = {path: CLASSES[(number + place) % 3] for place, path in enumerate(GOOD_SCOPE)}
        outcome = OutcomeKind.PASSED if number == 0 else OutcomeKind.EMPTY_PATCH
        world.run(instance, "student", campaign=campaign).scope(judged).close(outcome, OracleKind.F2P_P2P, 0.1)
    first = sorted(world.repositories)[0]
    world.run(first, "student", campaign=campaign, sample=1).scope().malformed(Stage.SCOPE).close(
        OutcomeKind.EMPTY_PATCH
    )


@pytest.fixture
def world(short_answers: None, tmp_path: Path) -> World:
    made = World(tmp_path / "data")
    varied_gold_runs(made, *(Repository(name) for name in ("alpha", "beta", "gamma", "hidden")))
    student_runs(made)
    add_base(made.curated, made.folder, make_tiny_base(tmp_path / "tiny"), "tiny")
    freeze(made.curated, made.raw.engine, build_set(made.raw.engine, TrainingTarget.SCOPE, ["hidden"], limit=1))
    return made


def draw(world: World, rows: int, seed: int = 1, weight: float = 0.75, folder: str = "own") -> tuple[Path, list[Any]]:
    request = world.request(TrainingTarget.SCOPE).model_copy(update={"data_dir": str(world.folder / folder)})
    made = curate_unverified(world.raw, world.curated, request, UnverifiedDraw(rows, seed, weight), lambda step: None)
    assert made.dataset_dir is not None
    return made.dataset_dir, [json.loads(line) for line in (made.dataset_dir / "sft.jsonl").read_text().splitlines()]


def test_a_control_learns_from_the_students_answers_whatever_came_of_them(world: World) -> None:
    folder, rows = draw(world, 100)
    assert len(rows) == 12, "four answers about each repository that is not reserved, and none that cannot be read"
    found = [row["provenance"] for row in rows]
    assert {each["planner"] for each in found} == {"student"}
    assert {each["repository"] for each in found} == {"alpha", "beta", "gamma"}
    assert sum(each["outcome"] == "empty-patch" for each in found) == 11 and {row["weight"] for row in rows} == {0.75}
    again, same = draw(world, 100, folder="again")
    assert (again.name, same) == (folder.name, rows)
    some = [{row["id"] for row in draw(world, 5, seed)[1]} for seed in (1, 1, 2)]
    assert len(some[0]) == 5 and some[0] == some[1] != some[2]
    assert newest_dataset_id(world.raw.engine, TrainingTarget.SCOPE) is None


def test_without_an_answer_of_the_student_there_is_no_control(tmp_path: Path) -> None:
    world = World(tmp_path / "data")
    varied_gold_runs(world, Repository("alpha"))
    with pytest.raises(TrainingError, match="the student has given no answer for scope"):
        draw(world, 3)


def test_answers_as_long_as_an_adapters_examples_are_drawn() -> None:
    example_ids = ("a", "b", "c", "d", "e", "f")
    pool = [Example(PAIR, each, 0, 100 * number) for number, each in enumerate(example_ids, 1)]
    lengths = (590, 510, 110)
    drawn = UnverifiedDraw(3, 1, 1.0, lengths).of(pool)
    assert sorted(each.tokens for each in drawn) == [100, 500, 600]
    assert [each.id for each in drawn] == [each.id for each in UnverifiedDraw(3, 1, 1.0, lengths).of(pool[::-1])]
    assert {each.id for each in UnverifiedDraw(9, 1, 1.0, lengths).of(pool)} == set(example_ids)


@given(
    st.lists(st.integers(1, 50), min_size=4, max_size=12),
    st.lists(st.integers(1, 50), min_size=1, max_size=4),
    st.integers(0, 3),
)
def test_no_answer_is_drawn_twice_whatever_the_lengths(pool: list[int], lengths: list[int], seed: int) -> None:
    examples = [Example(PAIR, f"example {number}", 0, tokens) for number, tokens in enumerate(pool)]
    drawn = UnverifiedDraw(len(lengths), seed, 1.0, tuple(lengths)).of(examples)
    assert len({each.id for each in drawn}) == len(lengths)
    if set(lengths) <= set(pool) and len(set(lengths)) == len(lengths):
        assert sorted(each.tokens for each in drawn) == sorted(lengths)


@pytest.mark.parametrize("wanted", [1, 7, 60])
def test_a_controls_training_takes_the_steps_asked_for_over_as_many_epochs_as_that_needs(
    world: World, wanted: int
) -> None:
    folder, drawn = draw(world, 100, weight=1.0)
    base = find_base(world.curated, "tiny")
    settings = TrainingSettings(**{**FEW, "max_steps": 3, "patience": 2, "epochs": 2})
    job = of_steps(job_for(read_dataset(folder), folder, base, "sft", settings), wanted)
    used = applied(job.recipe, choose_backend(job.backend))
    rows = supervised_rows(folder, ChatFormat.load(base.path), used).train
    assert planned_steps(rows, used) == wanted and job.recipe.patience > wanted
    assert (job.recipe.epochs > settings.epochs) == (wanted > len(rows) * settings.epochs // FEW["batch_size"])
    assert job.recipe.seed == settings.seed and job.recipe.learning_rate == settings.learning_rate
    lengths = lengths_of(folder, world.curated, "tiny")
    assert len(lengths) == len(drawn) and min(lengths) > 0


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    with ScriptedServer(lambda request: "I cannot say.", flavour="openai") as running:
        yield running


def steps_at(server: ScriptedServer, asked: list[str]) -> TrainingSteps:
    """Plain steps, with a server that has each adapter when it is asked for; `asked` gets the names of subjects."""

    def answer(label: str, context: TrainingContext, items: EvaluationSet, base: Base, adapter: Any) -> Evaluation:
        server.models = ("scripted", adapter.served) if adapter else ("scripted",)
        asked.append(adapter.name if adapter else base.name)
        return answer_set(label, context, items, base, adapter)

    def run_campaign(campaign: StudentCampaign) -> str:
        return "the campaign's id"

    return replace(plain_steps(run_campaign), answer=answer)


@pytest.mark.slow
def test_a_control_is_trained_alike_and_is_known_to_nothing(world: World, server: ScriptedServer) -> None:
    settings = {"endpoint": "here", "control_arm": True, **FEW}
    context = open_context(student_settings(world.folder, server.url, training=settings))
    request = world.request(TrainingTarget.SCOPE).model_copy(update={"data_dir": str(world.folder)})
    made = curate(world.raw, world.curated, request)
    asked = list[str]()
    steps, order = steps_at(server, asked), TrainOrder(target=TrainingTarget.SCOPE, base="tiny")
    report = train(context, steps, order)
    assert asked == ["tiny", "scope-v1", "scope-control"]
    control = report.gate.control
    assert control is not None and control.note == "" and {test.champion for test in control.tests} == {0.0}
    assert control.matched == made.card.examples["sft"] and control.examples == min(12, control.matched)
    [place] = (world.folder / CONTROLS).iterdir()
    [card] = [json.loads(file.read_text()) for file in place.glob("datasets/*/card.json")]
    assert card["planners"] == {"student": control.examples} and card["config"]["unverified"]["seed"] == 42
    [fitted] = [json.loads(file.read_text()) for file in place.glob("*/fit.json")]
    [job] = [json.loads(file.read_text()) for file in place.glob("*/training.json")]
    [own] = [json.loads(file.read_text()) for file in (world.folder / "trainings").glob("*/training.json")]
    assert job["base"] == own["base"]
    assert job["dataset"] == card["id"] and own["dataset"] == made.card.id != card["id"]
    assert fitted["steps"] == control.steps == control.matched_steps == FEW["max_steps"]
    assert control.tokens == fitted["tokens"] and control.matched_tokens > 0
    assert [each.name for each in context.registry.list()] == ["scope-v1"]
    base = find_base(world.curated, "tiny").id
    assert list(trained_datasets(world.raw.engine, TrainingTarget.SCOPE, base)) == [made.card.id]
    assert set(trained_repositories(world.raw.engine).values()) == {made.card.id}
    assert newest_dataset_id(world.raw.engine, TrainingTarget.SCOPE) == made.card.id

    def files() -> dict[Path, int]:
        return {file: file.stat().st_mtime_ns for file in place.rglob("[!.]*") if file.is_file()}

    before = files()
    student_runs(world, "later")
    assert train(context, steps, order).gate == report.gate and files() == before
    assert len(context.registry.log()) == 1


@pytest.mark.slow
def test_a_control_is_drawn_again_when_what_it_learned_from_is_held_out(world: World, server: ScriptedServer) -> None:
    settings = {"endpoint": "here", "control_arm": True, **FEW}
    context = open_context(student_settings(world.folder, server.url, training=settings))
    scope = TrainingTarget.SCOPE
    request = world.request(scope).model_copy(update={"data_dir": str(world.folder)})
    curate(world.raw, world.curated, request)
    steps, order = steps_at(server, []), TrainOrder(target=scope, base="tiny")
    inputs = find_inputs(context, order)
    trained: dict[Method, FinishedTraining] = {
        "sft": FinishedTraining("j" * 64, "r" * 64, world.folder, "trl-cpu", 2, 1, 1.0, {})
    }

    def repositories() -> list[set[str]]:
        cards = sorted((world.folder / CONTROLS).glob("*/datasets/*/card.json"), key=lambda file: file.stat().st_ctime)
        return [set(json.loads(file.read_text())["repositories"]) for file in cards]

    first, same = (run_control(context, steps, inputs, trained) for _ in range(2))
    assert first is not None and first == same and repositories() == [{"alpha", "beta", "gamma"}]
    assert first.report.steps == first.report.matched_steps == 2
    reserve(world.curated, world.raw.engine, ["alpha"], "to be measured on")
    again = run_control(context, steps, inputs, trained)
    assert again is not None and again.evaluation is not None and repositories()[1:] == [{"beta", "gamma"}]
    assert run_control(context, steps, inputs, trained) == again and len(repositories()) == 2


@pytest.mark.slow
def test_a_round_shows_its_control_and_why_there_is_none(world: World, server: ScriptedServer, tmp_path: Path) -> None:
    settings = {"endpoint": "here", "control_arm": True, **FEW}
    context = open_context(student_settings(world.folder, server.url, training=settings))
    order = ImproveOrder(packages=(honest_package(tmp_path),), min_organisations=1, samples=1, limit=1)
    [line] = improve(context, steps_at(server, []), order, 1).lines
    assert line.adapter == "scope-v1" and "control: the adapter is not shown to be better than" in line.reason


def a_report(verdict: GateVerdict, control: ControlReport | None) -> GateReport:
    return GateReport(
        target=TrainingTarget.SCOPE, champion=Subject(name="tiny", base="b"), challenger=Subject(name="v1", base="b"),
        set_id="s", verdict=verdict, reason="macro_f1 0.3 to 0.5", tests=(), control=control,
    )  # fmt: skip


def test_a_claim_without_a_control_says_so() -> None:
    test = MetricTest(
        metric="macro_f1", primary=True, champion=0.41, challenger=0.5, difference=0.09, low=0.0, high=0.2,
        p_repository=0.03, p_item=0.01, p_adjusted=0.03, detectable=0.05, threshold=None, items=60, repositories=6,
    )  # fmt: skip
    promoted = a_report(GateVerdict.PROMOTE, None)
    assert control_lines(promoted) == [f"{NO_CONTROL}: training.control_arm is off"]
    assert NO_CONTROL in verdict_lines(promoted)[-1] and NO_CONTROL in gate_markdown([promoted])
    assert control_lines(a_report(GateVerdict.REJECT, None)) == []
    failed = a_report(GateVerdict.REJECT, ControlReport(matched=9, note="no answer"))
    assert control_lines(failed) == [f"{NO_CONTROL}: no answer"] and control_cell(failed) == NO_CONTROL
    for beaten in (True, False):
        report = a_report(GateVerdict.PROMOTE, ControlReport(examples=9, matched=9, beaten=beaten, tests=(test, test)))
        [line] = control_lines(report)
        assert all(part in line for part in ("0.410 against 0.500", "p = 0.0300", "9 of the student's", "9 examples"))
        assert ("not shown" in line, "not shown" in control_cell(report)) == (not beaten, not beaten)
        assert line in gate_markdown([report]) and "not matched" not in line + control_cell(report)


@pytest.mark.parametrize("beaten", [True, False])
@pytest.mark.parametrize(
    ("examples", "lacks", "said"),
    [
        (8, "", "8 of 9 examples"),
        (9, PREFERENCES, "without the preferences stage"),
        (8, PREFERENCES, "8 of 9 examples, without the preferences stage"),
    ],
)
def test_a_control_that_was_trained_less_is_never_called_beaten(
    beaten: bool, examples: int, lacks: str, said: str
) -> None:
    test = MetricTest(
        metric="macro_f1", primary=True, champion=0.41, challenger=0.5, difference=0.09, low=0.0, high=0.2,
        p_repository=0.03, p_item=0.01, p_adjusted=0.03, detectable=0.05, threshold=None, items=60, repositories=6,
    )  # fmt: skip
    control = ControlReport(examples=examples, matched=9, beaten=beaten, tests=(test,), lacks=lacks)
    report = a_report(GateVerdict.PROMOTE, control)
    [line] = control_lines(report)
    assert f"not matched ({said})" in line and "the same training" not in line
    assert f"not matched: {said}" in control_cell(report) and "beaten" not in control_cell(report)
