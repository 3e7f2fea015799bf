"""Verdicts that an earlier version stored: tests that were not run are no longer counted among the failed ones."""

import json

import pytest
from alembic import command
from sqlalchemy import Engine, create_engine, text

from models.errors import DatabaseError
from models.generated import Failing, GeneratedFile, GeneratedTests
from models.manifest import Instance
from models.outcomes import OutcomeKind, Validation, judge
from models.suite import CaseResult, CaseStatus, SuiteEnd, SuiteReport
from store.database import alembic_config, open_database
from store.keys import canonical
from store.rows import add, writing
from store.runs import RawStore
from store.tables import ValidationRow
from store.texts import Texts
from tests.support.store_material import make_manifest

F2P = ("tests/test_new.py::test_a", "tests/test_new.py::test_b[x]")
P2P = ("tests/test_far.py::test_y", "tests/test_made.py::test_z", "tests/test_new.py::test_x")
PLAIN = (
    make_manifest(1)
    .instances[0]
    .model_copy(
        update={"test_files": ("tests/test_new.py", "tests/data.json"), "fail_to_pass": F2P, "pass_to_pass": P2P}
    )
)
MADE = GeneratedTests(
    files=(GeneratedFile(path="tests/test_made.py", sha256="0" * 64),),
    told_apart={F2P[0]: Failing.ASSERTION},
    instead_of="no-f2p",
    model="m",
    prompt_hash="0" * 64,
    answer_hash="0" * 64,
    round=1,
)
SUPPLEMENTED = PLAIN.model_copy(update={"instance_id": "lib-made", "commit": "d" * 40, "generated": MADE})

OK, BAD, SKIPPED = CaseStatus.PASSED, CaseStatus.FAILED, CaseStatus.SKIPPED
RUNS: dict[str, tuple[SuiteEnd, dict[str, CaseStatus], tuple[str, ...]]] = {
    "passed": (SuiteEnd.COMPLETED, dict.fromkeys((*F2P, *P2P), OK), ()),
    "stopped": (SuiteEnd.COMPLETED, {F2P[0]: BAD, P2P[2]: OK}, ()),
    "stopped and broken": (SuiteEnd.COMPLETED, {F2P[0]: BAD, P2P[2]: BAD}, ()),
    "renamed": (SuiteEnd.COMPLETED, {F2P[0]: OK}, ()),
    "not collected": (SuiteEnd.COMPLETED, {}, ("tests/test_new.py",)),
    "nothing collected": (SuiteEnd.COMPLETED, {}, ("tests/test_new.py", "tests/test_far.py", "tests/test_made.py")),
    "module skipped": (SuiteEnd.COMPLETED, {F2P[0]: BAD, "tests/test_far.py": SKIPPED}, ()),
    "went on": (SuiteEnd.COMPLETED, {F2P[0]: BAD, "tests/test_else.py::test_e": OK}, ()),
    "regression": (SuiteEnd.COMPLETED, {**dict.fromkeys(F2P, OK), P2P[0]: BAD}, ()),
    "no tests": (SuiteEnd.NO_TESTS, {}, ()),
    "timeout": (SuiteEnd.TIMEOUT, {F2P[0]: OK, P2P[2]: BAD}, ()),
    "crashed": (SuiteEnd.CRASHED, {F2P[0]: BAD}, ()),
    "usage": (SuiteEnd.USAGE, {}, ()),
}


def suite(name: str) -> SuiteReport:
    end, cases, uncollected = RUNS[name]
    return SuiteReport(
        end=end,
        exit_code=1,
        seconds=1.0,
        cases={id: CaseResult(id=id, status=status) for id, status in cases.items()},
        collection_errors=dict.fromkeys(uncollected, "ImportError: no x"),
    )


@pytest.fixture
def before(database_target: str) -> Engine:
    """A database at the version before, on which the tables of verdicts can be used."""
    if "://" not in database_target:
        open_database(database_target, "curated").dispose()  # makes the folder
        database_target = database_target.replace("raw.db", "before.db")
        engine = create_engine(f"sqlite:///{database_target}")
    else:
        engine = create_engine(database_target.replace("postgresql://", "postgresql+psycopg://"))
    with engine.begin() as connection:
        config = alembic_config("raw")
        config.attributes["connection"] = connection
        command.upgrade(config, "raw_0009-1")
    return engine


def keep_as_before(engine: Engine, instance: Instance, verdict: Validation, report: SuiteReport) -> None:
    """Store a verdict as the version before did: whatever did not pass had failed."""
    old = json.loads(canonical(verdict))
    old["p2p_failed"] = sorted([*old["p2p_failed"], *old.pop("p2p_not_run")]) if report.end != "not-run" else []
    texts = Texts()
    row = ValidationRow(
        id=verdict.key,
        instance_id=instance_keys(engine)[instance.instance_id],
        oracle=verdict.oracle.value,
        kind=verdict.kind.value,
        seconds=verdict.seconds,
        result_hash=texts.add(canonical(old)),
        report_hash=texts.add(canonical(report)),
    )
    with writing(engine, texts) as connection:
        add(connection, row)


def instance_keys(engine: Engine) -> dict[str, str]:
    return RawStore(engine).register_package(make_manifest(instances=(PLAIN, SUPPLEMENTED)))


def reopened(engine: Engine) -> RawStore:
    url = engine.url
    return RawStore(open_database(str(url.database) if url.get_backend_name() == "sqlite" else str(url), "raw"))


def test_stored_verdicts_become_those_of_today_under_the_same_keys(before: Engine) -> None:
    expected = {}
    for instance in (PLAIN, SUPPLEMENTED):
        for name in RUNS:
            verdict = judge(instance, suite(name), f"{instance.instance_id} {name}")
            keep_as_before(before, instance, verdict, suite(name))
            expected[verdict.key] = verdict
    assert any(verdict.p2p_not_run for verdict in expected.values())
    store = reopened(before)
    assert {key: store.find_validation(key) for key in expected} == expected


@pytest.mark.parametrize("kind", [OutcomeKind.BUILD_FAILED, OutcomeKind.TAMPERED, OutcomeKind.UNREADABLE])
def test_where_nothing_was_run_no_test_was(before: Engine, kind: OutcomeKind) -> None:
    report = SuiteReport(end=SuiteEnd.NOT_RUN, exit_code=None, seconds=0.0, output="x")
    verdict = judge(PLAIN, report, "key").model_copy(update={"kind": kind, "f2p_failed": (), "p2p_not_run": P2P})
    keep_as_before(before, PLAIN, verdict, report)
    assert reopened(before).find_validation("key") == verdict


def test_verdicts_cannot_be_changed_afterwards(before: Engine) -> None:
    keep_as_before(before, PLAIN, judge(PLAIN, suite("stopped"), "key"), suite("stopped"))
    store = reopened(before)
    for change in ("DELETE FROM validations", "UPDATE validations SET kind = 'passed'"):
        with pytest.raises(DatabaseError, match="append-only"), writing(store.engine) as connection:
            connection.execute(text(change))


def test_a_damaged_text_does_not_keep_the_others_from_being_read(before: Engine) -> None:
    for name in ("stopped", "crashed"):
        keep_as_before(before, PLAIN, judge(PLAIN, suite(name), name), suite(name))
    guard = "TRIGGER blobs_no_update" if before.dialect.name == "sqlite" else "TRIGGER blobs_no_change ON blobs"
    report = Texts().add(canonical(suite("crashed")))
    with before.begin() as connection:
        connection.execute(text(f"DROP {guard}"))
        connection.execute(text("UPDATE blobs SET data = :data WHERE sha256 = :key"), {"data": b"x", "key": report})
    store = reopened(before)
    assert store.find_validation("stopped") == judge(PLAIN, suite("stopped"), "stopped")
    assert store.find_validation("crashed") is not None
