"""Whether a processor can compute in bf16 at a speed worth having."""

import platform

from models.errors import TrainingError


def computes_bf16() -> bool:
    """Whether oneDNN has bf16 matrix products for this processor (on x86-64, those with AVX512).

    Where it has none, PyTorch's own are used: on an AVX2 processor 1.2 GFLOP/s beside 130 in fp32.
    """
    import torch

    return torch.backends.mkldnn.is_available() and bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())


def check_bf16() -> None:
    """Raise TrainingError if there is no GPU and this processor would compute bf16 a hundred times slower than fp32."""
    import torch

    if not torch.cuda.is_available() and not computes_bf16():
        raise TrainingError(
            f"training.cpu_bf16: without AVX512 or AMX this processor ({platform.machine()}) is a hundred times slower "
            "with bf16; unset it, or CRA_TRAINING__CPU_BF16"
        )
