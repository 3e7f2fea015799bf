"""Keys of what is stored and kept, derived from the inputs of `identity_material` for `test_identities`."""

import hashlib
from collections.abc import Callable
from datetime import date
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from sqlalchemy import select

from harness.packages.locking import CommitCandidate
from harness.packages.package import RepoPackage
from harness.packages.prepare import _verdict_key
from harness.runs.attempt import InstanceContext
from harness.runs.campaigns import campaign_config
from harness.runs.solving import SolveOrder
from harness.runs.step_tests import StepTests
from harness.runs.verdicts import verdict_key
from harness.supplement.validation import trial_key
from harness.test_quality import quality_conditions
from harness.test_quality.kept import quality_cache_key
from harness.validation.confirmation.recorded import twins_key
from models.campaign_settings import CampaignSettings, Grid, StepTestMode
from models.content import RepositoryContent
from models.edits import EditFormat
from models.limits import Limits, LoopLimits
from models.outcomes import OracleKind
from models.protocols import JUDGING_STAGES
from models.settings import Settings
from models.suite import SuiteEnd, SuiteReport
from models.supplements import Refusal, Supplement, TeacherReply, TeacherRound, Trial
from repos.index.pieces import digest_of
from runtime.environments import environment_identity
from runtime.environments.eras import Era
from runtime.environments.identity import content_key
from runtime.environments.interpreters import Interpreter
from runtime.environments.resolve import environment_key, spec_key
from runtime.trees import Runtime
from store.database import reading
from store.keys import campaign_key, canonical, trajectory_key, validation_key
from store.rows import writing
from store.runs import digest, instance_key
from store.runs.corpus import add_content
from store.runs.raw import open_raw_store
from store.runs.supplements import SupplementStore, quality_key
from store.tables import RepositoryContentRow, SupplementRound, table_of
from tasks.caching import cache_options
from tasks.executor import answer_stage, run_whole_suite, test_step, validate_candidate
from tasks.supplement import ask_for_tests
from tests.support.identity_material import (
    CHANGES,
    COMMIT,
    ENVIRONMENT,
    GENERATED,
    INSTANCE,
    LIMITS,
    MANIFEST,
    PROJECT,
    WHEEL,
    a_package,
    a_runtime,
    work,
)

test_step.__test__ = False  # a task, not a test


def sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


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


def ids_of_rows(folder: Path) -> dict[str, Any]:
    """Ids that a database gives to what is stored in it."""
    store = open_raw_store(folder / "raw.sqlite")
    instance = store.register_package(MANIFEST)[INSTANCE.instance_id]
    campaign = store.register_campaign({"planners": ["gold"]})
    reply = TeacherReply(text="an answer", model="m")
    rounds = (
        TeacherRound(number=1, prompt="p", reply=reply, files={"a.py": "x"}, trial=Trial(refusal=Refusal.NO_TESTS)),
    )
    SupplementStore(store.engine).add_supplement(instance, Supplement(before=INSTANCE, rounds=rounds))
    with writing(store.engine) as connection:
        add_content(connection, "shapes", RepositoryContent(roots=("a",), shingles=9, sketch=(1, 2)))
    with reading(store.engine) as connection:
        contents = table_of(RepositoryContentRow)
        content = connection.scalar(select(contents.c.id).where(contents.c.repository == "shapes"))
        supplement_round = connection.scalar(select(table_of(SupplementRound).c.id))
    return {
        "instance": instance,
        "campaign": campaign,
        "run": store.start_run(campaign, "first", "flow run", ["corpus/shapes"]),
        "trajectory": store.open_trajectory(campaign, instance, "gold", "gold-5"),
        "text": store.put_text("Grüße"),
        "content of a repository": content,
        "supplement round": supplement_round,
    }


def keys_of_runs(folder: Path) -> dict[str, Any]:
    """Keys of what sandboxed runs came to, for an instance of a package with a wheel."""
    runtime, package = a_runtime(folder), a_package(folder / "shapes")
    instance_context = InstanceContext(runtime, package, INSTANCE)
    candidate = CommitCandidate(COMMIT, "1.2", ENVIRONMENT)
    return {
        "verdict": verdict_key(instance_context, "i", CHANGES),
        "gold verdict": _verdict_key(runtime, candidate, ENVIRONMENT, package.wheels),
        "twins": twins_key(INSTANCE, "e", {"limits": LIMITS.model_dump(mode="json")}),
        "quality": quality_cache_key(runtime, "i", CHANGES, CHANGES, "b" * 40),
        "quality conditions": digest(quality_conditions(runtime)),
        "full check": digest("full-check", INSTANCE.model_dump(mode="json"), work().canonical()),
        "trial": trial_key(runtime, RepoPackage(folder, MANIFEST), INSTANCE, {"tests/test_g.py": "x = 1\n"}),
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
    tasks = (answer_stage, test_step, validate_candidate, ask_for_tests, run_whole_suite)
    policy = cache_options("key", folder)["cache_policy"]
    contexts = [SimpleNamespace(task=task) for task in tasks]
    keys = [policy.compute_key(task_ctx=context, inputs={}, flow_parameters={}) for context in contexts]
    return {"keys": keys, "judging": [stage.value for stage in JUDGING_STAGES]}
