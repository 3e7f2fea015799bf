"""Accelerators: memory, arithmetic and bandwidth, as their makers state them.

TFLOPS are of dense bf16 matrix products with fp32 accumulation, without sparsity, as trainings compute them; memory is
what the driver reports, which is less than the name says where error correction takes a part.

Sources: NVIDIA Ampere GA102 whitepaper (RTX 3080, 3090), Ada GPU architecture whitepaper (RTX 4080, 4090), RTX
Blackwell whitepaper (RTX 5090), and the data sheets of A10, L4, L40S, A100, H100 SXM and H200 SXM, halved where they
state sparse figures.
"""

from typing import NamedTuple

from models.errors import UsageError

GIB = 1 << 30
_MIB = 1 << 20


class Card(NamedTuple):
    """An accelerator. memory in bytes; tflops: 10^12 bf16 operations/s; bandwidth: 10^9 bytes/s. Zero: not known, so
    that no time is predicted."""

    name: str
    memory: int
    tflops: float = 0.0
    bandwidth: float = 0.0

    @property
    def timed(self) -> bool:
        """Whether a time can be predicted."""
        return self.tflops > 0 and self.bandwidth > 0


CARDS = {
    name: Card(name, mib * _MIB, tflops, bandwidth)
    for name, mib, tflops, bandwidth in (
        ("rtx3080", 10240, 59.5, 760),
        ("rtx4080", 16376, 97.5, 716.8),
        ("l4", 23034, 121, 300),
        ("a10", 23028, 125, 600),
        ("rtx3090", 24576, 71, 936),
        ("rtx4090", 24564, 165.2, 1008),
        ("rtx5090", 32607, 209.5, 1792),
        ("a100-40gb", 40960, 312, 1555),
        ("l40s", 46068, 362, 864),
        ("h100", 81559, 989, 3350),
        ("a100-80gb", 81920, 312, 2039),
        ("h200", 143771, 989, 4800),
    )
}
"""By name, smallest memory first."""
CPU = "cpu"
"""In place of a card: a processor, with its memory given beside it."""


def find_card(name: str | None, memory: float | None) -> Card:
    """The card of a name, or one of `memory` GiB; both: the card with that much left. Raises UsageError for an unknown
    name, or memory that is not above 0."""
    if memory is not None and not 0 < memory < 1 << 20:
        raise UsageError(f"--memory {memory:g}: give the GiB of the accelerator, above 0")
    known = ", ".join([*CARDS, CPU])
    if name is None and memory is None:
        raise UsageError(f"name the accelerator with --gpu ({known}), or its GiB with --memory")
    if name is None or name.lower() == CPU:
        if memory is None:
            raise UsageError("--gpu cpu: say with --memory how many GiB a training may take there")
        return Card(CPU if name else f"{memory:g} GiB", int(memory * GIB))
    card = CARDS.get(name.lower().replace(" ", ""))
    if card is None:
        raise UsageError(f"--gpu {name} is unknown; there are: {known}; or give --memory GiB")
    return card if memory is None else card._replace(memory=int(memory * GIB))
