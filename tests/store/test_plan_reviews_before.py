"""A database of the version before plans were reviewed: its plans can be, and verdicts are only added."""

import pytest
from alembic import command
from sqlalchemy import Engine, create_engine, text

from models.errors import DatabaseError, UsageError
from models.outcomes import OutcomeKind
from models.plan_reviews import PlanName, ReviewVerdict
from store.database import alembic_config, open_database
from store.rows import writing
from store.runs import RawStore
from store.runs.plan_reviews import GivenVerdict, add_reviews, campaign_reviews
from tests.support.store_material import open_one, record_all


@pytest.fixture
def before(database_target: str) -> Engine:
    """A database at the version before."""
    if "://" in database_target:
        engine = create_engine(database_target.replace("postgresql://", "postgresql+psycopg://"))
    else:
        open_database(database_target, "curated").dispose()  # makes the folder
        engine = create_engine(f"sqlite:///{database_target.replace('raw.db', 'before.db')}")
    with engine.begin() as connection:
        config = alembic_config("raw")
        config.attributes["connection"] = connection
        command.upgrade(config, "raw_0009")
    return engine


def test_plans_of_the_version_before_are_reviewed_and_verdicts_are_only_added(before: Engine) -> None:
    old = RawStore(before)
    key = open_one(old)
    assert old.begin_attempt(key) == 1
    record_all(old.recorder(key, 1))
    assert old.close_trajectory(key, 1, OutcomeKind.PASSED, patch="diff")
    [plan, *_] = [event for event in old.trace(key).events if event.event == "plan"]
    campaign = old.register_campaign({"planners": ["gold", "null"]})

    url = before.url
    engine = open_database(str(url.database) if url.get_backend_name() == "sqlite" else str(url), "raw")
    assert campaign_reviews(engine, campaign) == []
    name = PlanName(trajectory=key[:16], attempt=1, seq=plan.seq)
    given = GivenVerdict(name, ReviewVerdict.BAD, "wrong file")
    assert [add_reviews(engine, [given], "ann") for _ in range(2)] == [1, 0]
    [review] = campaign_reviews(engine, campaign)
    assert (review.verdict, review.note, review.reviewer, review.model) == (given.verdict, given.note, "ann", "gold")
    missing = given._replace(name=name.model_copy(update={"seq": 999}))
    with pytest.raises(UsageError, match="no plan"):
        add_reviews(engine, [given._replace(note="again"), missing], "ann")
    changes = ["UPDATE plan_reviews SET verdict = 'good'", "DELETE FROM plan_reviews"]
    changes += ["TRUNCATE plan_reviews"] if engine.dialect.name == "postgresql" else []
    for change in changes:
        with pytest.raises(DatabaseError, match="append-only"), writing(engine) as connection:
            connection.execute(text(change))
    assert campaign_reviews(engine, campaign) == [review]
