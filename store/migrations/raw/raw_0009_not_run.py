"""Verdicts name the PASS_TO_PASS tests that were not run, which earlier versions counted among the failed ones."""

import hashlib
import json
import zlib
from collections.abc import Iterator
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "raw_0009"
down_revision = "raw_0008"

_PAGE = 500
_KINDS = ("tests-failed", "tests-timeout", "tests-crashed", "build-failed", "tampered", "unreadable")
"""Outcomes after which tests may not have been run."""
_CUT_SHORT = ("timeout", "crashed", "output-limit", "not-run", "usage")
"""Ends of a run that say nothing about the tests that it did not report."""
_BLOBS = sa.table(
    "blobs", sa.column("sha256"), sa.column("codec"), sa.column("size"), sa.column("data", sa.LargeBinary)
)
_VERDICTS = sa.table(
    "validations",
    *(sa.column(name) for name in ("id", "instance_id", "kind", "result_hash", "report_hash")),
)
_INSTANCES = sa.table("instances", sa.column("id"), sa.column("spec_hash"))


def upgrade() -> None:
    """Rewrite the results of such verdicts by what their reports show; the rows are append-only again afterwards."""
    connection = op.get_bind()
    sqlite = connection.dialect.name == "sqlite"
    op.execute("DROP TRIGGER validations_no_update" if sqlite else "DROP TRIGGER validations_no_change ON validations")
    for verdict in _verdicts(connection):
        _rewrite(connection, verdict)
    op.execute(
        "CREATE TRIGGER validations_no_update BEFORE UPDATE ON validations "
        "BEGIN SELECT RAISE(ABORT, 'validations is append-only'); END"
        if sqlite
        else "CREATE TRIGGER validations_no_change BEFORE UPDATE OR DELETE ON validations "
        "FOR EACH ROW EXECUTE FUNCTION cra_append_only()"
    )


def _verdicts(connection: sa.Connection) -> Iterator[sa.RowMapping]:
    """Verdicts after which tests may not have been run, with the hash of their instance's text, in key order."""
    query = (
        sa.select(_VERDICTS.c.id, _VERDICTS.c.result_hash, _VERDICTS.c.report_hash, _INSTANCES.c.spec_hash)
        .join(_INSTANCES, _INSTANCES.c.id == _VERDICTS.c.instance_id)
        .where(_VERDICTS.c.kind.in_(_KINDS))
        .order_by(_VERDICTS.c.id)
        .limit(_PAGE)
    )
    last = ""
    while page := connection.execute(query.where(_VERDICTS.c.id > last)).mappings().all():
        yield from page
        last = page[-1]["id"]


def _rewrite(connection: sa.Connection, verdict: sa.RowMapping) -> None:
    try:
        result, report, instance = (
            json.loads(_read(connection, verdict[name])) for name in ("result_hash", "report_hash", "spec_hash")
        )
    except (zlib.error, ValueError):
        return  # a text that is damaged is reported when it is read
    not_run = _not_run(instance, report, bool(result["f2p_failed"]))
    if not not_run:
        return
    result["p2p_failed"] = [test for test in result["p2p_failed"] if test not in not_run]
    result["p2p_not_run"] = sorted(not_run)
    text = json.dumps(result, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)
    row = _VERDICTS.update().where(_VERDICTS.c.id == verdict["id"])
    connection.execute(row.values(result_hash=_store(connection, text.encode())))


def _not_run(instance: dict[str, Any], report: dict[str, Any], stopped: bool) -> set[str]:
    """PASS_TO_PASS tests that a run did not come to; `stopped`: whether a FAIL_TO_PASS test did not pass.

    The suite is collected before the first test runs; a run stops after the files that the commit or generated tests
    touch.
    """
    seen = {*report["cases"], *report["collection_errors"]}
    missing = {test for test in instance.get("pass_to_pass", ()) if test not in seen and _file(test) not in seen}
    if report["end"] in _CUT_SHORT:
        return missing
    generated = (instance.get("generated") or {"files": []})["files"]
    touched = [*instance.get("test_files", ()), *(file["path"] for file in generated)]
    first = {path for path in touched if path.endswith(".py")}
    went_on = any("::" in test and _file(test) not in first for test in report["cases"])
    if report["end"] != "completed" or not stopped or went_on:
        return set()
    return {test for test in missing if _file(test) not in first}


def _file(test: str) -> str:
    return test.partition("::")[0]


def _read(connection: sa.Connection, key: str) -> bytes:
    row = connection.execute(sa.select(_BLOBS.c.codec, _BLOBS.c.data).where(_BLOBS.c.sha256 == key)).one()
    return zlib.decompress(row.data) if row.codec == "zlib" else bytes(row.data)


def _store(connection: sa.Connection, data: bytes) -> str:
    key, packed = hashlib.sha256(data).hexdigest(), zlib.compress(data)
    codec, kept = ("zlib", packed) if len(packed) < len(data) else ("raw", data)
    if connection.scalar(sa.select(_BLOBS.c.sha256).where(_BLOBS.c.sha256 == key)) is None:
        connection.execute(_BLOBS.insert().values(sha256=key, codec=codec, size=len(data), data=kept))
    return key
