"""Whether a processor can compute in bf16 at a speed worth having."""

import platform

from models.errors import TrainingError


def computes_bf16() -> bool:
    """Whether oneDNN has bf16 matrix products for this processor.

    Where it has none, PyTorch's own are used: on an AVX2 processor 1.2 GFLOP/s beside 130 in fp32.
    """
    import torch

    return bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())


def check_bf16() -> None:
    """Raise TrainingError if this processor would compute bf16 a hundred times slower than fp32."""
    if not computes_bf16():
        raise TrainingError(
            f"training.cpu_bf16: this processor ({platform.processor() or platform.machine()}) has no instructions for "
            "bf16 (AVX512 or AMX) and is a hundred times slower with it; unset it, or CRA_TRAINING__CPU_BF16"
        )
