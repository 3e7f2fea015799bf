"""Loading a base's weights for answering."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from models.errors import UsageError


def load_model(base: Path, dtype: Any) -> Any:
    """The causal language model in a base's directory, in a dtype. Raises UsageError if it cannot be loaded."""
    from transformers import AutoModelForCausalLM

    from training.quiet import quiet_libraries

    try:
        with quiet_libraries():
            return AutoModelForCausalLM.from_pretrained(
                str(base), dtype=dtype, attn_implementation="sdpa", local_files_only=True, trust_remote_code=False
            )
    except (OSError, ValueError) as error:
        raise UsageError(f"base {base} cannot be loaded: {str(error).splitlines()[0]}") from error


@contextmanager
def loaded_base(base: Path) -> Iterator[Any]:
    """The model in a base's directory, in bf16 on a GPU and in fp32 elsewhere, freed at the end. Raises UsageError."""
    import torch

    gpu = torch.cuda.is_available()
    model = load_model(base, torch.bfloat16 if gpu else torch.float32).to("cuda" if gpu else "cpu").eval()
    try:
        yield model
    finally:
        del model
        if gpu:
            torch.cuda.empty_cache()
