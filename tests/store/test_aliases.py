"""Promoted adapters: a running router follows them, where their base is served, and work that is under way does not."""

import json
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import text
from sqlmodel import Session

from harness.runs.model_pool import ModelPool
from llm import Router, open_router, service
from llm.check import check
from models.class_bias import CLASS_BIAS, ClassBias
from models.errors import SettingsError
from models.llm_settings import ModelSettings, Roles
from models.protocols import Stage
from models.training import TrainingTarget
from store.active_adapters import PINNED, Aliases, read_aliases, served_name
from store.database import open_database
from store.tables import AdapterMetadata, BaseModel, utc_now
from tests.support.asking import endpoint, request
from tests.support.bad_server import ScriptedServer

if TYPE_CHECKING:
    from sqlalchemy import Engine

BASE = "b" * 64


@pytest.fixture(autouse=True)
def loading_is_quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """An adapter that no server loads is given up after a second."""
    monkeypatch.setattr(service, "_LOADING", 1.0)


@pytest.fixture
def curated(database_target: str) -> "Engine":
    engine = open_database(database_target, "curated")
    with Session(engine) as session:
        session.add(BaseModel(id=BASE, name="tiny", role=None, version=None, tuned=False, path="/", facts={}))
        for target in (TrainingTarget.SCOPE, TrainingTarget.PLANNING):
            for version in (1, 2):
                session.add(
                    AdapterMetadata(
                        id=content(target, version),
                        stage=target.value,
                        version=version,
                        base=BASE,
                        path="/",
                        metrics={},
                        trained_at=utc_now(),
                    )
                )
        session.commit()
    return engine


def content(target: TrainingTarget, version: int) -> str:
    return f"{target.value.encode().hex()}{version}".ljust(64, "0")


def promote(curated: "Engine", target: TrainingTarget, version: int) -> str:
    with curated.begin() as connection:
        connection.exec_driver_sql(f"UPDATE adapter_metadata SET active = false WHERE stage = '{target.value}'")
        connection.exec_driver_sql(f"UPDATE adapter_metadata SET active = true WHERE id = '{content(target, version)}'")
    return served_name(target, version, content(target, version))


def url(target: str) -> str:
    return target if "://" in target else f"sqlite:///{target}"


def models(server: ScriptedServer, base: str, **overrides: str) -> ModelSettings:
    return ModelSettings(
        endpoints={"here": endpoint(server, model="base", window=8000, base=base)},
        roles=Roles(reasoning="here", coding="here"),
        overrides={Stage(stage): name for stage, name in overrides.items()},
    )


def asked(router: Router, stage: Stage) -> tuple[str | None, str]:
    [said] = router.complete(stage, request())
    return said.adapter, said.model


def everything() -> list[str]:
    return [
        "base",
        "mine",
        *(served_name(t, v, content(t, v)) for t in (TrainingTarget.SCOPE, TrainingTarget.PLANNING) for v in (1, 2)),
    ]


def test_a_promotion_is_followed_by_a_running_router(curated: "Engine", database_target: str) -> None:
    with ScriptedServer("fine", models=everything(), strict_models=True) as server:
        router = open_router(models(server, "tiny"), "student", aliases=Aliases(url(database_target), fresh=0.0))
        before = router.identity
        assert asked(router, Stage.SCOPE) == (None, "base")
        one = promote(curated, TrainingTarget.SCOPE, 1)
        assert asked(router, Stage.SCOPE) == (one, one)
        assert asked(router, Stage.PRECISION) == (None, "base")
        assert router.identity != before
        two = promote(curated, TrainingTarget.SCOPE, 2)
        assert asked(router, Stage.SCOPE) == (two, two)
        promote(curated, TrainingTarget.SCOPE, 1)
        assert asked(router, Stage.SCOPE)[0] == one
        plans = promote(curated, TrainingTarget.PLANNING, 1)
        assert {asked(router, stage)[0] for stage in TrainingTarget.PLANNING.stages} == {plans}


def test_what_is_set_by_hand_goes_before_what_is_promoted(curated: "Engine", database_target: str) -> None:
    promote(curated, TrainingTarget.SCOPE, 1)
    with ScriptedServer("fine", models=everything(), strict_models=True) as server:
        router = open_router(models(server, "tiny", scope="mine"), "student", aliases=Aliases(url(database_target)))
        assert asked(router, Stage.SCOPE)[0] == "mine"
        bare = open_router(models(server, "tiny", scope=""), "student", aliases=Aliases(url(database_target)))
        assert asked(bare, Stage.SCOPE) == (None, "base")


@pytest.mark.parametrize(("base", "used"), [("tiny", True), (BASE, True), ("other", False), ("", False)])
def test_an_adapter_answers_only_where_its_base_is_served(
    curated: "Engine", database_target: str, base: str, used: bool
) -> None:
    one = promote(curated, TrainingTarget.SCOPE, 1)
    with ScriptedServer("fine", models=everything(), strict_models=True) as server:
        router = open_router(models(server, base), "student", aliases=Aliases(url(database_target)))
        assert asked(router, Stage.SCOPE)[0] == (one if used else None)


def test_teachers_have_no_adapters(curated: "Engine", database_target: str) -> None:
    from models.llm_settings import Teachers

    promote(curated, TrainingTarget.SCOPE, 1)
    with ScriptedServer("fine") as server:
        wise = models(server, "tiny").model_copy(update={"teachers": Teachers(reasoning="here")})
        assert asked(open_router(wise, "teacher", aliases=Aliases(url(database_target))), Stage.SCOPE)[0] is None


def test_a_crew_keeps_whom_it_began_with(curated: "Engine", database_target: str) -> None:
    one = promote(curated, TrainingTarget.SCOPE, 1)
    with ScriptedServer("fine", models=everything(), strict_models=True) as server:
        pool = ModelPool(models(server, "tiny"), curated=url(database_target))
        identity = pool.router("student").identity
        two = promote(curated, TrainingTarget.SCOPE, 2)
        assert asked(pool.router("no-plan"), Stage.SCOPE)[0] == one
        assert pool.router("student").identity == identity
        later = ModelPool(models(server, "tiny"), curated=url(database_target))
        assert asked(later.router("student"), Stage.SCOPE)[0] == two
        assert later.router("student").identity != identity
        assert asked(ModelPool(models(server, "tiny")).router("student"), Stage.SCOPE)[0] is None


def test_an_adapter_that_is_promoted_and_not_loaded_is_no_base(curated: "Engine", database_target: str) -> None:
    one = promote(curated, TrainingTarget.SCOPE, 1)
    with ScriptedServer("fine", models=["base"], strict_models=True) as server:
        router = open_router(models(server, "tiny"), "student", aliases=Aliases(url(database_target)))
        with pytest.raises(SettingsError, match=one):
            router.complete(Stage.SCOPE, request())
        assert server.requests == []


def test_the_check_shows_who_answers_which_stage(curated: "Engine", database_target: str) -> None:
    one = promote(curated, TrainingTarget.SCOPE, 1)
    aliases = Aliases(url(database_target))
    with ScriptedServer('{"works": true}', models=everything(), strict_models=True) as server:
        [report] = check(models(server, "tiny", code="mine"), aliases)
        assert report.stages == {"code": "mine", "scope": one}
        assert report.usable
        [other] = check(models(server, "other"), aliases)
        assert other.stages == {}
    with ScriptedServer('{"works": true}', models=["base"], strict_models=True) as server:
        [report] = check(models(server, "tiny"), aliases)
        assert one in report.fault


def test_a_database_that_is_not_there_is_not_made(tmp_path: Path) -> None:
    path = tmp_path / "curated.sqlite"
    assert Aliases(f"sqlite:///{path}").table() == {}
    assert not path.exists()


def test_reads_are_shared_for_a_moment_and_pinned_for_good(curated: "Engine", database_target: str) -> None:
    one = promote(curated, TrainingTarget.SCOPE, 1)
    slow, pinned = Aliases(url(database_target), fresh=30.0), Aliases(url(database_target), PINNED)
    for aliases in (slow, pinned):
        assert aliases.table()[Stage.SCOPE].served == one
    promote(curated, TrainingTarget.SCOPE, 2)
    assert slow.table() is slow.table()
    assert pinned.table()[Stage.SCOPE].served == one
    assert [alias.served for alias in read_aliases(curated)] == [
        served_name(TrainingTarget.SCOPE, 2, content(TrainingTarget.SCOPE, 2))
    ]


def test_every_thread_sees_a_promotion_soon(curated: "Engine", database_target: str) -> None:
    promote(curated, TrainingTarget.SCOPE, 1)
    aliases = Aliases(url(database_target))
    question = aliases.resolver(Stage.SCOPE, "tiny")
    question()
    two = promote(curated, TrainingTarget.SCOPE, 2)
    threads = [threading.Thread(target=_until, args=(question, two)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=20)
        assert not thread.is_alive()


def _until(question: object, wanted: str) -> None:
    assert callable(question)
    while question() != wanted:
        time.sleep(0.01)


SCHEMA = {"type": "object", "properties": {"1": {"enum": ["R", "S", "I"]}}}
PATHS = {"type": "object", "properties": {"files": {"type": "object"}}}


def bias_in_row(curated: "Engine", offsets: dict[str, float]) -> None:
    bias = ClassBias(offsets=offsets, tokens={"relevant": (66,), "supporting": (67, 1067)})
    with curated.begin() as connection:
        connection.execute(
            text("UPDATE adapter_metadata SET metrics = :metrics WHERE id = :id"),
            {"metrics": json.dumps({CLASS_BIAS: bias.model_dump()}), "id": content(TrainingTarget.SCOPE, 1)},
        )


@pytest.mark.parametrize(
    ("flavour", "schema", "more", "sent"),
    [
        ("vllm", SCHEMA, {}, True),
        ("llama.cpp", SCHEMA, {}, True),
        ("openai", SCHEMA, {}, False),
        ("vllm", PATHS, {}, False),
        ("vllm", None, {}, False),
        ("vllm", SCHEMA, {"thinking": True, "window": 20000}, False),
        ("vllm", SCHEMA, {"json_schema": False}, False),
        ("vllm", SCHEMA, {"extra_body": {"logit_bias": {"7": 1}}}, False),
    ],
)
def test_a_class_bias_is_sent_where_it_can_be_applied(
    curated: "Engine", database_target: str, flavour: Any, schema: Any, more: dict[str, Any], sent: bool
) -> None:
    one = promote(curated, TrainingTarget.SCOPE, 1)
    with ScriptedServer("fine", models=everything(), flavour=flavour) as server:
        here = endpoint(server, **({"model": "base", "window": 8000, "base": "tiny"} | more))
        served = ModelSettings(endpoints={"here": here}, roles=Roles(reasoning="here", coding="here"))

        def ask() -> tuple[str, dict[str, Any]]:
            router = open_router(served, "student", aliases=Aliases(url(database_target)))
            [said] = router.complete(Stage.SCOPE, request(schema_=schema))
            assert said.adapter == one
            return router.identity, server.requests[-1]

        plain, before = ask()
        bias_in_row(curated, {"relevant": 0.0, "supporting": 0.0})
        assert ask() == (plain, before)
        bias_in_row(curated, {"relevant": 1.5, "supporting": -0.25})
        biased, request_sent = ask()
        assert biased != plain
        added = {"66": 1.5, "67": -0.25, "1067": -0.25}
        assert request_sent == (before | {"logit_bias": added} if sent else before)


def test_a_name_that_is_not_registered_has_no_class_bias(curated: "Engine", database_target: str) -> None:
    bias_in_row(curated, {"relevant": 1.5})
    aliases = Aliases(url(database_target))
    one = served_name(TrainingTarget.SCOPE, 1, content(TrainingTarget.SCOPE, 1))
    found = aliases.class_bias(one)
    assert found is not None and found.by_token == {66: 1.5}
    others = ("mine", "", "scope-v7-" + one.rpartition("-")[2], served_name(TrainingTarget.SCOPE, 2, "0" * 64))
    assert [aliases.class_bias(each) for each in others] == [None] * 4


def test_a_class_bias_is_found_though_it_was_asked_for_before_its_adapter_was_registered(tmp_path: Path) -> None:
    path = tmp_path / "curated.sqlite"
    aliases, version = Aliases(url(str(path))), (TrainingTarget.SCOPE, 1)
    served = served_name(*version, content(*version))
    assert aliases.class_bias(served) is None
    engine = open_database(url(str(path)), "curated")
    assert aliases.class_bias(served) is None
    bias = ClassBias(offsets={"relevant": 1.5}, tokens={"relevant": (66,)})
    with Session(engine) as session:
        session.add(BaseModel(id=BASE, name="tiny", role=None, version=None, tuned=False, path="/", facts={}))
        row = {"id": content(*version), "stage": "scope", "version": 1, "base": BASE, "path": "/"}
        metrics = {CLASS_BIAS: bias.model_dump(mode="json")}
        session.add(AdapterMetadata(**row, metrics=metrics, trained_at=utc_now()))
        session.commit()
    assert aliases.class_bias(served) == bias
