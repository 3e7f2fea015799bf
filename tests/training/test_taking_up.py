"""An adapter that nobody promoted yet, taken up by a running server so that it can be judged there."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from models.chat import Message
from models.errors import EvaluationError
from models.protocols import Stage
from models.settings import Settings
from models.training import TrainingTarget
from store.database import open_database
from tests.support.doubles import Start, doubles
from tests.support.registry_material import make_adapter, make_base
from training.adapters.registry import AdapterVersion, Registry
from training.bases.bases import find_base
from training.cycle.served import load_adapter, served_answerer

ASKED = [Message(role="user", content="Which file?")]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    with doubles(tmp_path) as begin:
        yield begin


@pytest.fixture
def registered(tmp_path: Path) -> tuple[Settings, AdapterVersion]:
    """Settings with a registry in which one adapter waits for its gate."""
    settings = Settings(data_dir=tmp_path / "data", cache_dir=tmp_path / "cache")
    curated = open_database(settings.curated_url, "curated")
    make_base(curated, settings.data_dir)
    registry = Registry(curated, settings.data_dir)
    adapter = make_adapter(tmp_path / "adapter")
    return settings, registry.register(adapter, TrainingTarget.SCOPE, "tiny", "none", "none", {}, {}, "none")


def served_at(settings: Settings, url: str) -> Settings:
    here = {"url": f"{url}/v1", "model": "base", "base": "tiny", "window": 2048}
    return Settings.model_validate(
        settings.model_dump() | {"models": {"endpoints": {"here": here}}, "training": {"endpoint": "here"}}
    )


def test_a_challenger_answers_where_it_would_serve(start: Start, registered: tuple[Settings, AdapterVersion]) -> None:
    settings, version = registered
    _, server = start()
    settings = served_at(settings, server.place.root)
    curated = open_database(settings.curated_url, "curated")
    base = find_base(curated, "tiny")
    assert version.served not in server.names()
    for adapter, name in ((None, "base"), (version, version.served), (version, version.served)):
        answerer = served_answerer(settings, "here", curated, base, adapter, Stage.SCOPE)
        assert answerer.answer(ASKED, 50, 0, 0.0) == f"said by {name}"
    assert server.names()[version.served] == str(version.path)
    assert Registry(curated, settings.data_dir).active(TrainingTarget.SCOPE) is None


@pytest.mark.parametrize(("misbehaving", "why"), [("as-base", "changes nothing"), ("other", "not base")])
def test_a_server_that_cannot_show_it_is_not_asked(
    misbehaving: str, why: str, start: Start, registered: tuple[Settings, AdapterVersion]
) -> None:
    settings, version = registered
    _, server = start(misbehaving)
    settings = served_at(settings, server.place.root)
    curated = open_database(settings.curated_url, "curated")
    with pytest.raises(EvaluationError, match=rf"scope-v1 cannot be judged through endpoint 'here': .*{why}"):
        load_adapter(settings, "here", curated, find_base(curated, "tiny"), version)


def test_a_server_that_takes_no_adapters_says_how_it_would(
    start: Start, registered: tuple[Settings, AdapterVersion]
) -> None:
    settings, version = registered
    _, server = start("closed")
    settings = served_at(settings, server.place.root)
    curated = open_database(settings.curated_url, "curated")
    with pytest.raises(EvaluationError, match="`cra serve`"):
        load_adapter(settings, "here", curated, find_base(curated, "tiny"), version)
