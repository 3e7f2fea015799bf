"""What older code has stored is found by today's: in the archives that `data/make_stored_before.py` makes.

Each holds a campaign of the sample repository with the answers and verdicts that are kept, datasets, a frozen set, and
a tiny base with an adapter that was trained, measured and promoted. Of the newest, nothing may be done anew; of the
first, all must still be there and be read, though its questions are no longer asked. The packages' wheels are not in
them, so whatever would run a repository's tests again ends in a broken environment.
"""

import json
import sqlite3
import sys
import tarfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

pytest.importorskip("torch")
sys.path.insert(0, str(Path(__file__).parent / "data"))

import torch
from make_stored_before import EXPECTED, FIRST, NEWEST, ROOT, SETTINGS

from evals.sets import latest_set
from flows.campaign import campaign
from flows.training_steps import engine_steps
from harness.packages import package as packages
from harness.packages.package import read_package
from harness.planners import GoldPlanner, NullPlanner
from harness.runs import verdicts
from harness.validation.judge import JUDGE_VERSION
from host.settings import load_settings
from models.curation_settings import CurationRequest, CurationSettings
from models.protocols import Request
from models.training import TrainingTarget
from store.database import HEADS, DatabaseKind, open_database, version_table
from store.runs import CampaignReport, open_raw_store
from training.bases.bases import verify_base
from training.cycle.context import open_context
from training.cycle.evaluation import evaluate
from training.cycle.lifecycle import find_inputs, prepare
from training.cycle.orders import TrainOrder
from training.data.curation import curate
from training.data.datasets import newest_dataset, read_dataset
from training.fit.job import TrainingJob

OF_FIRST = {
    "plan": "633a009cb3078f4257336a23195aa7061ddd6d417fd7d586c177151f58bb1c62",
    "adapter": "32ed3aa8b80ee5874f9123b216e75c01d35e53196c19d588292be6f3857978ce",
    "base": "bf49fb37ec3e3409d5a9077bf5c36ce47dad14290057b72d3a584c7086cd6a13",
    "datasets": {"scope": "8116557a6b38", "precision": "a89a4594b745"},
}
in_all = pytest.mark.parametrize("stored", [FIRST, NEWEST], indirect=True, ids=["first", "newest"])
"""For what must hold in every archive; without it, a test is about the newest."""


@pytest.fixture
def stored(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An archive unpacked, under the settings that it was made with; paths in it lead to where it lies now."""
    with tarfile.open(getattr(request, "param", NEWEST)) as archive:
        archive.extractall(tmp_path, filter="data")
    for database in (tmp_path / "data").glob("*.sqlite"):
        moved(database, str(tmp_path))
    for noted in (tmp_path / "cache" / "engine" / "keys").iterdir():
        noted.write_text(noted.read_text().replace(str(ROOT), str(tmp_path)))
    for name, value in SETTINGS.items():
        monkeypatch.setenv(name, str(value).replace(str(ROOT), str(tmp_path)))
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)  # it was measured on a processor
    monkeypatch.chdir(tmp_path)
    return tmp_path


def moved(database: Path, place: str) -> None:
    """Replace the archive's own place by another in all texts of a database, past triggers that keep rows as they
    are."""
    with sqlite3.connect(database) as connection:
        triggers = connection.execute("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'").fetchall()
        tables = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
        for name, _ in triggers:
            connection.execute(f'DROP TRIGGER "{name}"')
        for (table,) in tables:
            for _, column, *_ in connection.execute(f'PRAGMA table_info("{table}")').fetchall():
                change = f'UPDATE "{table}" SET "{column}" = replace("{column}", ?, ?) WHERE instr("{column}", ?)'
                connection.execute(f"{change} AND typeof(\"{column}\") = 'text'", (str(ROOT), place, str(ROOT)))
        for _, sql in triggers:
            connection.execute(sql)


def rows(kind: DatabaseKind = "raw", *, migrated: bool = True) -> dict[str, int]:
    """How many rows each table has, at the newest schema or (`migrated` off) as it is."""
    settings = load_settings()
    if migrated:
        open_database(settings.raw_url if kind == "raw" else settings.curated_url, kind).dispose()
    with sqlite3.connect((settings.raw_url if kind == "raw" else settings.curated_url).split("///")[1]) as connection:
        names = [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        return {name: connection.execute(f'SELECT count(*) FROM "{name}"').fetchone()[0] for name in names}


def calls_of(run: str) -> Counter[bool]:
    """How many answers of a run's trajectories were kept ones, and how many were not."""
    query = """
        SELECT calls.reused FROM retrieval_llm_calls AS calls JOIN task_runs ON task_runs.id = calls.task_run_id
        JOIN campaign_runs ON campaign_runs.campaign_id = task_runs.campaign_id WHERE campaign_runs.name = :run
    """
    with open_database(load_settings().raw_url, "raw").connect() as connection:
        return Counter(bool(reused) for (reused,) in connection.execute(text(query), {"run": run}))


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[Request]:
    """The questions that gold and null are asked from now on."""
    found: list[Request] = []

    def listening(planner: type[Any]) -> Callable[[Any, Request], Any]:
        answer = planner.answer

        def listen(self: Any, request: Request) -> Any:
            found.append(request)
            return answer(self, request)

        return listen

    for planner in (GoldPlanner, NullPlanner):
        monkeypatch.setattr(planner, "answer", listening(planner))
    return found


def identities(stored: Path) -> dict[str, Any]:
    """The identities of what was learned in an archive."""
    noted = stored / EXPECTED
    found: dict[str, Any] = json.loads(noted.read_text()) if noted.exists() else OF_FIRST
    return found


def run(stored: Path, name: str) -> CampaignReport:
    return campaign([stored / "corpus" / "spans"], ["gold", "null"], name, limit=1)


@pytest.fixture
def wheels_known(stored: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The wheels' hashes, as the manifest has them: the wheels themselves are not in the archive."""
    hashes = read_package(stored / "corpus" / "spans").manifest.wheels
    monkeypatch.setattr(packages, "known_sha256", lambda wheel: hashes[wheel.name])


@in_all
@pytest.mark.parametrize("kind", ["raw", "curated"])
def test_a_database_opens_at_the_newest_schema_and_keeps_its_rows(stored: Path, kind: DatabaseKind) -> None:
    before = rows(kind, migrated=False)
    engine = open_database(stored / "data" / f"{kind}.sqlite", kind)
    with engine.connect() as connection:
        version = connection.execute(text(f"SELECT version_num FROM {version_table(kind)}")).scalar_one()
    assert version == HEADS[kind]
    after = {name: count for name, count in rows(kind).items() if name in before}
    assert after.pop("blobs", 0) >= before.pop("blobs", 0), "texts of corrected verdicts are added"
    assert after == before


@pytest.mark.parametrize("stored", [FIRST], indirect=True, ids=["first"])
def test_tests_that_were_not_run_are_no_longer_counted_as_failed(stored: Path) -> None:
    store = open_raw_store(load_settings().raw_url)
    with store.engine.connect() as connection:
        [key] = connection.execute(text("SELECT id FROM validations WHERE kind = 'tests-failed'")).scalars()
    verdict = store.find_validation(key)
    assert verdict is not None
    assert (len(verdict.f2p_failed), verdict.p2p_failed) == (1, ())
    assert len(verdict.p2p_not_run) > 0


def test_the_same_campaign_is_done_already(stored: Path, prefect_engine: None, asked: list[Request]) -> None:
    before = rows()
    report = run(stored, "before")
    assert (report.planners["gold"].passed, report.planners["null"].failed) == (1, 1)
    assert asked == []
    after = rows()
    assert after.pop("campaign_runs") == before.pop("campaign_runs") + 1
    assert {table: after.pop(table) for table in before} == before
    assert not any(after.values()), "tables of later versions hold nothing"


def test_another_campaign_finds_every_answer_and_every_verdict(
    stored: Path, wheels_known: None, prefect_engine: None, asked: list[Request], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CRA_CAMPAIGN__STEP_TEST_SECONDS", "60")
    answers, before = sum(calls_of("before").values()), rows()
    report = run(stored, "other")
    assert report.planners["gold"].outcomes == {"passed": 1}
    assert report.planners["null"].outcomes == {"empty-patch": 1}
    assert asked == []
    assert calls_of("other") == {True: answers}
    after = rows()
    assert (after["campaigns"], after["task_runs"]) == (before["campaigns"] + 1, before["task_runs"] + 2)
    same = ("blobs", "instances", "repo_packages", "validations")
    assert [after[name] for name in same] == [before[name] for name in same]


def test_a_later_judge_takes_the_answers_and_reaches_its_own_verdicts(
    stored: Path, wheels_known: None, prefect_engine: None, asked: list[Request], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(verdicts, "JUDGE_VERSION", JUDGE_VERSION + 1)
    monkeypatch.setenv("CRA_CAMPAIGN__STEP_TEST_SECONDS", "60")
    answers, before = sum(calls_of("before").values()), rows()
    report = run(stored, "judged-again")
    assert report.planners["gold"].outcomes == {"environment-broken": 1}
    assert asked == []
    assert calls_of("judged-again") == {True: answers}
    assert rows()["validations"] == before["validations"]


@in_all
@pytest.mark.parametrize("target", [TrainingTarget.SCOPE, TrainingTarget.PRECISION])
def test_a_dataset_is_read_under_its_id(stored: Path, target: TrainingTarget) -> None:
    settings, expected = load_settings(), identities(stored)["datasets"][target.value]
    directory = newest_dataset(open_raw_store(settings.raw_url), settings.data_dir, target)
    assert directory == stored / "data" / "datasets" / f"{target.value}-{expected}"
    assert read_dataset(directory).id.startswith(expected)


def test_the_same_runs_make_the_same_dataset(stored: Path) -> None:
    context, before = open_context(load_settings()), rows()
    request = CurationRequest(
        target=TrainingTarget.PRECISION,
        data_dir=str(stored / "data"),
        min_organisations=1,
        settings=CurationSettings(),
        campaigns=("c",),
    )
    expected = identities(stored)["datasets"][TrainingTarget.PRECISION.value]
    assert curate(context.raw, context.curated, request).card.id.startswith(expected)
    assert rows() == before


def test_a_training_an_adapter_and_its_evaluations_are_found(
    stored: Path, prefect_engine: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[tuple[str, int, int | None]] = []
    context = open_context(load_settings(), lambda *what: told.append(what))
    order = TrainOrder(target=TrainingTarget.SCOPE, base="tiny")
    found, expected = find_inputs(context, order), identities(stored)

    def fit(self: TrainingJob, *_: object) -> None:
        raise AssertionError(f"training {self.id} is done, and would be done again")

    monkeypatch.setattr(TrainingJob, "fit", fit)
    before = rows(), rows("curated")
    steps = engine_steps()
    prepared = prepare(context, steps, order)
    assert (prepared.challenger.name, prepared.challenger.id) == ("scope-v1", expected["adapter"])
    assert prepared.trained.job == expected["plan"]
    evaluate(context, steps, found.evaluation_set, found.base, None)
    assert (rows(), rows("curated")) == before
    assert sorted(told) == [
        ("evaluate scope scope-v1: done before", 1, 1),
        ("evaluate scope scope-v1: done before", 1, 1),
        ("evaluate scope tiny: done before", 1, 1),
        ("train scope sft: done before", 1, 1),
    ]


@in_all
def test_the_adapter_serves_and_is_what_was_signed(stored: Path) -> None:
    context = open_context(load_settings())
    active = context.registry.active(TrainingTarget.SCOPE)
    assert active is not None
    expected = identities(stored)
    assert (active.name, active.id, active.base) == ("scope-v1", expected["adapter"], expected["base"])
    assert context.registry.verify("scope-v1") == active
    assert [entry.action for entry in context.registry.log(TrainingTarget.SCOPE)][-1:] == ["promote"]
    assert latest_set(context.curated, TrainingTarget.SCOPE).repositories == ("hidden",)


@in_all
def test_the_base_is_whole(stored: Path) -> None:
    order = TrainOrder(target=TrainingTarget.SCOPE, base="tiny")
    base = find_inputs(open_context(load_settings()), order).base
    assert base.id == identities(stored)["base"]
    verify_base(base, full=True)
