"""A base thinks in training, evaluation and serving alike, or nothing is trained."""

from pathlib import Path

import pytest

from models.errors import TrainingError
from models.settings import Settings
from models.training import TrainingTarget
from tests.support.tiny import make_tiny_base
from training.bases.bases import Base
from training.bases.chat_format import ChatFormat
from training.bases.thinking import base_thinks, training_settings

SCOPE, CODE = TrainingTarget.SCOPE, TrainingTarget.CODE


@pytest.fixture(scope="module")
def thinker(tmp_path_factory: pytest.TempPathFactory) -> Base:
    """Its template thinks unless told otherwise."""
    return Base("t" * 64, "thinker", make_tiny_base(tmp_path_factory.mktemp("thinker")), None, None, {})


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Base:
    """Its template has no switch."""
    folder = make_tiny_base(tmp_path_factory.mktemp("plain"), template="qwen2_5")
    return Base("p" * 64, "plain", folder, None, None, {})


def settings(folder: Path, trained: bool | None, served: bool | None, base: str = "thinker") -> Settings:
    endpoint = {"url": "http://127.0.0.1:9/v1", "model": "m", "base": base, "thinking": served}
    models = {"endpoints": {"local": endpoint}, "roles": {"reasoning": "local"}}
    return Settings(data_dir=folder, training={"thinking": trained}, models=models)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("trained", "served", "decided"),
    [(None, None, None), (True, True, True), (False, False, False), (True, None, True), (None, True, True)],
)
def test_settings_that_agree_decide(
    thinker: Base, tmp_path: Path, trained: bool | None, served: bool | None, decided: bool | None
) -> None:
    made = settings(tmp_path, trained, served)
    assert base_thinks(made, thinker, SCOPE) is decided
    assert training_settings(made, thinker, SCOPE).thinking is decided


@pytest.mark.parametrize(("trained", "served"), [(True, False), (False, True), (False, None)])
def test_what_would_be_served_otherwise_is_not_trained(
    thinker: Base, tmp_path: Path, trained: bool | None, served: bool | None
) -> None:
    with pytest.raises(TrainingError, match=r"training.thinking is .* models.endpoints.local.thinking"):
        base_thinks(settings(tmp_path, trained, served), thinker, SCOPE)


def test_an_endpoint_decides_where_training_is_told_nothing(thinker: Base, tmp_path: Path) -> None:
    assert base_thinks(settings(tmp_path, None, False), thinker, SCOPE) is False


def test_only_endpoints_that_answer_for_the_base_and_target_count(thinker: Base, plain: Base, tmp_path: Path) -> None:
    made = settings(tmp_path, True, False)
    assert base_thinks(made, thinker, CODE) is True  # coded by another endpoint
    assert base_thinks(made, plain, SCOPE) is True  # another base


def test_without_a_switch_in_the_template_the_settings_cannot_differ(plain: Base, tmp_path: Path) -> None:
    assert base_thinks(settings(tmp_path, True, False, base="plain"), plain, SCOPE) is True


def test_a_template_says_what_it_does_by_default(thinker: Base, plain: Base) -> None:
    told = ChatFormat.load(thinker.path)
    assert (told.default_thinking, told.thinks) == (True, True)
    assert not ChatFormat.load(thinker.path, thinking=False).thinks
    assert ChatFormat.load(plain.path).default_thinking is None
    assert not ChatFormat.load(plain.path).thinks
