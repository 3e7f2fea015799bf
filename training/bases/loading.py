"""Loading a base's weights for answering."""

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
