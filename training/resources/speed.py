"""Speed of a training from a roofline: arithmetic and traffic of a step over what the accelerator can do.

Kernels run one after another: matrix products at a share of the stated arithmetic, everything else at the stated
bandwidth (Williams et al. 2009, the two bounds added instead of the larger taken). Arithmetic per token is 6 per
trained weight (2 forward, 2 for gradients of inputs, 2 for those of weights), 4 for a frozen one, and 2 more where
layers are computed again (Kaplan et al. 2020); attention and the output head are counted by themselves.
"""

from typing import NamedTuple

from training.resources.cards import Card
from training.resources.layer import saved_per_token
from training.resources.memory import NF4
from training.resources.setup import TrainingSetup

EFFICIENCY = 0.4
"""Share of the stated arithmetic that matrix products reach in a step. Assumed for GPUs; on a processor a step reaches
such a share of what one large product does there (`benchmarks/training_memory.py`)."""
_TRAFFIC = 3
"""Times that a byte which a layer keeps goes through memory: written once, read by the next kernel and by the backward
pass."""


class Work(NamedTuple):
    """What one micro-batch takes: operations, bytes through memory, and tokens of it that are trained on."""

    flops: float
    traffic: float
    tokens: float

    def seconds(self, flops: float, bandwidth: float) -> float:
        """Time at so many operations and bytes per second."""
        return self.flops / flops + self.traffic / bandwidth


def work_of(setup: TrainingSetup) -> Work:
    """The work of one micro-batch, of rows of average length where it is not packed."""
    usual = setup if setup.packed else setup.but(length=setup.row_tokens, answer=_usual_answer(setup))
    tokens, shape = usual.tokens, usual.shape
    again = 1 if usual.checkpointing else 0
    reference = 1 if usual.method == "dpo" else 0
    forward = 1 + again + reference
    matrices = 2 * shape.linear * tokens * (forward + (2 if usual.full else 1))
    adapter = 0 if usual.full else 2 * shape.adapter(usual.rank) * tokens * (1 + again + 2)
    seen = usual.sequence if usual.masked or usual.attention == "eager" else usual.sequence / 2
    attention = 4 * seen * shape.queries * shape.layers * tokens * (forward + 2)
    scored = usual.entries * usual.answer if usual.scored == "answers" else tokens
    head = 2 * shape.embedding * scored * ((4 if usual.full else 3) + reference)
    traffic = _weights_read(usual) * (forward + 1) + _step_traffic(usual) / usual.accumulation
    traffic += _TRAFFIC * saved_per_token(usual) * tokens * shape.layers * (1 + again)
    return Work(matrices + adapter + attention + head, traffic, tokens)


def tokens_per_second(setup: TrainingSetup, card: Card) -> float | None:
    """Tokens trained on per second; None for an accelerator whose figures are not known."""
    if not card.timed:
        return None
    work = work_of(setup)
    return work.tokens / work.seconds(card.tflops * 1e12 * EFFICIENCY, card.bandwidth * 1e9)


def _usual_answer(setup: TrainingSetup) -> int:
    return max(1, round(setup.answer * setup.row_tokens / setup.length))


def _weights_read(setup: TrainingSetup) -> float:
    """Bytes that one pass over all layers reads of weights; quantised ones are written in bf16 and read again."""
    return setup.shape.linear * (NF4 + 4 if setup.quantised else setup.weight_bytes)


def _step_traffic(setup: TrainingSetup) -> float:
    """Bytes of an optimizer step: gradients read, states and weights read and written."""
    states = 2 if "8bit" in setup.optimizer else 2 * setup.trained_bytes
    return setup.trained * (setup.trained_bytes * 3 + 2 * states)
