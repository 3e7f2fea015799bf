"""Ollama: a Modelfile for base and adapter, with the chat format in Ollama's template language."""

from pathlib import Path

from models.errors import TrainingError
from training.adapters.export.layout import read_json

CHATML = """{{- range .Messages }}<|im_start|>{{ .Role }}
{{ .Content }}<|im_end|>
{{ end }}<|im_start|>assistant
"""
"""Qwen's and SmolLM2's format. Their templates add a default system message to a prompt without one; the prompts of
this project all have one, so none is added here."""
_STOPS = ("<|im_start|>", "<|im_end|>", "<|endoftext|>")
MODELFILE = "Modelfile"


def write_modelfile(base_dir: Path, path: Path, model: str, adapter: str | None = None, window: int = 8192) -> Path:
    """Write a Modelfile to `path` and return that. `model` and `adapter` are GGUF files in the same directory.

    Raises TrainingError if the base's chat format is not ChatML.
    """
    template = _chat_template(base_dir)
    if "<|im_start|>" not in template or "<|im_end|>" not in template:
        raise TrainingError(
            f"{base_dir} does not use ChatML, the only supported chat format; write a Modelfile by hand"
        )
    lines = [f"FROM ./{model}"]
    lines += [f"ADAPTER ./{adapter}"] if adapter else []
    lines += [f'TEMPLATE """{CHATML}"""', *(f'PARAMETER stop "{stop}"' for stop in _STOPS)]
    lines += ["PARAMETER temperature 0", f"PARAMETER num_ctx {min(window, _window(base_dir))}"]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def _window(base_dir: Path) -> int:
    return int(read_json(base_dir / "config.json").get("max_position_embeddings") or 8192)


def _chat_template(base_dir: Path) -> str:
    path = base_dir / "chat_template.jinja"
    if path.is_file():
        return path.read_text(encoding="utf-8")
    return str(read_json(base_dir / "tokenizer_config.json").get("chat_template") or "")
