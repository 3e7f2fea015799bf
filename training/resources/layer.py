"""What a decoder layer keeps for its backward pass, counted tensor by tensor.

The counts are those that the libraries' layers were seen to save (`torch.autograd.graph.saved_tensors_hooks`), in every
combination of training all weights or an adapter, fp32 or bf16, with head norms or without. Korthikanti et al. 2022
(arXiv 2205.05198) count the same way for GPT; here are gated layers, grouped heads, RMSNorm in fp32 and adapters.
"""

from training.resources.setup import TrainingSetup

_FLOAT = 4


def saved_per_token(setup: TrainingSetup) -> float:
    """Bytes of one layer per token, attention's mask and scores included."""
    return (_norms(setup) + _inputs(setup) + _attention(setup) + 4 * setup.compute_bytes * setup.shape.intermediate) + (
        0 if setup.full else 7 * setup.rank * setup.compute_bytes
    )


def _norms(setup: TrainingSetup) -> int:
    """Both norms: the hidden state in fp32, the root, and (to train the weight) the normalised state."""
    shape = setup.shape
    kept = 2 * (_FLOAT * shape.hidden + _FLOAT + (setup.weight_bytes * shape.hidden if setup.full else 0))
    if shape.head_norms:
        width = shape.queries + shape.keys
        kept += _FLOAT * width + _FLOAT * (shape.heads + shape.kv_heads)
        kept += setup.compute_bytes * width if setup.full else 0
    return kept


def _inputs(setup: TrainingSetup) -> int:
    """Inputs of q, k, v and of gate, up: shared, but where autocast casts them for each matrix by itself."""
    return (5 if casts_inputs(setup) else 2) * setup.compute_bytes * setup.shape.hidden


def _attention(setup: TrainingSetup) -> float:
    """Queries, keys, values, output, and the kernel's logarithms of sums; scores or a mask where there are any."""
    shape, size = setup.shape, setup.compute_bytes
    expanded = setup.masked or setup.attention == "eager"
    kept: float = 2 * size * shape.queries + 2 * size * (shape.queries if expanded else shape.keys)
    if casts_inputs(setup) and not setup.full:
        kept += size * shape.queries
    if setup.attention == "eager":
        return kept + shape.heads * setup.sequence * (_FLOAT + (size if size != _FLOAT else 0))
    return kept + _FLOAT * shape.heads + (size * setup.sequence if setup.masked else 0)


def casts_inputs(setup: TrainingSetup) -> bool:
    """Whether what is trained is in fp32 and computed in bf16, so that each matrix has its own copy of its input."""
    return setup.bf16 and setup.trained_bytes == _FLOAT


def copied_weights(setup: TrainingSetup) -> int:
    """Bytes of one layer's weights that autocast copies to bf16 and the graph keeps."""
    if not setup.bf16:
        return 0
    base = 2 * setup.shape.layer_linear if setup.weight_bytes == _FLOAT and not setup.quantised else 0
    adapter = 0 if setup.full or setup.adapter_bytes == 2 else 2 * setup.shape.adapter(setup.rank) // setup.shape.layers
    return base + adapter


def working(setup: TrainingSetup) -> int:
    """Bytes per token of gradients while one layer is differentiated: those of two wide and two hidden states."""
    return 2 * setup.compute_bytes * setup.shape.intermediate + 2 * setup.weight_bytes * setup.shape.hidden
