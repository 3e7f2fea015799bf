"""What a decoder layer keeps for its backward pass: counted by the formulas, and by autograd on real layers."""

from contextlib import nullcontext
from typing import Any

import pytest

from tests.support.resource_setups import setup
from tests.support.tiny import MODULES
from training.resources.layer import copied_weights, saved_per_token
from training.resources.setup import TrainingSetup
from training.resources.shapes import Shape

pytestmark = pytest.mark.slow

_LENGTH, _RANK = 48, 4


def _shape(kind: str) -> Shape:
    heads = 32 if kind == "qwen3" else 20
    return Shape(kind, 2, 160, 432, 8, 2, heads, 512, 512, biases=kind == "qwen2", head_norms=kind == "qwen3")


def _config(shape: Shape, layers: int, attention: str) -> Any:
    from transformers import LlamaConfig, Qwen2Config, Qwen3Config

    config = {"llama": LlamaConfig, "qwen2": Qwen2Config, "qwen3": Qwen3Config}[shape.name](
        hidden_size=shape.hidden,
        intermediate_size=shape.intermediate,
        num_hidden_layers=layers,
        num_attention_heads=shape.heads,
        num_key_value_heads=shape.kv_heads,
        head_dim=shape.head_size,
        vocab_size=shape.vocabulary,
    )
    config._attn_implementation = attention
    return config


def _kept(training: TrainingSetup, layers: int) -> int:
    """Bytes of all that a forward pass keeps, each storage once, parameters left out."""
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    dtype = torch.bfloat16 if training.weight_bytes == 2 else torch.float32
    model = AutoModelForCausalLM.from_config(_config(training.shape, layers, training.attention), dtype=dtype)
    decoder = model.base_model
    if not training.full:
        adapter = LoraConfig(r=_RANK, target_modules=MODULES, task_type="CAUSAL_LM")
        model = get_peft_model(model, adapter, autocast_adapter_dtype=training.adapter_bytes == 4)
    own = {parameter.untyped_storage().data_ptr() for parameter in model.parameters()}
    kept: dict[int, Any] = {}

    def keep(tensor: Any) -> Any:
        if tensor.untyped_storage().data_ptr() not in own:
            kept[tensor.untyped_storage().data_ptr()] = tensor
        return tensor

    ids = torch.zeros((training.micro_batch, _LENGTH), dtype=torch.long)
    mask = torch.ones_like(ids)
    mask[0, -5:] = training.micro_batch == 1
    half = torch.autocast("cpu", torch.bfloat16) if training.bf16 else nullcontext()
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor), half:
        decoder(input_ids=ids, attention_mask=mask, use_cache=False)
    return sum(tensor.untyped_storage().nbytes() for tensor in kept.values())


@pytest.mark.parametrize("kind", ["llama", "qwen2", "qwen3"])
@pytest.mark.parametrize(
    ("method", "weight_bytes", "adapter_bytes", "bf16", "changes"),
    [
        ("full", 4, 4, False, {}),
        ("full", 4, 4, True, {}),
        ("full", 2, 4, True, {}),
        ("lora", 4, 4, False, {}),
        ("lora", 4, 4, True, {}),
        ("lora", 2, 4, True, {}),
        ("lora", 2, 2, True, {}),
        ("full", 4, 4, False, {"micro_batch": 2}),
        ("lora", 2, 2, True, {"micro_batch": 2}),
        ("full", 4, 4, False, {"attention": "eager"}),
        ("lora", 2, 2, True, {"attention": "eager"}),
    ],
)
def test_a_layer_keeps_what_the_formulas_say(
    kind: str, method: Any, weight_bytes: int, adapter_bytes: int, bf16: bool, changes: dict[str, Any]
) -> None:
    training = setup(_shape(kind), method, _LENGTH, gpu=False, rank=_RANK, bf16=bf16, **changes).but(
        weight_bytes=weight_bytes, adapter_bytes=adapter_bytes
    )
    layer = _kept(training, 3) - _kept(training, 2)
    assert layer == saved_per_token(training) * training.tokens + copied_weights(training)
