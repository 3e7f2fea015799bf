"""Tokens are counted as the model counts them, or not less."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Whitespace

from models.errors import ProviderError, SettingsError
from models.protocols import Stage
from models.tokens import estimate_tokens
from tests.support.asking import router
from tests.support.bad_server import ScriptedServer, tokens

TEXT = "def add(a, b):\n    return a + b  # größer\n"


@pytest.fixture
def tokenizer_file(tmp_path: Path) -> Path:
    tokenizer = Tokenizer(WordLevel({"[UNK]": 0}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = Whitespace()
    path = tmp_path / "tokenizer.json"
    tokenizer.save(str(path))
    return path


def test_by_a_local_tokenizer(tokenizer_file: Path) -> None:
    with ScriptedServer("fine") as server:
        counting = router(server, tokenizer=str(tokenizer_file))
        assert counting.count(Stage.CODE, "five words are in here") == 5
        assert server.paths == []


@pytest.mark.parametrize("flavour", ["vllm", "llama.cpp"])
def test_by_the_server(flavour: str) -> None:
    with ScriptedServer("fine", flavour=flavour) as server:
        counting = router(server)
        assert counting.count(Stage.CODE, TEXT) == len(tokens(TEXT))
        asked = len(server.paths)
        assert counting.count(Stage.CODE, TEXT) == len(tokens(TEXT))
        assert len(server.paths) == asked  # a text is asked about once


def test_by_an_estimate_on_the_high_side() -> None:
    with ScriptedServer("fine", flavour="openai") as server:
        counting = router(server)
        assert counting.count(Stage.CODE, TEXT) == estimate_tokens(TEXT) == 22
        assert not counting.routes[Stage.CODE].service.counter.exact


def test_a_tokenizer_that_is_not_there_or_is_none(tmp_path: Path) -> None:
    bad = tmp_path / "tokenizer.json"
    with ScriptedServer("fine") as server:
        with pytest.raises(SettingsError, match="does not exist"):
            router(server, tokenizer=str(bad)).count(Stage.CODE, TEXT)
        bad.write_text("{}")
        with pytest.raises(SettingsError, match=r"is no tokenizer\.json"):
            router(server, tokenizer=str(bad)).count(Stage.CODE, TEXT)


def test_a_server_that_went_down_cannot_count() -> None:
    with ScriptedServer("fine") as server:
        counting = router(server)
        counting.count(Stage.CODE, "first")
    with pytest.raises(ProviderError, match="endpoint 'here'"):
        counting.count(Stage.CODE, "second")


@given(st.text(), st.text())
def test_an_estimate_never_shrinks_by_more_text(first: str, second: str) -> None:
    both = estimate_tokens(first + second)
    assert max(estimate_tokens(first), estimate_tokens(second)) <= both + 1
    assert both <= estimate_tokens(first) + estimate_tokens(second)


@pytest.mark.parametrize(
    ("text", "least"),
    [
        ("src/humanize/locale/pt_BR/LC_MESSAGES/humanize.po", 18),
        ("1234567890", 10),
        ("    return x\n", 4),
        ("größer", 3),
    ],
)
def test_an_estimate_counts_what_vocabularies_do_not_join(text: str, least: int) -> None:
    assert least <= estimate_tokens(text) <= len(text.encode()) + 1
