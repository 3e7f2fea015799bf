"""A base small enough for any test: a random Qwen3 with a tokenizer of its own, in Hugging Face layout, made offline.

The chat template is Qwen3's own, with its thinking blocks, as the trainers' library ships it; `template` names another
of that library (`qwen2_5`). The tokenizer is a byte-level BPE trained on the prompts of this repository, so any text
round-trips. Same arguments, same bytes.
"""

import atexit
import json
import shutil
import tempfile
from functools import cache
from importlib.util import find_spec
from pathlib import Path

ROOT = Path(__file__).parents[2]
SPECIAL = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")
THINKING = ("<think>", "</think>")
MODULES = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]


def make_tiny_base(path: Path, *, template: str = "qwen3", hidden: int = 64, layers: int = 2, seed: int = 0) -> Path:
    """Write a base to `path` (made if it is not there) and return it; about 0.3 million parameters as called plain."""
    return Path(shutil.copytree(_made(template, hidden, layers, seed), path, dirs_exist_ok=True))


@cache
def _made(template: str, hidden: int, layers: int, seed: int) -> Path:
    """A folder with the base, made once per process and only copied."""
    path = Path(tempfile.mkdtemp(prefix="cra-tiny-"))
    atexit.register(shutil.rmtree, path, ignore_errors=True)
    size = _write_tokenizer(path, template)
    _write_model(path, size, hidden, layers, seed)
    path.chmod(0o755)
    return path


def chat_template(name: str) -> str:
    """The text of a model family's chat template."""
    spec = find_spec("trl")
    assert spec is not None and spec.submodule_search_locations
    return (Path(spec.submodule_search_locations[0]) / "chat_templates" / f"{name}.jinja").read_text()


def _write_tokenizer(path: Path, template: str) -> int:
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=1000,
        show_progress=False,
        special_tokens=list(SPECIAL),
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
    )
    texts = [file.read_text() for file in sorted((ROOT / "agent" / "prompts").glob("*.jinja"))]
    tokenizer.train_from_iterator(texts, trainer)
    tokenizer.add_tokens([AddedToken(text, special=False, normalized=False) for text in THINKING])
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        eos_token="<|im_end|>",
        pad_token="<|endoftext|>",
        clean_up_tokenization_spaces=False,
        model_max_length=4096,
    )
    fast.chat_template = chat_template(template)
    fast.save_pretrained(str(path))
    return len(fast)


def _write_model(path: Path, vocabulary: int, hidden: int, layers: int, seed: int) -> None:
    import torch
    from transformers import Qwen3Config, Qwen3ForCausalLM

    torch.manual_seed(seed)
    config = Qwen3Config(
        vocab_size=(vocabulary + 63) // 64 * 64,
        hidden_size=hidden,
        intermediate_size=2 * hidden,
        num_hidden_layers=layers,
        num_attention_heads=4,
        num_key_value_heads=2,
        head_dim=hidden // 4,
        max_position_embeddings=4096,
        tie_word_embeddings=True,
        eos_token_id=SPECIAL.index("<|im_end|>"),
        pad_token_id=SPECIAL.index("<|endoftext|>"),
        bos_token_id=None,
    )
    Qwen3ForCausalLM(config).save_pretrained(str(path))
    generation = json.loads((path / "generation_config.json").read_text())
    assert generation["eos_token_id"] == SPECIAL.index("<|im_end|>")


def make_adapter(base: Path, path: Path, seed: int = 0, **changes: object) -> Path:
    """A random adapter with an effect on every linear layer."""
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    torch.manual_seed(seed)
    settings: dict[str, object] = {"r": 4, "lora_alpha": 8, "target_modules": MODULES, "task_type": "CAUSAL_LM"}
    model = get_peft_model(AutoModelForCausalLM.from_pretrained(base), LoraConfig(**(settings | changes)))
    for name, weight in model.named_parameters():
        if "lora_" in name:
            torch.nn.init.normal_(weight, std=0.3)
    model.save_pretrained(path)
    return path
