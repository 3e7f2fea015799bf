"""What the registry takes in, and whether it is still that: files, keys, statements, rows."""

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from models.errors import RegistryError
from models.training import TrainingTarget
from store.database import open_database
from tests.support.registry_material import (
    flip,
    fresh,
    lora,
    make_adapter,
    make_base,
    register,
)
from training.adapters.registry import Registry

if TYPE_CHECKING:
    pass


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"base_model_name_or_path": "other"}, "base 'other', not on 'tiny'"),
        ({"modules_to_save": ["lm_head"]}, "modules_to_save is set"),
        ({"use_dora": True}, "use_dora is set"),
        ({"bias": "all"}, "bias is 'all'"),
        ({"lora_bias": True}, "lora_bias is set"),
        ({"r": 8}, "q_proj.lora_A has shape .4, 16., its base and rank need .8, 16."),
        ({"r": 4096}, "rank r is 4096"),
        ({"peft_type": "IA3"}, "peft_type"),
        ({"target_modules": ["q_proj"]}, "v_proj is not among target_modules"),
        ({"target_modules": ["q_proj", "v_proj", "up_proj"]}, "no tensor for up_proj"),
        ({"init_lora_weights": "pissa"}, "changes the base's own weights"),
        ({"tensors": lora(width=8)}, "has shape"),
        ({"tensors": {}}, "no tensors"),
        ({"tensors": lora(0.0)}, "every lora_B is zero"),
        ({"tensors": lora(float("nan"))}, "NaN"),
        ({"tensors": {"base_model.model.lm_head.weight": ((2, 2), [1.0] * 4)}}, "plain LoRA"),
        (
            {"tensors": {"base_model.model.model.layers.7.q_proj.lora_A.weight": ((4, 16), [1.0] * 64)}},
            "the base has no matrix model.layers.7.q_proj",
        ),
    ],
)
def test_an_adapter_that_servers_would_not_take_is_refused(
    local: Registry, tmp_path: Path, changes: dict[str, object], said: str
) -> None:
    with pytest.raises(RegistryError, match=said):
        register(local, make_adapter(tmp_path / "bad", **changes))  # type: ignore[arg-type]
    assert local.list() == []


@pytest.mark.parametrize("cut", [0, 4, 40, 300, -1])
def test_a_damaged_file_is_refused(local: Registry, tmp_path: Path, cut: int) -> None:
    folder = make_adapter(tmp_path / "bad")
    weights = folder / "adapter_model.safetensors"
    weights.write_bytes(weights.read_bytes()[:cut])
    with pytest.raises(RegistryError, match=r"adapter_model\.safetensors"):
        register(local, folder)


def test_verification_finds_what_was_tampered_with(local: Registry, tmp_path: Path) -> None:
    one, two = fresh(local, tmp_path, 1.0), fresh(local, tmp_path, 2.0)
    assert local.verify("scope-v1") == one
    weights, statement, signature = (
        one.path / name for name in ("adapter_model.safetensors", "statement.json", "statement.sig")
    )
    flip(weights)
    with pytest.raises(RegistryError, match=r"adapter scope-v1: its files in .* have hash"):
        local.verify("scope-v1")
    flip(weights)
    flip(statement, (b'"abc123"', b'"abc124"'))
    with pytest.raises(RegistryError, match=r"statement\.sig .*Hash mismatch for .{1,3}statement\.json"):
        local.verify("scope-v1")
    flip(statement, (b'"abc124"', b'"abc123"'))
    own = signature.read_bytes()
    signature.chmod(0o644)
    signature.write_bytes((two.path / "statement.sig").read_bytes())
    with pytest.raises(RegistryError, match=r"statement\.sig does not"):
        local.verify("scope-v1")
    for nonsense in (b"", b"{}", b"[1]", own[:-20], own.replace(b'"sig":"', b'"sig":"AAAA')):
        signature.write_bytes(nonsense)
        with pytest.raises(RegistryError, match=r"statement\.sig"):
            local.verify("scope-v1")
    signature.write_bytes(own)
    one.path.chmod(0o755)
    (one.path / "extra.py").write_text("")
    with pytest.raises(RegistryError, match="Extra files"):
        local.verify("scope-v1")
    (one.path / "extra.py").unlink()
    assert local.verify("scope-v1") == one
    with pytest.raises(RegistryError):
        flip(weights)
        local.promote(one, override="trial")


def test_another_key_and_another_base_are_found_out(local: Registry, tmp_path: Path) -> None:
    one = fresh(local, tmp_path, 1.0)
    public = local.keys / "signing-key.pub"
    foreign = Registry(open_database(tmp_path / "other" / "curated.sqlite", "curated"), tmp_path / "other")
    make_base(foreign._curated, tmp_path / "other")
    fresh(foreign, tmp_path, 1.0)
    own = public.read_bytes()
    public.chmod(0o644)
    public.write_bytes((foreign.keys / "signing-key.pub").read_bytes())
    with pytest.raises(RegistryError, match="Key mismatch"):
        local.verify("scope-v1")
    public.write_bytes(own)
    flip(tmp_path / "base-tiny" / "model.safetensors")
    with pytest.raises(RegistryError, match="missing or altered"):
        local.verify("scope-v1")
    assert one.base == foreign.list()[0].base


def test_a_row_that_the_statement_does_not_bear_out_is_found_out(local: Registry, tmp_path: Path) -> None:
    fresh(local, tmp_path, 1.0)
    with local._curated.begin() as connection:
        connection.exec_driver_sql("UPDATE adapter_metadata SET dataset_id = 'x'")
    with pytest.raises(RegistryError, match=r"its statement says dataset d+, the database x"):
        local.verify("scope-v1")


def test_the_statement_tells_the_lineage(local: Registry, tmp_path: Path) -> None:
    folder = make_adapter(tmp_path / "a")
    (folder / "losses.jsonl").write_text("{}\n")
    (folder / "optimizer.pt").write_text("left behind")
    version = local.register(
        folder,
        TrainingTarget.SCOPE,
        "tiny",
        "data",
        "plan",
        {},
        {"r": 4},
        "abc",
        parents=["before"],
        evaluations=["e1"],
    )
    said = json.loads((version.path / "statement.json").read_text())
    assert said["_type"] == "https://in-toto.io/Statement/v1"
    made = said["predicate"]
    assert (made["base"], made["dataset"], made["parents"], made["evaluations"]) == (
        version.base,
        "data",
        ["before"],
        ["e1"],
    )
    assert (version.path / "losses.jsonl").is_file()
    assert not (version.path / "optimizer.pt").exists()
