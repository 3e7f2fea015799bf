"""Every derived identity over fixed inputs, equal to the value that data directories in use were written with.

A value that differs here means that kept answers, verdicts, datasets, trainings and evaluations are not found again. A
value is changed only together with the version that stands for it, and on purpose.
"""

import hashlib
import json
from collections.abc import Callable
from datetime import date
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from identity_material import (
    CHANGES,
    COMMIT,
    ENVIRONMENT,
    GENERATED,
    INSTANCE,
    ITEM,
    LIMITS,
    MANIFEST,
    MESSAGES,
    MODELS,
    PAIR,
    PART,
    PREFERENCE,
    PROJECT,
    REQUESTS,
    TASK,
    WHEEL,
    ScoringRouter,
    a_package,
    a_runtime,
    gold_patch,
    work,
)
from identity_values import EXPECTED

from agent.index.parse import PARSER_VERSION
from agent.index.pieces import digest_of
from agent.judgements import parse_precision, parse_scope, parse_task_analysis
from agent.plan.parse import parse_adjustment, parse_meta_plan, parse_part_plan, parse_test_plan
from agent.prompts import REVISION, answer_schema, render
from evals.scoring import SCORING, evaluation_id, settings_of
from harness import supplement
from harness.attribution import VERSION as ATTRIBUTION_VERSION
from harness.attribution.lab import judging_key
from harness.campaigns import campaign_config
from harness.candidates import JUDGE_VERSION
from harness.confirmation.recorded import TWINS_VERSION, twins_key
from harness.crew import Crew, seed_of
from harness.environments import environment_identity
from harness.environments.eras import Era
from harness.environments.identity import content_key
from harness.environments.interpreters import Interpreter
from harness.environments.resolve import environment_key, spec_key
from harness.locking import Candidate
from harness.packages import RepoPackage
from harness.planners import GoldPlanner, NullPlanner
from harness.prepare import GOLD_VERSION, _verdict_key
from harness.quality import QUALITY_VERSION, quality_conditions
from harness.quality.kept import kept_under as quality_kept_under
from harness.solving import Order as SolveOrder
from harness.state import Runtime
from harness.step_tests import StepTests
from harness.store import digest, instance_key
from harness.store.keys import campaign_key, canonical, trajectory_key, validation_key
from harness.store.supplements import files_hash, quality_key
from harness.supplement.brief import Brief, Shown
from harness.supplement.brief import render as render_brief
from harness.supplement.placing import place
from harness.supplement.teacher import RouterTeacher
from harness.supplement.trial import TRIAL_VERSION
from harness.trajectory import Bench
from models.campaign_settings import CampaignSettings, Grid, StepTestMode
from models.chat import prompt_text
from models.database import HEADS
from models.edits import EditFormat
from models.errors import PlanError
from models.evaluation import EvaluationSet, Subject
from models.limits import Limits, LoopLimits
from models.manifest import SCHEMA_VERSION
from models.outcomes import OracleKind
from models.protocols import Stage
from models.settings import Settings
from models.suite import SuiteEnd, SuiteReport
from models.training import Target as Trained
from models.training_settings import TrainingSettings
from tasks.caching import kept_under
from tasks.judging import validate_candidate
from tasks.stages import JUDGING, answer_stage, test_step
from tasks.supplement import ask_for_tests
from training.base_files import hash_files
from training.curation.writing import dataset_id, directory_of, hashed
from training.fit.result import adapter_hash
from training.plans import FIT_VERSION
from training.recipe import plan_id, recipe_for
from training.registry.weights import content_hash
from training.scoring import Scorer, Unscored

test_step.__test__ = False  # a task, not a test


def sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def versions(folder: Path) -> dict[str, Any]:
    return {
        "templates": REVISION,
        "attribution": ATTRIBUTION_VERSION,
        "fit": FIT_VERSION,
        "gold": GOLD_VERSION,
        "heads": HEADS,
        "judge": JUDGE_VERSION,
        "manifest": SCHEMA_VERSION,
        "parser": PARSER_VERSION,
        "quality": QUALITY_VERSION,
        "scoring": SCORING,
        "trial": TRIAL_VERSION,
        "twins": TWINS_VERSION,
    }


def prompts(folder: Path) -> dict[str, Any]:
    """The bytes that each stage's model is sent."""
    return {stage.value: sha256(prompt_text(render(REQUESTS[stage], 32_000, len))) for stage in Stage}


def schemas_as_sent(folder: Path) -> dict[str, Any]:
    return {s.value: sha256(json.dumps(answer_schema(REQUESTS[s], 4096))) for s in Stage}


def schemas_sorted(folder: Path) -> dict[str, Any]:
    return {s.value: sha256(json.dumps(answer_schema(REQUESTS[s], 4096), sort_keys=True)) for s in Stage}


def schemas_of_short_answers(folder: Path) -> dict[str, Any]:
    return {s.value: sha256(json.dumps(answer_schema(REQUESTS[s], 512))) for s in Stage}


def refusals(folder: Path) -> dict[str, Any]:
    """What a model is told of an answer that cannot be read: the second question holds it."""
    candidates, outlines, part = REQUESTS[Stage.SCOPE].candidates, REQUESTS[Stage.PRECISION].outlines, PART
    parsers: dict[str, Callable[[str], object]] = {
        "task_analysis": parse_task_analysis,
        "scope": lambda text: parse_scope(text, candidates),
        "precision": lambda text: parse_precision(text, outlines),
        "meta_plan": parse_meta_plan,
        "part_plan": lambda text: parse_part_plan(text, part),
        "test_plan": lambda text: parse_test_plan(text, part),
        "adjustment": parse_adjustment,
    }
    return {stage: [refusal(parse, text) for text in ("no object", "{}")] for stage, parse in parsers.items()}


def refusal(parse: Callable[[str], object], text: str) -> str:
    with pytest.raises(PlanError) as caught:
        parse(text)
    return str(caught.value)


def requests(folder: Path) -> dict[str, Any]:
    """Questions as they are hashed for the key of a kept answer."""
    return {stage.value: digest("asker", REQUESTS[stage].model_dump(mode="json")) for stage in Stage}


def scoring_by_a_teacher(folder: Path) -> dict[str, Any]:
    router: Any = ScoringRouter()
    Scorer(router).score(Stage.SCOPE, MESSAGES, "an answer")
    schema = router.asked.schema_
    return {
        "schema as sent": sha256(json.dumps(schema)),
        "schema sorted": sha256(json.dumps(schema, sort_keys=True)),
        "prompt": sha256(prompt_text(router.asked.messages)),
        "scorer": sha256(Scorer(router).identity),
        "answer": Unscored("shapes", "a" * 40, Stage.SCOPE, "d" * 64, "e" * 64).key("scorer"),
    }


def written_by_a_teacher(folder: Path) -> dict[str, Any]:
    template = (Path(supplement.__file__).parent / "write_tests.jinja").read_bytes()
    shown = Shown("src/a.py", "x = 1\n", "...\n")
    brief = Brief(TASK.text, "--- a\n", ("setup.cfg",), (shown,), (Shown("tests/test_a.py", "y = 1\n", "...\n"),))
    router: Any = ScoringRouter()
    return {
        "template": hashlib.sha256(template).hexdigest(),
        "prompt": sha256(prompt_text(render_brief(brief, 32_000, len))),
        "teacher": RouterTeacher(router, 0.5, 3).identity,
        "question": digest("ask-for-tests", "teacher", prompt_text(MESSAGES)),
        "module": place("def test(): ...\n", ["tests/test_a.py"]).model_dump(),
        "suffixed module": place("def test(): ...\n", ["tests/a_test.py"]).path,
        "files": files_hash(CHANGES),
    }


def planners(folder: Path) -> dict[str, Any]:
    gold = gold_patch()
    of_models = {
        f"{name} {what}": getattr(Crew(MODELS).planner(name, None, 0.0, 0), what)
        for name in ("student", "teacher", "no-plan")
        for what in ("identity", "judging_identity")
    }
    return of_models | {
        "student, search and replace": Crew(MODELS).planner("student", EditFormat.SEARCH_REPLACE, 0.0, 0).identity,
        "gold": GoldPlanner(gold, EditFormat.SEARCH_REPLACE).identity,
        "gold, whole symbols": GoldPlanner(gold, EditFormat.WHOLE_SYMBOL).identity,
        "gold, own windows": GoldPlanner(gold, EditFormat.SEARCH_REPLACE, {Stage.SCOPE: 1280}).identity,
        "gold patch": gold.identity,
        "null": NullPlanner.identity,
        "student's router": Crew(MODELS).router("student").identity,
        "teacher's router": Crew(MODELS).router("teacher").identity,
        "seed": seed_of("i", 3),
    }


def store_keys(folder: Path) -> dict[str, Any]:
    campaign = campaign_config(
        [RepoPackage(folder, MANIFEST)],
        Grid(planners=("gold", "null"), temperatures=(0.0, 0.5), samples=2, limit=3),
        EditFormat.SEARCH_REPLACE,
        StepTestMode.AUTO,
        Settings(campaign=CampaignSettings(), loop=LoopLimits(), limits=Limits()),
        "bubblewrap",
    )
    return {
        "canonical": canonical({"b": [1, 0.5, None, "ü"], "a": True}),
        "digest": digest("a", 1, 0.5, None, {"b": [True]}),
        "package": MANIFEST.identity(),
        "instance": instance_key("shapes", INSTANCE),
        "instance with generated tests": instance_key("shapes", GENERATED),
        "instance in full": sha256(canonical(INSTANCE)),
        "campaign": campaign_key(campaign),
        "trajectory": trajectory_key("c", "i", "gold", "gold-5", 0, 1),
        "validation": validation_key("i", "p", "e", {"limits": 1}),
        "validation by generated tests": validation_key("i", "p", None, {}, OracleKind.GENERATED_TESTS),
        "quality": quality_key("i", CHANGES, CHANGES, {"limits": 1}),
    }


def keys_of_runs(folder: Path) -> dict[str, Any]:
    """Keys of what sandboxed runs came to, for an instance of a package with a wheel."""
    runtime, package = a_runtime(folder), a_package(folder / "shapes")
    bench = Bench(runtime, package, INSTANCE)
    candidate = Candidate(COMMIT, "1.2", ENVIRONMENT)
    return {
        "verdict": judging_key(bench, "i", CHANGES),
        "gold verdict": _verdict_key(runtime, candidate, ENVIRONMENT, package.wheels),
        "twins": twins_key(INSTANCE, "e", {"limits": LIMITS.model_dump(mode="json")}),
        "quality": quality_kept_under(runtime, "i", CHANGES, CHANGES, "b" * 40),
        "quality conditions": digest(quality_conditions(runtime)),
        "step tests": step_tests_key(folder / "tree", runtime),
        "work": sha256(work().canonical()),
        "order": digest("order", SolveOrder(task="t", repository="/r").model_dump(mode="json"), "h"),
    }


def step_tests_key(tree: Path, runtime: Runtime) -> str:
    (tree / "tests").mkdir(parents=True)
    (tree / "tests" / "test_a.py").write_text("def test(): ...\n")
    keys: list[str] = []

    def keep(key: str, run: Callable[[], SuiteReport]) -> SuiteReport:
        keys.append(key)
        return SuiteReport(end=SuiteEnd.COMPLETED, exit_code=0, seconds=0.0)

    provided: Any = None
    StepTests(runtime, tree, provided, INSTANCE, (), keep=keep).run(["tests/test_a.py"], "a patch")
    return keys[0]


def environments(folder: Path) -> dict[str, Any]:
    python = Interpreter("3.12", "3.12.1", "cp312", Path("/python"), Path("/"))
    return {
        "spec": spec_key(PROJECT, python),
        "key": environment_key(("pytest", "pluggy>=1"), ENVIRONMENT.lock, "cp312"),
        "content": content_key(ENVIRONMENT.lock, {WHEEL: "9" * 64}, "cp312"),
        "identity": environment_identity(ENVIRONMENT, MANIFEST.wheels),
        "era": Era(date(2024, 5, 1), date(2024, 5, 2), {"pluggy": date(2024, 5, 3)}).label,
        "piece of an index": digest_of(b"def area(side): ...\n").hex(),
    }


def kept_results(folder: Path) -> dict[str, Any]:
    """Under what the engine keeps results, and for which stages samples share them."""
    tasks = (answer_stage, test_step, validate_candidate, ask_for_tests)
    policy = kept_under("key", folder)["cache_policy"]
    contexts = [SimpleNamespace(task=task) for task in tasks]
    keys = [policy.compute_key(task_ctx=context, inputs={}, flow_parameters={}) for context in contexts]
    return {"keys": keys, "judging": [stage.value for stage in JUDGING]}


def learning(folder: Path) -> dict[str, Any]:
    files = hashed("sft\n", "")
    dataset = dataset_id(files, {"limit": None, "base": "tiny"})
    terms: Any = SimpleNamespace(settings={"backend": "cpu"})
    evaluation_set = EvaluationSet(target=Trained.SCOPE, repositories=("shapes",), items=(ITEM,))
    card: Any = SimpleNamespace(target=Trained.SCOPE, id=dataset)
    return {
        "pair": PAIR.id,
        "pair without reasoning": PAIR.model_copy(update={"reasoning": None}).id,
        "preference": PREFERENCE.id,
        "dataset": dataset,
        "dataset's directory": directory_of(Path("d"), card).as_posix(),
        "evaluation set": evaluation_set.id,
        "evaluation": evaluation_id("s", Subject(name="n", base="b", adapter="a"), settings_of(terms)),
        "evaluation of a base": evaluation_id("s", Subject(name="n", base="b"), settings_of(terms)),
    }


def trainings(folder: Path) -> dict[str, Any]:
    settings = TrainingSettings()
    recipes = {
        f"{target.value} {method}": recipe_for(target, method, settings)  # type: ignore[arg-type]
        for target, method in ((Trained.SCOPE, "sft"), (Trained.PRECISION, "sft"), (Trained.CODE, "dpo"))
    }
    recipes["planning full"] = recipe_for(Trained.PLANNING, "full", settings)
    plans = {
        f"{name} by {backend}": plan_id(
            dataset="d", base="b", recipe=recipe, backend=backend, start="s", code=FIT_VERSION
        )
        for name, recipe in recipes.items()
        for backend in ("trl-cpu", "trl-gpu", "unsloth-gpu")
    }
    (folder / "adapter_config.json").write_bytes(b"{}")
    (folder / "adapter_model.safetensors").write_bytes(b"weights")
    return (
        {name: recipe.id for name, recipe in recipes.items()}
        | plans
        | {
            "base": hash_files({"config.json": "1" * 64, "model.safetensors": "2" * 64}),
            "adapter": content_hash(folder),
            "adapter to start from": str(adapter_hash(folder)),
        }
    )


MADE: tuple[Callable[[Path], dict[str, Any]], ...] = (
    versions,
    prompts,
    schemas_as_sent,
    schemas_sorted,
    schemas_of_short_answers,
    refusals,
    requests,
    scoring_by_a_teacher,
    written_by_a_teacher,
    planners,
    store_keys,
    keys_of_runs,
    environments,
    kept_results,
    learning,
    trainings,
)


@pytest.mark.parametrize("made", MADE, ids=lambda made: made.__name__)
def test_identities_are_those_of_what_is_stored(made: Callable[[Path], dict[str, Any]], tmp_path: Path) -> None:
    assert made(tmp_path) == EXPECTED[made.__name__]


def test_each_expected_identity_is_derived() -> None:
    assert [made.__name__ for made in MADE] == list(EXPECTED)
