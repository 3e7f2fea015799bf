"""A promotion is judged by whole runs of the pipeline: undone if they got worse, also when it was killed in between."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from evals.sets import InstanceScores, build_set, freeze, reserve, scores_from_campaign
from evals.sets.campaigns import ExcludedSample
from harness.packages.package import RepoPackage
from models.errors import EvaluationError, GuardrailError
from models.evaluation import GateReport, GateVerdict
from models.outcomes import OutcomeKind
from models.protocols import Stage
from models.training import TrainingTarget
from tests.support.bad_server import ScriptedServer
from tests.support.pairs_material import Repository, World, varied_gold_runs
from tests.support.scripted_student import Student
from tests.support.tiny import make_tiny_base
from training.adapters.registry import Registry
from training.bases.bases import add_base, find_base
from training.data.curation import curate

pytestmark = pytest.mark.index

Configure = Callable[..., None]


@pytest.fixture
def world(configured: Configure, short_answers: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    for name, value in {
        "MAX_STEPS": 2,
        "BATCH_SIZE": 2,
        "VALIDATION_ROWS": 1,
        "CHECKPOINT_STEPS": 1,
        "RANK": 4,
    }.items():
        monkeypatch.setenv(f"CRA_TRAINING__{name}", str(value))
    made = World(tmp_path / "data")
    varied_gold_runs(made, *(Repository(name) for name in ("alpha", "beta", "gamma", "hidden")))
    add_base(made.curated, made.folder, make_tiny_base(tmp_path / "tiny"), "tiny")
    freeze(made.curated, made.raw.engine, build_set(made.raw.engine, TrainingTarget.SCOPE, ["hidden"], limit=1))
    curate(
        made.raw,
        made.curated,
        made.request(TrainingTarget.SCOPE).model_copy(update={"data_dir": str(made.folder)}),
    )
    return made


def prepared(end_to_end: Path) -> tuple[Any, Any, GateReport]:
    """Shop and trained adapter, and a report that lets it in, which random weights do not earn."""
    from flows.training_context import open_training_context
    from flows.training_steps import engine_steps
    from training.cycle.lifecycle import gate, prepare
    from training.cycle.orders import TrainOrder

    context = open_training_context()
    order = TrainOrder(target=TrainingTarget.SCOPE, base="tiny", end_to_end=(end_to_end,), end_to_end_limit=1)
    made = prepare(context, engine_steps(), order)
    [report] = gate(context, [made])
    return context, made, report.model_copy(update={"verdict": GateVerdict.PROMOTE, "reason": "for the test"})


@pytest.mark.parametrize("spoilt", [False, True])
def test_whole_runs_keep_or_undo_a_promotion(
    sample: RepoPackage, world: World, configured: Configure, spoilt: bool
) -> None:
    from flows.training_steps import engine_steps
    from training.cycle.lifecycle import conclude
    from training.cycle.student_runs import active_adapters

    reserve(world.curated, world.raw.engine, [sample.manifest.name], "whole runs")
    student = Student(sample, spoilt)
    with ScriptedServer(student, flavour="openai") as server:
        configured(server.url, base='"tiny"', window=32768)
        context, made, report = prepared(sample.directory)
        server.models = ("scripted", made.challenger.served)
        came = conclude(context, engine_steps(), made, report)
        log = [entry.action for entry in Registry(world.curated, world.folder).log(TrainingTarget.SCOPE)]
        assert student.adapted
        if spoilt:
            assert (came.serving, log) == ("tiny", ["promote", "rollback"])
            assert any("rolled back: whole runs pass 0.000 of the time, and did 1.000" in note for note in came.notes)
        else:
            assert (came.serving, log) == ("scope-v1", ["promote"])
            assert "whole runs are no worse than before: 1.000 to 1.000" in came.notes
        serves = made.challenger.served if not spoilt else ""
        assert active_adapters(context) == dict.fromkeys(Stage, "") | dict.fromkeys(TrainingTarget.SCOPE.stages, serves)
        asked = len(server.requests)
        again = conclude(context, engine_steps(), made, report)
        assert again.serving == came.serving
        assert len(server.requests) == asked
        assert [e.action for e in Registry(world.curated, world.folder).log(TrainingTarget.SCOPE)] == log


def test_a_promotion_that_was_killed_before_its_whole_runs_is_judged_afterwards(
    sample: RepoPackage, world: World, configured: Configure, monkeypatch: pytest.MonkeyPatch
) -> None:
    import training.cycle.lifecycle as lifecycle
    from flows.training_steps import engine_steps
    from training.cycle.lifecycle import conclude

    class Killed(BaseException):
        """Nothing catches it."""

    def dies(*args: object) -> None:
        raise Killed

    reserve(world.curated, world.raw.engine, [sample.manifest.name], "whole runs")
    with ScriptedServer(Student(sample, spoilt=True), flavour="openai") as server:
        configured(server.url, base='"tiny"', window=32768)
        context, made, report = prepared(sample.directory)
        server.models = ("scripted", made.challenger.served)
        real = lifecycle.whole_runs
        monkeypatch.setattr(lifecycle, "whole_runs", dies)
        with pytest.raises(Killed):
            conclude(context, engine_steps(), made, report)
        assert context.registry.active(TrainingTarget.SCOPE).name == "scope-v1"
        monkeypatch.setattr(lifecycle, "whole_runs", real)
        assert conclude(context, engine_steps(), made, report).serving == "tiny"


def test_packages_that_are_not_reserved_judge_nothing_and_nobody_is_promoted(
    sample: RepoPackage, world: World, configured: Configure
) -> None:
    from flows.training_steps import engine_steps
    from training.cycle.lifecycle import conclude

    with ScriptedServer("I cannot say.", flavour="openai") as server:
        configured(server.url, base='"tiny"', window=32768)
        context, made, report = prepared(sample.directory)
        with pytest.raises(GuardrailError, match=r"^held-out: "):
            conclude(context, engine_steps(), made, report)
        assert context.registry.active(TrainingTarget.SCOPE) is None


def test_code_is_evaluated_by_whole_runs_once_and_found_without_the_server(
    sample: RepoPackage, world: World, configured: Configure, monkeypatch: pytest.MonkeyPatch
) -> None:
    import training.cycle.student_runs as student_runs
    from flows.campaign import campaign
    from flows.training_context import open_training_context
    from flows.training_steps import engine_steps
    from training.cycle.evaluation import evaluate

    configured("http://127.0.0.1:9/v1", base='"tiny"', window=32768)
    campaign([sample.directory], ["gold"], "gold", limit=1)
    items = build_set(world.raw.engine, TrainingTarget.CODE, [sample.manifest.name])
    context, base = open_training_context(), find_base(world.curated, "tiny")
    with pytest.raises(EvaluationError, match=r"has no verdict \(provider-error\); run the campaign again"):
        evaluate(context, engine_steps(), items, base, None)  # nobody answers, which is no failure of the base

    def one_lost(*args: Any) -> InstanceScores:
        """The scores, but that a fault took the last sample."""
        whole = scores_from_campaign(*args)
        lost = whole.scores[-1]
        gone = ExcludedSample(item=lost.item, instance="i", seed=lost.seed, kind=OutcomeKind.DISK_FULL)
        return InstanceScores(scores=whole.scores[:-1], excluded=(gone,))

    student = Student(sample, spoilt=False)
    with ScriptedServer(student, flavour="openai") as server:
        configured(server.url, base='"tiny"', window=32768)
        with monkeypatch.context() as patched:
            patched.setattr(student_runs, "scores_from_campaign", one_lost)
            assert len(evaluate(open_training_context(), engine_steps(), items, base, None).scores) == 1
        first = evaluate(open_training_context(), engine_steps(), items, base, None)  # the other was not kept
        assert [score.scores for score in first.scores] == [{"pass@1": 1.0}] * 2
        configured(server.url, base='"another"', window=32768)
        with pytest.raises(EvaluationError, match="serve base tiny"):
            evaluate(open_training_context(), engine_steps(), items, base, None)
    configured("http://127.0.0.1:9/v1", base='"tiny"', window=32768)
    assert evaluate(open_training_context(), engine_steps(), items, base, None) == first
