"""Windows of bases: the position limit and the rotary base change together, and what cannot be reduced is refused."""

import json
import math
import shutil
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.errors import RegistryError, UsageError
from store.database import open_database
from tests.support.tiny import make_tiny_base
from training.adapters.export.weights import to_gguf
from training.bases.bases import MANIFEST, Base, add_base
from training.bases.files import hash_file
from training.bases.windows import SMALLEST_WINDOW, read_rotary, reduced, reduced_base, reduced_config, rotary_base

TINY = {"max_position_embeddings": 4096, "rope_parameters": {"rope_theta": 10_000.0, "rope_type": "default"}}


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Base:
    folder = tmp_path_factory.mktemp("windows")
    curated = open_database(folder / "curated.sqlite", "curated")
    return add_base(curated, folder, make_tiny_base(folder / "source"), "tiny")


def test_both_the_limit_and_the_rotary_base_are_smaller(base: Base, tmp_path: Path) -> None:
    place = reduced(base, 1024, tmp_path / "made")
    config = json.loads((place / "config.json").read_text())
    assert config["max_position_embeddings"] == 1024
    expected = 10_000 ** (math.log(1024 / (2 * math.pi)) / math.log(4096 / (2 * math.pi)))
    assert config["rope_parameters"] == {"rope_theta": expected, "rope_type": "default"}
    assert 1390 < expected < 1400
    assert json.loads((place / "tokenizer_config.json").read_text())["model_max_length"] == 1024
    assert hash_file(place / "model.safetensors") == hash_file(base.path / "model.safetensors")
    assert {file.name for file in place.iterdir()} == {file.name for file in base.path.iterdir()} - {MANIFEST}


def test_the_loaded_model_computes_with_the_new_rotary_base(base: Base, tmp_path: Path) -> None:
    import torch
    from transformers import AutoModelForCausalLM

    place = reduced(base, 512, tmp_path / "made")
    model = AutoModelForCausalLM.from_pretrained(place, local_files_only=True)
    theta = rotary_base(10_000.0, 4096, 512)
    head = model.config.head_dim
    expected = torch.tensor([theta ** (-2 * i / head) for i in range(head // 2)])
    assert torch.allclose(model.model.rotary_emb.inv_freq, expected, rtol=1e-5)
    assert model.config.max_position_embeddings == 512
    ids = torch.arange(40).reshape(1, -1)
    old = AutoModelForCausalLM.from_pretrained(base.path, local_files_only=True)
    with torch.no_grad():
        assert not torch.equal(model(ids).logits, old(ids).logits)
        limit_alone = AutoModelForCausalLM.from_pretrained(
            base.path, local_files_only=True, max_position_embeddings=512
        )
        assert torch.equal(limit_alone(ids).logits, old(ids).logits)


def test_the_weights_stay_tied(base: Base, tmp_path: Path) -> None:
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(reduced(base, 512, tmp_path / "made"), local_files_only=True)
    assert model.lm_head.weight.data_ptr() == model.model.embed_tokens.weight.data_ptr()


def test_the_same_window_gives_the_same_base_which_registers_under_that_id(base: Base, tmp_path: Path) -> None:
    one, other = (reduced_base(base, 512, tmp_path / name) for name in ("one", "other"))
    assert one.id == other.id != base.id and one.facts["window"] == 512 and one.name == "tiny-512"
    assert reduced_base(base, 512, tmp_path / "one") == one  # a second time into the folder it made
    curated = open_database(tmp_path / "curated.sqlite", "curated")
    assert add_base(curated, tmp_path, one.path, one.name).id == one.id


@pytest.mark.parametrize("name", ["model.safetensors", "tokenizer.json", "tokenizer_config.json", "more.txt"])
def test_a_folder_is_used_again_only_if_it_is_intact(base: Base, tmp_path: Path, name: str) -> None:
    made = reduced_base(base, 512, tmp_path / "made")
    file = made.path / name
    content = bytearray(file.read_bytes() if file.exists() else b"x")
    content[-1] ^= 1
    file.write_bytes(content)
    for again in (reduced_base, reduced):
        with pytest.raises(UsageError, match=f"made holds other files .{name} is not that of base tiny"):
            again(base, 512, tmp_path / "made")


def test_an_altered_base_is_not_reduced(base: Base, tmp_path: Path) -> None:
    place = shutil.copytree(base.path, tmp_path / "altered")
    weights = place / "model.safetensors"
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    with pytest.raises(RegistryError, match=r"model\.safetensors is altered"):
        reduced_base(base._replace(path=place), 512, tmp_path / "made")
    assert not (tmp_path / "made").exists()


def test_a_statement_about_the_base_is_not_about_the_reduced_one(base: Base, tmp_path: Path) -> None:
    place = shutil.copytree(base.path, tmp_path / "tuned")
    for name in ("statement.json", "statement.sig"):
        (place / name).write_text("about other files")
    made = reduced_base(base._replace(path=place), 512, tmp_path / "made")
    assert made.id == reduced_base(base, 512, tmp_path / "other").id
    assert not list(made.path.glob("statement*"))


def test_a_folder_of_something_else_is_left_alone(base: Base, tmp_path: Path) -> None:
    (tmp_path / "made").mkdir()
    (tmp_path / "made" / "mine.txt").write_text("x")
    with pytest.raises(UsageError, match="made holds other files"):
        reduced(base, 512, tmp_path / "made")
    reduced(base, 512, tmp_path / "other")
    with pytest.raises(UsageError, match="other holds other files"):
        reduced(base, 1024, tmp_path / "other")
    assert [file.name for file in (tmp_path / "made").iterdir()] == ["mine.txt"]


@pytest.mark.parametrize("window", [4096, 8192, SMALLEST_WINDOW - 1, 0, -1])
def test_a_window_must_be_smaller_and_no_smaller_than_a_prompt(base: Base, tmp_path: Path, window: int) -> None:
    with pytest.raises(UsageError, match=rf"{window}: base tiny has a window of 4096 tokens; give at least"):
        reduced(base, window, tmp_path / "made")
    assert not (tmp_path / "made").exists()


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"rope_parameters": None}, "no rotary embeddings"),
        ({"rope_parameters": {"rope_type": "default"}}, "no rotary embeddings"),
        ({"max_position_embeddings": None, "n_positions": 1024, "model_type": "gpt2"}, "gpt2"),
        ({"rope_parameters": {"rope_theta": 1e6, "rope_type": "yarn", "factor": 4.0}}, "yarn"),
        ({"rope_parameters": {"rope_theta": 1e6, "rope_type": "llama3", "factor": 8.0}}, "llama3"),
        ({"rope_parameters": None, "rope_theta": 1e4, "rope_scaling": {"type": "linear", "factor": 2.0}}, "linear"),
        (
            {"rope_parameters": {"full_attention": {"rope_theta": 1e6}, "sliding_attention": {"rope_theta": 1e4}}},
            "kind",
        ),
    ],
)
def test_what_has_no_single_plain_rotary_base_is_refused(change: dict[str, Any], named: str) -> None:
    with pytest.raises(UsageError, match=f"base other: .*{named}"):
        reduced_config(TINY | change, 512, "other")


def test_older_readers_find_the_rotary_base_at_the_top() -> None:
    made = reduced_config(TINY, 512, "tiny")
    assert "rope_theta" not in TINY
    assert made["rope_theta"] == made["rope_parameters"]["rope_theta"] == rotary_base(10_000.0, 4096, 512)


def test_an_older_configuration_says_the_same_in_both_places() -> None:
    old = {"max_position_embeddings": 8192, "rope_theta": 100_000, "rope_scaling": None, "hidden_size": 8}
    made = reduced_config(old, 2048, "older")
    assert made["rope_theta"] == made["rope_parameters"]["rope_theta"] == rotary_base(100_000, 8192, 2048)
    assert read_rotary(made, "older") == (2048, made["rope_theta"]) and made["hidden_size"] == 8


@given(st.floats(1e3, 1e8), st.integers(1024, 1 << 18), st.data())
def test_the_dimension_that_goes_round_once_in_the_window_stays(theta: float, window: int, data: st.DataObject) -> None:
    smaller = data.draw(st.integers(SMALLEST_WINDOW, window - 1))
    new = rotary_base(theta, window, smaller)
    assert 1 < new < theta
    critical, after = (math.log(t / (2 * math.pi)) / math.log(b) for t, b in ((window, theta), (smaller, new)))
    assert math.isclose(critical, after, rel_tol=1e-9)


def test_an_export_to_gguf_has_the_new_window_and_rotary_base(base: Base, tmp_path: Path) -> None:
    from gguf import GGUFReader

    out = to_gguf(reduced(base, 512, tmp_path / "made"), tmp_path / "made.gguf")
    fields = GGUFReader(str(out)).fields
    assert fields["qwen3.context_length"].contents() == 512
    assert math.isclose(fields["qwen3.rope.freq_base"].contents(), rotary_base(10_000.0, 4096, 512), rel_tol=1e-6)
