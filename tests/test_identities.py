"""Every derived identity over fixed inputs, equal to the value that data directories in use were written with.

A value that differs here means that kept answers, verdicts, datasets, trainings and evaluations are not found again. A
value is changed only together with the version that stands for it, and on purpose.
"""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from agent.plan.parse import parse_adjustment, parse_meta_plan, parse_part_plan, parse_test_plan
from agent.prompts import REVISION, answer_schema, render
from agent.retrieve.judgements import parse_precision, parse_scope, parse_task_analysis
from evals.scoring import SCORING, evaluation_id, settings_of
from harness import supplement
from harness.attribution import VERSION as ATTRIBUTION_VERSION
from harness.packages.prepare import GOLD_VERSION
from harness.planners import GoldPlanner, NullPlanner
from harness.planners.student import StudentLimits
from harness.runs.model_pool import ModelPool, seed_of
from harness.supplement.module_paths import place
from harness.supplement.prompt import Brief, ShownFile
from harness.supplement.prompt import render as render_brief
from harness.supplement.teacher import RouterTeacher
from harness.supplement.validation import TRIAL_VERSION
from harness.test_quality import QUALITY_VERSION
from harness.validation.confirmation.recorded import TWINS_VERSION
from harness.validation.judge import JUDGE_VERSION
from llm.service import open_service
from models.chat import prompt_text
from models.edits import EditFormat
from models.errors import PlanError
from models.evaluation import EvaluationSet, Subject
from models.manifest import SCHEMA_VERSION
from models.protocols import Stage
from models.tokens import WINDOWS
from models.training import TrainingTarget
from models.training_settings import TrainingSettings
from repos.index.parse import PARSER_VERSION
from store.database import HEADS
from store.runs import digest
from store.runs.supplements import files_hash
from tests.support.identity_keys import environments, ids_of_rows, kept_results, keys_of_runs, sha256, store_keys
from tests.support.identity_material import (
    CHANGES,
    ITEM,
    MESSAGES,
    MODELS,
    PAIR,
    PART,
    PREFERENCE,
    REQUESTS,
    TASK,
    ScoringRouter,
    gold_patch,
)
from tests.support.identity_values import EXPECTED
from training.adapters.registry.weights import content_hash
from training.bases.files import hash_files
from training.cycle.served import EndpointAnswerer
from training.data.curation.writing import dataset_id, directory_of, hashed
from training.data.scoring import Scorer, Unscored
from training.fit.job import FIT_VERSION
from training.fit.recipe import job_id, recipe_for
from training.fit.result import adapter_hash


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
    shown = ShownFile("src/a.py", "x = 1\n", "...\n")
    brief = Brief(TASK.text, "--- a\n", ("setup.cfg",), (shown,), (ShownFile("tests/test_a.py", "y = 1\n", "...\n"),))
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
        f"{name} {what}": getattr(ModelPool(MODELS).planner(name, None, 0.0, 0), what)
        for name in ("student", "teacher", "no-plan")
        for what in ("identity", "judging_identity")
    }
    return of_models | {
        "student, search and replace": ModelPool(MODELS).planner("student", EditFormat.SEARCH_REPLACE, 0.0, 0).identity,
        "gold": GoldPlanner(gold, EditFormat.SEARCH_REPLACE).identity,
        "gold, whole symbols": GoldPlanner(gold, EditFormat.WHOLE_SYMBOL).identity,
        "gold, own windows": GoldPlanner(
            gold, EditFormat.SEARCH_REPLACE, StudentLimits(WINDOWS | {Stage.SCOPE: 1280})
        ).identity,
        "gold patch": gold.identity,
        "null": NullPlanner.identity,
        "student's router": ModelPool(MODELS).router("student").identity,
        "teacher's router": ModelPool(MODELS).router("teacher").identity,
        "seed": seed_of("i", 3),
    }


def learning(folder: Path) -> dict[str, Any]:
    files = hashed("sft\n", "")
    dataset = dataset_id(files, {"limit": None, "base": "tiny"})
    terms: Any = SimpleNamespace(settings={"backend": "cpu"})
    endpoint = EndpointAnswerer(open_service("here", MODELS.endpoint("here")), Stage.SCOPE)
    evaluation_set = EvaluationSet(target=TrainingTarget.SCOPE, repositories=("shapes",), items=(ITEM,))
    card: Any = SimpleNamespace(target=TrainingTarget.SCOPE, id=dataset)
    return {
        "pair": PAIR.id,
        "pair without reasoning": PAIR.model_copy(update={"reasoning": None}).id,
        "preference": PREFERENCE.id,
        "dataset": dataset,
        "dataset's directory": directory_of(Path("d"), card).as_posix(),
        "evaluation set": evaluation_set.id,
        "evaluation": evaluation_id("s", Subject(name="n", base="b", adapter="a"), settings_of(terms)),
        "terms of an endpoint": dict(endpoint.settings),
        "evaluation through an endpoint": evaluation_id("s", Subject(name="n", base="b"), settings_of(endpoint)),
        "evaluation of a base": evaluation_id("s", Subject(name="n", base="b"), settings_of(terms)),
    }


def trainings(folder: Path) -> dict[str, Any]:
    """With the settings of the first trainings, whose ids no later field may change, and with those of today."""
    settings = TrainingSettings(forced_weight=1.0, class_balance="none", early_stopping="loss", answer_logits=False)
    today = {
        f"{target.value} weighted sft": recipe_for(target, "sft", TrainingSettings())
        for target in (TrainingTarget.SCOPE, TrainingTarget.PLANNING)
    }
    recipes = {
        f"{target.value} {method}": recipe_for(target, method, settings)  # type: ignore[arg-type]
        for target, method in (
            (TrainingTarget.SCOPE, "sft"),
            (TrainingTarget.PRECISION, "sft"),
            (TrainingTarget.CODE, "dpo"),
        )
    }
    recipes["planning full"] = recipe_for(TrainingTarget.PLANNING, "full", settings)
    recipes |= today
    plans = {
        f"{name} by {backend}": job_id(
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
    ids_of_rows,
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
