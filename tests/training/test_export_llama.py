"""Exports of tiny random models, loaded by llama.cpp and compared with PEFT, for every architecture that is known."""

import json
import shutil
from pathlib import Path

import pytest

from models.errors import GuardrailError, RegistryError, TrainingError, UsageError
from store.database import open_database
from tests.support.tiny import MODULES, make_adapter, make_tiny_base
from training.adapters.export.adapter import adapter_to_gguf, read_adapter
from training.adapters.export.exporting import ExportSource, check_gguf, embed, export
from training.adapters.export.merge import merge
from training.adapters.export.vocabulary import split_name
from training.adapters.export.weights import to_gguf
from training.bases.bases import add_base
from training.bases.gguf import _QWEN2
from training.cycle.guardrails import check_frozen_base

pytestmark = pytest.mark.slow

KINDS = ("llama", "qwen2", "qwen3")


def make_base(path: Path, kind: str) -> Path:
    """A tiny random base of an architecture, with 4 heads over 2 of keys."""
    make_tiny_base(path, template="qwen3")
    if kind != "qwen3":
        import torch
        from transformers import AutoModelForCausalLM, LlamaConfig, Qwen2Config

        sizes = json.loads((path / "config.json").read_text())
        kept = ("vocab_size", "hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads",
                "num_key_value_heads", "max_position_embeddings", "eos_token_id", "pad_token_id")  # fmt: skip
        make = LlamaConfig if kind == "llama" else Qwen2Config
        torch.manual_seed(3)
        model = AutoModelForCausalLM.from_config(make(**{key: sizes[key] for key in kept}, tie_word_embeddings=False))
        for name, weight in model.named_parameters():
            if name.endswith("bias"):
                torch.nn.init.normal_(weight, std=0.5)
        model.save_pretrained(path)
    if kind == "qwen2":  # its tokenizer class has its own way of cutting texts, whatever the file says
        tokenizer = json.loads((path / "tokenizer.json").read_text())
        level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": False, "use_regex": False}
        split = {"type": "Split", "pattern": {"Regex": _QWEN2}, "behavior": "Isolated", "invert": False}
        tokenizer["pre_tokenizer"] = {"type": "Sequence", "pretokenizers": [split, level]}
        (path / "tokenizer.json").write_text(json.dumps(tokenizer))
    return path


@pytest.fixture(scope="module")
def bases(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("bases")
    return {kind: make_base(root / kind, kind) for kind in KINDS}


@pytest.mark.parametrize("kind", KINDS)
def test_an_exported_adapter_answers_as_it_was_trained(kind: str, bases: dict[str, Path], tmp_path: Path) -> None:
    trained = ExportSource("scope-v1-aa", bases[kind], make_adapter(bases[kind], tmp_path / "adapter"))
    done = export(trained, "gguf", tmp_path / "out", precision="f32")
    assert done.files == ("scope-v1-aa.gguf",)
    assert done.comparison is not None
    assert done.comparison.effect > 10 * done.comparison.error
    assert done.comparison.noise is not None
    assert done.comparison.noise < done.comparison.effect / 10, "the base was answered from the adapter's cache"
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["scope-v1-aa.gguf"]


def test_ranks_and_alphas_of_single_modules_are_kept(bases: dict[str, Path], tmp_path: Path) -> None:
    adapter = make_adapter(
        bases["llama"],
        tmp_path / "adapter",
        rank_pattern={"q_proj": 2, "model.layers.0.mlp.up_proj": 3},
        alpha_pattern={"v_proj": 3},
        use_rslora=True,
    )
    done = export(ExportSource("code-v1-aa", bases["llama"], adapter), "gguf", tmp_path / "out")
    assert done.comparison is not None
    assert done.comparison.effect > 10 * done.comparison.error


def test_an_adapter_of_other_weights_is_refused(bases: dict[str, Path], tmp_path: Path) -> None:
    base = bases["llama"]
    first, second = (make_adapter(base, tmp_path / f"{seed}", seed) for seed in (1, 2))
    wrong = adapter_to_gguf(base, second, tmp_path / "wrong.gguf")
    with pytest.raises(TrainingError, match="error"):
        check_gguf(ExportSource("scope-v1", base, first), wrong, None)


def test_rows_in_the_wrong_order_are_refused(
    bases: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    adapter = make_adapter(bases["llama"], tmp_path / "adapter")
    base = to_gguf(bases["llama"], tmp_path / "base.gguf", precision="f32")
    monkeypatch.setattr("training.adapters.export.layout._PERMUTED", {})
    wrong = adapter_to_gguf(bases["llama"], adapter, tmp_path / "wrong.gguf")
    with pytest.raises(TrainingError, match="error"):
        check_gguf(ExportSource("scope-v1", bases["llama"], adapter), wrong, base)


def test_an_adapter_without_effect_proves_nothing(bases: dict[str, Path], tmp_path: Path) -> None:
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    fresh = get_peft_model(
        AutoModelForCausalLM.from_pretrained(bases["qwen3"]), LoraConfig(target_modules=MODULES, task_type="CAUSAL_LM")
    )
    fresh.save_pretrained(tmp_path / "adapter")
    with pytest.raises(RegistryError, match="no effect"):
        export(ExportSource("scope-v1", bases["qwen3"], tmp_path / "adapter"), "gguf", tmp_path / "out")
    assert list((tmp_path / "out").iterdir()) == []


def test_another_tokenizer_is_refused(bases: dict[str, Path], tmp_path: Path) -> None:
    base = Path(shutil.copytree(bases["qwen3"], tmp_path / "base"))
    adapter = make_adapter(base, tmp_path / "adapter")
    gguf = adapter_to_gguf(base, adapter, tmp_path / "a.gguf")
    file = to_gguf(base, tmp_path / "base.gguf")
    tokenizer = json.loads((base / "tokenizer.json").read_text())
    tokenizer["pre_tokenizer"] = {
        "type": "Sequence",
        "pretokenizers": [{"type": "Digits", "individual_digits": True}, tokenizer["pre_tokenizer"]],
    }
    tokenizer["model"]["merges"] = tokenizer["model"]["merges"][:100]
    (base / "tokenizer.json").write_text(json.dumps(tokenizer))
    with pytest.raises(TrainingError, match="from token"):
        check_gguf(ExportSource("scope-v1", base, adapter), gguf, file)


def test_a_modelfile_with_base_adapter_and_chat_format(bases: dict[str, Path], tmp_path: Path) -> None:
    adapter = make_adapter(bases["qwen3"], tmp_path / "adapter")
    done = export(ExportSource("scope-v1-aa", bases["qwen3"], adapter), "ollama", tmp_path / "out")
    assert done.files == ("Modelfile", "base.gguf", "scope-v1-aa.gguf")
    lines = (tmp_path / "out" / "Modelfile").read_text().splitlines()
    assert lines[:2] == ["FROM ./base.gguf", "ADAPTER ./scope-v1-aa.gguf"]
    assert 'PARAMETER stop "<|im_end|>"' in lines


def test_merged_weights_answer_as_the_adapter_does(bases: dict[str, Path], tmp_path: Path) -> None:
    adapter = make_adapter(bases["qwen2"], tmp_path / "adapter")
    done = export(ExportSource("code-v1-aa", bases["qwen2"], adapter), "merged", tmp_path / "out")
    assert {"config.json", "model.safetensors", "tokenizer.json", "chat_template.jinja"} <= set(done.files)
    assert done.comparison is not None
    again = ExportSource("code-v1-aa", bases["qwen2"], adapter)
    with pytest.raises(UsageError, match="out is not empty; give another directory with --out, or --overwrite"):
        export(again, "merged", tmp_path / "out")
    assert export(again, "merged", tmp_path / "out", check=False, overwrite=True).files == done.files
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="file cannot be made a directory: File exists; give another"):
        export(again, "merged", tmp_path / "file")


def test_a_merge_is_known_for_one_and_not_trained_on(bases: dict[str, Path], tmp_path: Path) -> None:
    adapter = make_adapter(bases["qwen2"], tmp_path / "adapter")
    merge(bases["qwen2"], adapter, tmp_path / "merged", precision="f32")
    curated = open_database(tmp_path / "curated.sqlite", "curated")
    base = add_base(curated, tmp_path, tmp_path / "merged", "merged")
    with pytest.raises(GuardrailError, match=r"^frozen-base: merged is a merge"):
        check_frozen_base(base.name, base.facts)


def test_an_adapter_for_another_base_is_refused(bases: dict[str, Path], tmp_path: Path) -> None:
    other = make_tiny_base(tmp_path / "other", hidden=32)
    adapter = make_adapter(other, tmp_path / "adapter")
    for form in ("gguf", "merged"):
        with pytest.raises(TrainingError, match="base"):
            export(ExportSource("scope-v1", bases["qwen3"], adapter), form, tmp_path / "out")  # type: ignore[arg-type]
    assert list((tmp_path / "out").iterdir()) == []


def test_what_is_no_plain_lora_is_named(bases: dict[str, Path], tmp_path: Path) -> None:
    adapter = make_adapter(bases["qwen3"], tmp_path / "adapter", use_dora=True)
    with pytest.raises(TrainingError, match="DoRA"):
        read_adapter(adapter)
    (adapter / "adapter_model.safetensors").write_bytes(b"rubbish")
    config = json.loads((adapter / "adapter_config.json").read_text()) | {"use_dora": False}
    (adapter / "adapter_config.json").write_text(json.dumps(config))
    with pytest.raises(TrainingError, match="cannot be read"):
        read_adapter(adapter)


def test_ways_of_cutting_texts_by_their_names(tmp_path: Path) -> None:
    level = {"type": "ByteLevel"}
    digits = {"type": "Digits", "individual_digits": True}
    split = {"type": "Split", "pattern": {"Regex": r"[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s]+"}}
    known = {"gpt-2": [level], "smollm": [digits, level], "qwen2": [split, level]}
    for name, steps in known.items():
        assert split_name({"pre_tokenizer": {"type": "Sequence", "pretokenizers": steps}}, tmp_path) == name
    with pytest.raises(TrainingError, match="Metaspace"):
        split_name({"pre_tokenizer": {"type": "Metaspace"}}, tmp_path)


def test_made_ready_for_the_embedded_model_once(bases: dict[str, Path], tmp_path: Path) -> None:
    trained = ExportSource("scope-v1-aa", bases["qwen3"], make_adapter(bases["qwen3"], tmp_path / "adapter"))
    first = embed(trained, tmp_path / "ready")
    changed = first.stat().st_mtime_ns
    assert embed(trained, tmp_path / "ready").stat().st_mtime_ns == changed
    assert [path.name for path in (tmp_path / "ready").iterdir()] == ["scope-v1-aa.gguf"]
