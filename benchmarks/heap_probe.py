"""What the C library's heap loses in training: memory that stays resident beside what autograd keeps.

`benchmarks/training_memory.py` runs it and prints it. There is no trainer here, so that nothing else is measured.
"""

from contextlib import nullcontext
from pathlib import Path
from typing import Any


def heap_lost(base: Path) -> dict[str, float]:
    """What stays resident after three forward and backward passes without a trainer, beyond what autograd keeps of one,
    as a share of that: gaps in the heap."""
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    from training.fit.recipe import LINEAR_LAYERS

    model = AutoModelForCausalLM.from_pretrained(str(base), dtype=torch.float32)
    adapter = LoraConfig(r=16, target_modules=list(LINEAR_LAYERS), task_type="CAUSAL_LM")
    decoder = get_peft_model(model, adapter).get_base_model().base_model.train()
    own = {parameter.untyped_storage().data_ptr() for parameter in decoder.parameters()}
    kept: dict[int, int] = {}

    def keep(tensor: Any) -> Any:
        if tensor.untyped_storage().data_ptr() not in own:
            kept[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    begin = _anonymous()
    for turn in range(3):
        hooks = torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor) if turn == 0 else nullcontext()
        with hooks:
            hidden = decoder(input_ids=torch.arange(192)[None], use_cache=False).last_hidden_state
        (hidden[:, -19:] ** 2).sum().backward()
        del hidden
    gradients = sum(each.numel() * 4 for each in decoder.parameters() if each.requires_grad)
    held = sum(kept.values())
    return {"lost": (_anonymous() - begin - gradients - held) / held}


def _anonymous() -> int:
    """Resident bytes of this process that are no pages of files."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("RssAnon"))
