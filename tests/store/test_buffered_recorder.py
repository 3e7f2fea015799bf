"""A recorder that stores a whole attempt at once: nothing before, and then the rows of one that does not wait."""

from pathlib import Path

from sqlalchemy import func, select

from models.protocols import Stage
from store.database import reading
from store.runs import RawStore, open_raw_store
from store.runs.attempts import AttemptKey, StoredCall, stored_calls
from store.tables import EvidenceColumns, RetrievalLlmCall, table_of
from store.tables.evidence import EditRow, PlanRow, RetrievalDecision, TestRun
from tests.support.store_material import open_one, record_all

KINDS: tuple[type[EvidenceColumns], ...] = (RetrievalLlmCall, RetrievalDecision, PlanRow, EditRow, TestRun)


def rows(store: RawStore) -> list[int]:
    with reading(store.engine) as connection:
        return [connection.scalar(select(func.count()).select_from(table_of(kind))) or 0 for kind in KINDS]


def calls(store: RawStore, key: str) -> list[StoredCall]:
    with reading(store.engine) as connection:
        campaign = connection.scalar(select(table_of(RetrievalLlmCall).c.campaign_id))
        return stored_calls(connection, AttemptKey(str(campaign), key, 1), list(Stage))


def test_a_buffered_attempt_is_stored_at_once_and_equals_one_that_is_not(tmp_path: Path) -> None:
    stores = [open_raw_store(tmp_path / f"{name}.sqlite") for name in ("waits", "writes")]
    keys = [open_one(store) for store in stores]
    for store, key, buffered in zip(stores, keys, (True, False), strict=True):
        number = store.begin_attempt(key)
        assert number == 1
        recorder = store.recorder(key, number, buffered=buffered)
        record_all(recorder)
        assert (sum(rows(store)) == 0) == buffered
        recorder.flush()
        recorder.flush()
    assert rows(stores[0]) == rows(stores[1])
    assert calls(stores[0], keys[0]) == calls(stores[1], keys[1])
