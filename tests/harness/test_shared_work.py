"""What a campaign's process takes next, where the database breaks off."""

from collections.abc import Collection, Mapping
from typing import Any, cast

import pytest

from harness.runs.campaign_context import Assignment
from harness.runs.shared_work import SharedWork
from models.errors import DatabaseError
from store.database import open_database
from store.runs import RawStore
from store.runs.claims import Claims
from tests.support.store_material import make_manifest


class Unsteady(RawStore):
    """A store whose connection breaks at the first `failures` claims, before or after they are stored."""

    failures = 1
    after = False

    def claim(self, known: Mapping[str, int], most: int) -> Claims:
        if self.failures:
            self.failures -= 1
            if self.after:
                super().claim(known, most)
            raise DatabaseError("the server closed the connection")
        return super().claim(known, most)


def work_of(store: RawStore) -> tuple[SharedWork, list[str]]:
    campaign = store.register_campaign({"planners": ["null"]})
    instances: Collection[str] = store.register_package(make_manifest(2)).values()
    keys = [store.open_trajectory(campaign, instance, "null", "null v1") for instance in instances]
    todo = [Assignment(key, key, "null", 0.0, 0, cast(Any, None)) for key in keys]
    return SharedWork(store, todo, store.attempts(keys), lambda: False, lambda _: None), keys


@pytest.mark.parametrize("after", [False, True])
def test_a_claim_that_was_broken_off_is_made_again(
    database_target: str, monkeypatch: pytest.MonkeyPatch, after: bool
) -> None:
    monkeypatch.setattr("harness.runs.shared_work._RETRY_SECONDS", (0.0, 0.0))
    store = Unsteady(open_database(database_target, "raw"))
    work, keys = work_of(store)
    store.after = after
    assert [each.key for each in work] == keys
    assert work.left == []


def test_a_database_that_stays_away_ends_the_work(database_target: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("harness.runs.shared_work._RETRY_SECONDS", (0.0, 0.0))
    store = Unsteady(open_database(database_target, "raw"))
    work, keys = work_of(store)
    store.failures = 3
    with pytest.raises(DatabaseError):
        next(work)
    assert work.left == keys
