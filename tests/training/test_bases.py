"""Bases: copied once, known by their content, and never what could run code."""

import json
import shutil
from pathlib import Path

import pytest
from sqlalchemy import Engine

from models.errors import RegistryError, UsageError
from store.database import open_database
from tests.support.tiny import make_tiny_base
from training.bases.bases import MANIFEST, add_base, find_base, list_bases
from training.bases.files import hash_file, hash_files


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_tiny_base(tmp_path_factory.mktemp("bases") / "source")


@pytest.fixture
def curated(tmp_path: Path) -> Engine:
    return open_database(tmp_path / "curated.sqlite", "curated")


def test_a_base_is_copied_under_the_hash_of_its_files(source: Path, curated: Engine, tmp_path: Path) -> None:
    base = add_base(curated, tmp_path, source, "tiny", role="reasoning")
    assert base.path == tmp_path / "bases" / base.id
    assert base.id == hash_files({file.name: hash_file(file) for file in source.iterdir()})
    assert base.facts["architecture"] == "Qwen3ForCausalLM" and base.facts["dtype"] == "F32"
    assert (base.facts["eos"], base.facts["pad"]) == ("<|im_end|>", "<|endoftext|>")
    assert base.facts["parameters"] == 139_648
    assert find_base(curated, "tiny", full=True) == find_base(curated, base.id[:12]) == base
    assert add_base(curated, tmp_path, source, "tiny") == base
    assert list_bases(curated) == [base] and len(list((tmp_path / "bases").iterdir())) == 1


def test_a_change_at_the_source_does_not_reach_the_base(source: Path, curated: Engine, tmp_path: Path) -> None:
    shutil.copytree(source, tmp_path / "mine")
    base = add_base(curated, tmp_path, tmp_path / "mine", "tiny")
    (tmp_path / "mine" / "config.json").write_text("{}")
    assert find_base(curated, "tiny", full=True) == base


def test_what_could_run_code_stays_behind(source: Path, curated: Engine, tmp_path: Path) -> None:
    shutil.copytree(source, tmp_path / "mine")
    for name in ("pytorch_model.bin", "modeling_tiny.py", "README.md"):
        (tmp_path / "mine" / name).write_text("x")
    base = add_base(curated, tmp_path, tmp_path / "mine", "tiny")
    assert {file.name for file in base.path.iterdir()} == {file.name for file in source.iterdir()} | {MANIFEST}


@pytest.mark.parametrize("change", ["resized", "missing", "altered", "manifest"])
def test_a_damaged_base_is_not_used(source: Path, curated: Engine, tmp_path: Path, change: str) -> None:
    base = add_base(curated, tmp_path, source, "tiny")
    weights = base.path / "model.safetensors"
    weights.chmod(0o644)
    if change == "resized":
        weights.write_bytes(weights.read_bytes() + b"x")
    elif change == "missing":
        weights.unlink()
    elif change == "altered":
        weights.write_bytes(weights.read_bytes()[:-1] + b"\x55")
    else:
        manifest = json.loads((base.path / MANIFEST).read_text())
        manifest["config.json"]["sha256"] = "0" * 64
        (base.path / MANIFEST).write_text(json.dumps(manifest))
    with pytest.raises(RegistryError, match=r"base tiny: .*add"):
        find_base(curated, "tiny", full=change == "altered")
    add_base(curated, tmp_path, source, "tiny")  # as the message says
    assert find_base(curated, "tiny", full=True) == base


def test_an_unknown_base_is_told_with_those_known(source: Path, curated: Engine, tmp_path: Path) -> None:
    with pytest.raises(RegistryError, match=r"no base 'other' \(known: none\)"):
        find_base(curated, "other")
    add_base(curated, tmp_path, source, "tiny")
    with pytest.raises(RegistryError, match=r"no base 'other' \(known: tiny\)"):
        find_base(curated, "other")


def test_names_and_weights_belong_together(source: Path, curated: Engine, tmp_path: Path) -> None:
    add_base(curated, tmp_path, source, "tiny")
    with pytest.raises(UsageError, match="as base tiny"):
        add_base(curated, tmp_path, source, "other")
    with pytest.raises(UsageError, match="name tiny is taken"):
        add_base(curated, tmp_path, make_tiny_base(tmp_path / "second", seed=1), "tiny")
    with pytest.raises(UsageError, match="letters, digits"):
        add_base(curated, tmp_path, source, "../tiny")


@pytest.mark.parametrize(
    ("remove", "add", "message"),
    [
        ("model.safetensors", {"pytorch_model.bin": "x"}, r"only pickled weights \(pytorch_model.bin\)"),
        ("model.safetensors", {}, "no weights; a base needs"),
        ("tokenizer.json", {}, "tokenizer.json is missing"),
        ("chat_template.jinja", {}, "no chat template"),
        ("config.json", {"config.json": '{"auto_map": {}}'}, "auto_map"),
        ("model.safetensors", {"model.safetensors": "x"}, "not a safetensors file"),
    ],
)
def test_what_is_no_base_is_refused(
    source: Path, curated: Engine, tmp_path: Path, remove: str, add: dict[str, str], message: str
) -> None:
    shutil.copytree(source, tmp_path / "mine")
    (tmp_path / "mine" / remove).unlink()
    for name, text in add.items():
        (tmp_path / "mine" / name).write_text(text)
    with pytest.raises(UsageError, match=message):
        add_base(curated, tmp_path, tmp_path / "mine", "tiny")
    assert list_bases(curated) == [] and list((tmp_path / "bases").iterdir()) == []


def test_a_gguf_is_told_from_what_is_none(curated: Engine, tmp_path: Path) -> None:
    file = tmp_path / "x.gguf"
    with pytest.raises(UsageError, match="no such file"):
        add_base(curated, tmp_path, file, "x", gguf=True)
    file.write_bytes(b"GGML")
    with pytest.raises(UsageError, match="not a GGUF file"):
        add_base(curated, tmp_path, file, "x", gguf=True)
    with pytest.raises(UsageError, match="a GGUF file needs --gguf"):
        add_base(curated, tmp_path, file, "x")
    with pytest.raises(UsageError, match="the embedded model needs --gguf"):
        add_base(curated, tmp_path, Path("embedded"), "x")


@pytest.mark.slow
def test_the_embedded_model_becomes_a_base_that_says_the_same(curated: Engine, tmp_path: Path) -> None:
    """llama.cpp computes with rounded activations, so its probabilities are the converted weights' only nearly."""
    import httpx
    import torch
    from transformers import AutoModelForCausalLM

    from llm.embedded import start
    from training.bases.chat_format import ChatFormat

    base = add_base(curated, tmp_path, Path("embedded"), "smollm2", gguf=True)
    assert base.facts["parameters"] == 134_515_008 and base.facts["source"]
    assert add_base(curated, tmp_path, Path("embedded"), "smollm2", gguf=True) == base
    (base.path / "manifest.json").unlink()  # damaged: it is made again
    assert add_base(curated, tmp_path, Path("embedded"), "smollm2", gguf=True) == find_base(
        curated, "smollm2", full=True
    )
    with pytest.raises(UsageError, match="as base smollm2"):
        add_base(curated, tmp_path, Path("embedded"), "other", gguf=True)
    ids = ChatFormat.load(base.path).tokenizer("The capital of France is")["input_ids"]
    with torch.no_grad():
        ours = AutoModelForCausalLM.from_pretrained(base.path)(torch.tensor([ids])).logits[0, -1].log_softmax(-1)
    server = start(2048)
    asked = {"prompt": ids, "n_predict": 1, "temperature": 0, "n_probs": 10}
    headers = {"Authorization": f"Bearer {server.key}"}
    answer = httpx.post(f"{server.url.removesuffix('/v1')}/completion", json=asked, headers=headers, timeout=120)
    theirs = answer.json()["completion_probabilities"][0]["top_logprobs"]
    assert theirs[0]["id"] == int(ours.argmax())
    for token in theirs:
        assert token["logprob"] == pytest.approx(float(ours[token["id"]]), abs=0.4)
