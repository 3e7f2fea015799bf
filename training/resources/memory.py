"""Memory of a training by part, at the moment when it is highest.

Held throughout are weights, an adapter, optimizer state, and (with several micro-batches per step) gradients. On top
of them comes the larger of three moments: the loss at the output head, with all that layers kept; the backward pass of
one layer; the optimizer's step. What an allocator cannot use again is an allowance, stated below.
"""

from typing import NamedTuple

from training.resources.cards import GIB
from training.resources.layer import copied_weights, saved_per_token, working
from training.resources.setup import TrainingSetup

NF4 = 0.5 + 1 / 64 + 4 / (64 * 256)
"""Bytes of an NF4 weight: 4 bits, an 8-bit constant per 64 of them, and an fp32 constant per 256 of those (QLoRA,
Dettmers et al. 2023, double quantisation: 4.127 bits)."""
ADAM_8BIT = 2 * (1 + 4 / 256)
"""Bytes per parameter of 8-bit AdamW: two states of 8 bits, each with an fp32 constant per 256."""
CUDA_CONTEXT = int(0.6 * GIB)
"""Assumed, not measured: context, kernels and workspaces of one process on a GPU."""
GPU_FRAGMENTATION = 0.10
"""Assumed, not measured: share of what is allocated anew in every step that lies between blocks."""
CPU_FRAGMENTATION = 0.80
"""What a processor's heap keeps resident beside what layers allocate: glibc before 2.38 cannot reuse gaps between
aligned blocks. From a probe without a trainer and from trainings (`evals/training_memory.md`); too low with
checkpointing there, which a processor's recipe never has."""
LIBRARIES = int(1.0 * GIB)
"""Resident memory of a process on a processor that trains a model of almost no size: torch, transformers, trl, peft,
datasets, and pages of their files."""
TILE_ROWS, TILE_COLUMNS = 4096, 32768
"""The trainers' output head works on tiles of so many tokens and columns of the vocabulary."""
_ACTIVATIONS, _LAYER, _LOGITS = "activations", "one layer", "logits"
_TILE_TEMPORARIES = 29
"""Bytes per element of a tile that the head takes without its GPU kernel: seven fp32 arrays and a mask."""


class Part(NamedTuple):
    """Memory of one kind, in bytes, and what it is made of."""

    name: str
    bytes: int
    why: str


class Memory(NamedTuple):
    """Memory of a training: parts that add up to the peak, and the moment of the peak."""

    parts: tuple[Part, ...]
    moment: str

    @property
    def total(self) -> int:
        """The peak, in bytes."""
        return sum(part.bytes for part in self.parts)


def memory_of(setup: TrainingSetup) -> Memory:
    """The memory of a training, by part."""
    moments = [(moment, [*passing, _fragmentation(setup, passing)]) for moment, passing in _moments(setup)]
    moment, passing = max(moments, key=lambda found: sum(part.bytes for part in found[1]))
    parts = [*_held(setup), *passing]
    if setup.on_gpu:
        parts.append(Part("CUDA context", CUDA_CONTEXT, "and workspaces, assumed"))
    else:
        parts.append(Part("libraries", LIBRARIES, "a process that trains next to nothing, measured"))
    return Memory(tuple(part for part in parts if part.bytes), moment)


def _fragmentation(setup: TrainingSetup, passing: list[Part]) -> Part:
    """What the allocator cannot use again, of what layers allocate in every step."""
    if setup.on_gpu:
        share, names = GPU_FRAGMENTATION, {_ACTIVATIONS, _LAYER, _LOGITS}
        why = f"{share:.0%} of activations and logits, assumed"
    else:
        share, names = CPU_FRAGMENTATION, {_ACTIVATIONS, _LAYER}
        why = f"{share:.0%} of what layers allocate, gaps in the heap"
    return Part("fragmentation", int(share * sum(part.bytes for part in passing if part.name in names)), why)


def _held(setup: TrainingSetup) -> list[Part]:
    """What is there all the time."""
    shape, size = setup.shape, setup.weight_bytes
    if setup.quantised:
        parts = [
            Part("weights, NF4", int(shape.linear * NF4), f"{shape.linear / 1e6:,.0f} M, constants included"),
            Part("weights, bf16", shape.unquantised * size, "embedding, head, norms: not quantised"),
        ]
    else:
        kind = {2: "bf16", 4: "fp32"}[size]
        parts = [Part(f"weights, {kind}", shape.parameters * size, f"{shape.parameters / 1e6:,.0f} M")]
    if not setup.full:
        copies = 2 if setup.method == "dpo" else 1
        why = f"{setup.trained / 1e6:,.1f} M, rank {setup.rank}{', and its start as reference' * (copies - 1)}"
        parts.append(Part("adapter", copies * setup.trained * setup.adapter_bytes, why))
    parts.append(_optimizer(setup))
    if setup.accumulation > 1:
        parts.append(_gradients(setup))
    return parts


def _gradients(setup: TrainingSetup) -> Part:
    kind = {2: "bf16", 4: "fp32"}[setup.trained_bytes]
    return Part("gradients", setup.trained * setup.trained_bytes, f"{kind}, of what is trained")


def _optimizer(setup: TrainingSetup) -> Part:
    if setup.optimizer == "paged_adamw_8bit":
        return Part("optimizer", 0, "paged: in the host's memory when it is short")
    if setup.optimizer == "adamw_8bit":
        return Part("optimizer", int(setup.trained * ADAM_8BIT), "8-bit AdamW")
    return Part("optimizer", 2 * setup.trained * setup.trained_bytes, "AdamW, two states of the weights' size")


def _moments(setup: TrainingSetup) -> list[tuple[str, list[Part]]]:
    """The moments that can be the highest, each with what is there only then."""
    shape, tokens = setup.shape, setup.tokens
    layer = int(saved_per_token(setup) * tokens) + copied_weights(setup)
    kept = shape.layers * (setup.weight_bytes * shape.hidden * tokens if setup.checkpointing else layer)
    ends = tokens * shape.hidden * (4 + setup.weight_bytes * (2 if setup.full else 1))
    how = "inputs of layers" if setup.checkpointing else "all that layers keep"
    activations = Part(_ACTIVATIONS, kept + ends, f"{tokens:,} tokens, {how}")
    early = [] if setup.accumulation > 1 or not setup.full else [_head_gradient(setup)]
    head = Part(_LOGITS, _head(setup), _head_why(setup))
    again = layer if setup.checkpointing else 0
    one = Part(_LAYER, again + working(setup) * tokens + _dequantised(setup), "its gradients" + _again(setup))
    mask = _mask(setup)
    grown = [] if setup.accumulation > 1 else [_gradients(setup)]
    copies = Part("bf16 copies", _cached(setup), "of all trained matrices, which autocast keeps until the loss")
    second = Part("second forward", working(setup) * tokens if setup.method == "dpo" else 0, "of DPO's reference")
    return [
        ("the end of the forward pass", [activations, mask, copies, second]),
        ("the loss, all activations kept", [activations, mask, head]),
        ("the backward pass of the last layer", [activations, mask, *early, one]),
        ("the backward pass of the first layer", [*grown, mask, one._replace(bytes=one.bytes + layer - again)]),
        ("the optimizer's step", [*grown, Part("step", _step(setup), "temporaries of the largest matrix")]),
    ]


def _cached(setup: TrainingSetup) -> int:
    """Copies of weights that autocast holds during a forward pass, and that are not among what layers keep."""
    return setup.shape.layers * copied_weights(setup) if setup.checkpointing and setup.full else 0


def _mask(setup: TrainingSetup) -> Part:
    """The mask that all layers share: which token sees which, by sequence; eager attention adds numbers instead."""
    squares = setup.sequence**2 * (setup.tokens // setup.sequence)
    size = setup.compute_bytes if setup.attention == "eager" else 1 if setup.masked else 0
    return Part("attention mask", squares * size, f"{setup.sequence:,} x {setup.sequence:,}")


def _again(setup: TrainingSetup) -> str:
    return ", and all that it keeps, computed again" if setup.checkpointing else ""


def _dequantised(setup: TrainingSetup) -> int:
    """A quantised matrix in bf16, for as long as it is multiplied."""
    return 2 * max(inputs * outputs for inputs, outputs in setup.shape.linears) if setup.quantised else 0


def _scored(setup: TrainingSetup) -> int:
    """Tokens whose logits are computed."""
    return setup.entries * setup.answer if setup.scored == "answers" else setup.tokens


def _head(setup: TrainingSetup) -> int:
    """Bytes of the output head's work, its weight's gradient included."""
    shape, size, scored = setup.shape, setup.compute_bytes, _scored(setup)
    if setup.scored == "whole":
        return scored * shape.vocabulary * (size + 12) + _head_gradient(setup).bytes
    rows, columns = min(scored, TILE_ROWS), min(shape.vocabulary, TILE_COLUMNS)
    tile = rows * TILE_COLUMNS * size + 4 * scored * shape.hidden
    if not setup.on_gpu:
        tile += rows * columns * _TILE_TEMPORARIES
    if size == 2 and setup.weight_bytes == 4:
        tile += 2 * columns * shape.hidden
    return (
        tile
        + (4 * shape.embedding if setup.full else 0)
        + (2 * shape.embedding if setup.full and setup.weight_bytes == 2 else 0)
    )


def _head_why(setup: TrainingSetup) -> str:
    tokens = f"of {_scored(setup):,} tokens"
    return f"{tokens}, at once, upcast to fp32" if setup.scored == "whole" else f"{tokens}, in tiles"


def _head_gradient(setup: TrainingSetup) -> Part:
    size = setup.shape.embedding * setup.weight_bytes if setup.full else 0
    return Part("first gradient", size, "of the output head")


def _step(setup: TrainingSetup) -> int:
    """Temporaries of AdamW: 8-bit updates are made in place, others take two arrays of the largest matrix."""
    if setup.optimizer != "adamw_torch":
        return 0
    shape = setup.shape
    largest = shape.embedding if setup.full else setup.rank * max(shape.intermediate, shape.hidden)
    return 2 * setup.trained_bytes * largest
