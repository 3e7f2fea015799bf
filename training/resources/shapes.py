"""Shapes of dense decoders (Llama, Qwen2, Qwen3, Mistral): all that memory and arithmetic depend on.

The dimensions under known names are those of the config.json that their authors published, so that a training can be
planned before any weights are there.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

from models.errors import UsageError

_MODEL_TYPES = ("llama", "mistral", "qwen2", "qwen3")


class Shape(NamedTuple):
    """Dimensions of a decoder. `heads` are of queries, `kv_heads` of keys and values; `tied`: the output head is the
    embedding; `biases`: of query, key and value; `head_norms`: queries and keys are normalised per head."""

    name: str
    layers: int
    hidden: int
    intermediate: int
    heads: int
    kv_heads: int
    head_size: int
    vocabulary: int
    window: int
    tied: bool = True
    biases: bool = False
    head_norms: bool = False

    @property
    def queries(self) -> int:
        """Width of the queries of one token."""
        return self.heads * self.head_size

    @property
    def keys(self) -> int:
        """Width of the keys of one token, and of its values."""
        return self.kv_heads * self.head_size

    @property
    def linears(self) -> tuple[tuple[int, int], ...]:
        """(inputs, outputs) of the seven linear layers of a decoder layer: q, k, v, o, gate, up, down."""
        attention = ((self.hidden, self.queries), (self.hidden, self.keys), (self.hidden, self.keys))
        wide = (self.hidden, self.intermediate)
        return (*attention, (self.queries, self.hidden), wide, wide, (self.intermediate, self.hidden))

    @property
    def layer_linear(self) -> int:
        """Weights in the linear layers of one decoder layer."""
        return sum(inputs * outputs for inputs, outputs in self.linears)

    @property
    def linear(self) -> int:
        """Weights in the linear layers of all decoder layers, which quantisation and adapters apply to."""
        return self.layers * self.layer_linear

    @property
    def embedding(self) -> int:
        """Weights of the embedding; as many are in the output head, which is the same matrix where they are tied."""
        return self.vocabulary * self.hidden

    @property
    def vectors(self) -> int:
        """Weights of norms and biases."""
        biases = (self.queries + 2 * self.keys) if self.biases else 0
        norms = 2 * self.hidden + (2 * self.head_size if self.head_norms else 0)
        return self.layers * (norms + biases) + self.hidden

    @property
    def unquantised(self) -> int:
        """Weights that quantisation leaves as they are: embedding, output head, norms, biases."""
        return self.embedding * (1 if self.tied else 2) + self.vectors

    @property
    def parameters(self) -> int:
        """All weights."""
        return self.linear + self.unquantised

    def adapter(self, rank: int) -> int:
        """Parameters of a LoRA adapter of that rank on all seven linear layers."""
        return self.layers * rank * sum(map(sum, self.linears))


_SHAPES = (
    Shape("qwen3-0.6b", 28, 1024, 3072, 16, 8, 128, 151936, 40960, head_norms=True),
    Shape("qwen3-1.7b", 28, 2048, 6144, 16, 8, 128, 151936, 40960, head_norms=True),
    Shape("qwen3-4b", 36, 2560, 9728, 32, 8, 128, 151936, 40960, head_norms=True),
    Shape("qwen3-8b", 36, 4096, 12288, 32, 8, 128, 151936, 40960, False, head_norms=True),
    Shape("qwen2.5-coder-0.5b", 24, 896, 4864, 14, 2, 64, 151936, 32768, biases=True),
    Shape("qwen2.5-coder-1.5b", 28, 1536, 8960, 12, 2, 128, 151936, 32768, biases=True),
    Shape("qwen2.5-coder-3b", 36, 2048, 11008, 16, 2, 128, 151936, 32768, biases=True),
    Shape("qwen2.5-coder-7b", 28, 3584, 18944, 28, 4, 128, 152064, 32768, False, biases=True),
    Shape("llama-3.2-1b", 16, 2048, 8192, 32, 8, 64, 128256, 131072),
    Shape("llama-3.2-3b", 28, 3072, 8192, 24, 8, 128, 128256, 131072),
    Shape("smollm2-135m", 30, 576, 1536, 9, 3, 64, 49152, 8192),
    Shape("smollm2-360m", 32, 960, 2560, 15, 5, 64, 49152, 8192),
    Shape("smollm2-1.7b", 24, 2048, 8192, 32, 32, 64, 49152, 8192),
)
KNOWN = {shape.name: shape for shape in _SHAPES}
"""Shapes by name."""


def known_shape(name: str) -> Shape | None:
    """The known shape that a name means, in any case, with or without its publisher and `-instruct`; None: unknown."""
    wanted = name.lower().rpartition("/")[2].removesuffix("-base").removesuffix("-instruct")
    return KNOWN.get(wanted)


def shape_of_config(name: str, config: Mapping[str, Any]) -> Shape:
    """The shape that a config.json describes. Raises UsageError for another architecture, or a dimension that is
    missing or not a positive number."""
    kind = config.get("model_type")
    if kind not in _MODEL_TYPES:
        raise UsageError(
            f"base {name}: model_type {kind!r} cannot be planned; its layers are not those of {', '.join(_MODEL_TYPES)}"
        )

    def size(key: str, default: Any = None) -> int:
        value = config.get(key)
        value = default if value is None else value
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            raise UsageError(f"base {name}: {key} in config.json is {value!r}, not a positive number; mend the file")
        return value

    hidden, heads = size("hidden_size"), size("num_attention_heads")
    return Shape(
        name,
        layers=size("num_hidden_layers"),
        hidden=hidden,
        intermediate=size("intermediate_size"),
        heads=heads,
        kv_heads=size("num_key_value_heads", heads),
        head_size=size("head_dim", hidden // heads),
        vocabulary=size("vocab_size"),
        window=size("max_position_embeddings"),
        tied=bool(config.get("tie_word_embeddings", False)),
        biases=kind == "qwen2" or bool(config.get("attention_bias", False)),
        head_norms=kind == "qwen3",
    )
