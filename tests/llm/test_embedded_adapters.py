"""Adapters on the model inside the process: loaded with it, chosen per request, taken up when promoted later."""

import json
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import gguf
import numpy as np
import pytest

from llm import ChatRequest, Message, Router, embedded, open_router, service
from models.class_bias import ClassBias
from models.errors import ProviderError, SettingsError
from models.llm_settings import ModelSettings
from models.protocols import Stage

pytestmark = pytest.mark.slow

WIDTH, LAYERS, RANK = 576, 30, 4
NAMES = ("relevant", "supporting", "irrelevant")


def write_adapter(folder: Path, name: str, seed: int) -> Path:
    """A random adapter of the embedded model that changes what it says."""
    numbers = np.random.default_rng(seed)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.gguf"
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_type("adapter")
    writer.add_string("adapter.type", "lora")
    writer.add_float32("adapter.lora.alpha", 2.0 * RANK)
    for layer in range(LAYERS):
        for side, shape in (("lora_a", (RANK, WIDTH)), ("lora_b", (WIDTH, RANK))):
            tensor = numbers.normal(0, 0.08, shape).astype(np.float32)
            writer.add_tensor(f"blk.{layer}.attn_q.weight.{side}", tensor)
            writer.add_tensor(f"blk.{layer}.attn_output.weight.{side}", tensor[:, ::-1].copy())
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The folder of adapters, for a process that has not started the model yet."""
    monkeypatch.setenv("CRA_DATA_DIR", str(tmp_path))
    before = embedded._running.pop(os.getpid(), None)
    monkeypatch.setattr(service, "_services", {})
    yield embedded.adapters_folder()
    embedded._running.pop(os.getpid(), None)
    if before is not None:
        embedded._running[os.getpid()] = before


def say(adapter: str | None, text: str = "Name the files that matter for a login.") -> str:
    models = ModelSettings(overrides={} if adapter is None else {Stage.SCOPE: adapter})
    messages = (Message(role="system", content="You read code."), Message(role="user", content=text))
    [said] = open_router(models, "student").complete(Stage.SCOPE, ChatRequest(messages=messages, max_tokens=12))
    assert said.adapter == adapter
    return said.text


def test_each_request_chooses_its_adapter_or_none(folder: Path) -> None:
    write_adapter(folder, "scope-v1-aaaaaaaaaaaa", 1)
    write_adapter(folder, "code-v3-bbbbbbbbbbbb", 2)
    base = say(None)
    first, second = say("scope-v1-aaaaaaaaaaaa"), say("code-v3-bbbbbbbbbbbb")
    assert len({base, first, second}) == 3
    assert say(None) == base, "the base answers from what an adapter left in the cache"
    assert say("scope-v1-aaaaaaaaaaaa") == first


def test_no_prompt_is_answered_from_what_another_adapter_left_of_it(folder: Path) -> None:
    write_adapter(folder, "scope-v1-aaaaaaaaaaaa", 1)
    prompts = ["Name the files that matter.", "Write a poem about rivers and rain.", "Count the seconds of a day."]
    for prompt in prompts:
        say("scope-v1-aaaaaaaaaaaa", prompt)
    after = [say(None, prompt) for prompt in prompts]
    embedded._running.pop(os.getpid())
    service._services.clear()
    assert [say(None, prompt) for prompt in prompts] == after


def test_an_adapter_that_is_promoted_later_is_taken_up(folder: Path) -> None:
    base = say(None)
    with pytest.raises(SettingsError, match="export-adapter"):
        say("scope-v2-cccccccccccc")
    write_adapter(folder, "scope-v2-cccccccccccc", 3)
    assert say("scope-v2-cccccccccccc") != base
    assert say(None) == base


def test_the_newest_of_each_target_is_loaded_at_the_start(tmp_path: Path) -> None:
    names = ("scope-v1-aa", "scope-v10-bb", "scope-v9-cc", "task_analysis-v1-dd", "notes")
    for name in names:
        (tmp_path / f"{name}.gguf").touch()
    assert [path.stem for path in embedded.newest(tmp_path)] == ["scope-v10-bb", "task_analysis-v1-dd"]
    assert embedded.newest(tmp_path / "none") == []


def test_a_damaged_adapter_is_named(folder: Path) -> None:
    folder.mkdir()
    (folder / "scope-v1-aaaaaaaaaaaa.gguf").write_bytes(b"rubbish")
    with pytest.raises(ProviderError, match="scope-v1-aaaaaaaaaaaa"):
        say(None)


def test_a_class_bias_moves_the_classes_that_are_chosen(folder: Path) -> None:
    write_adapter(folder, "scope-v1-aaaaaaaaaaaa", 1)
    models = ModelSettings(overrides={Stage.SCOPE: "scope-v1-aaaaaaaaaaaa"})
    plain = open_router(models, "student").routes[Stage.SCOPE]
    letters = {str(number): {"enum": ["R", "S", "I"]} for number in (1, 2)}
    schema = {"type": "object", "properties": letters, "required": ["1", "2"], "additionalProperties": False}
    messages = (Message(role="user", content="Judge 1: a.py and 2: b.py as R, S or I, in JSON."),)
    tokens = {name: (plain.service.wire.ask("/tokenize", {"content": name[0].upper()})["tokens"][0],) for name in NAMES}
    said = {}
    for name in ("", *NAMES):
        bias = ClassBias(offsets={name: 25.0}, tokens=tokens) if name else None
        router = Router({Stage.SCOPE: replace(plain, biased=lambda _, bias=bias: bias)})
        request = ChatRequest(messages=messages, max_tokens=40, schema_=schema)
        said[name] = json.loads(router.complete(Stage.SCOPE, request)[0].text)
    assert [said[name] for name in NAMES] == [dict.fromkeys("12", name[0].upper()) for name in NAMES]
    [again] = open_router(models, "student").complete(Stage.SCOPE, request)
    assert json.loads(again.text) == said[""]
