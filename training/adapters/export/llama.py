"""An export under test, loaded by llama.cpp in this process and queried on loopback for probabilities and ids."""

from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from llm.embedded import EmbeddedServer, serve
from llm.serving.http import ask
from models.errors import TrainingError
from training.adapters.export.compare import SPLITS, IdScores, open_tokenizer

_WINDOW = 512
_LIKELIEST = 10
_SECONDS = 300.0


def available() -> bool:
    """Whether llama.cpp is installed here (the extra `local`)."""
    return find_spec("xllamacpp") is not None


class LlamaTrial:
    """A GGUF model with at most one GGUF adapter. Raises ProviderError if llama.cpp cannot load them."""

    def __init__(self, model: Path, adapter: Path | None = None) -> None:
        self._adapters = [] if adapter is None else [adapter]
        self._running: EmbeddedServer = serve(model, "trial", _WINDOW, self._adapters)
        self._plain_token: int = self._ask("/tokenize", {"content": "a", "add_special": False})["tokens"][0]

    def _ask(self, path: str, body: dict[str, Any]) -> Any:
        running = self._running
        reply = ask(f"{running.url.removesuffix('/v1')}{path}", body, key=running.key, timeout=_SECONDS)
        if not reply.good:
            raise TrainingError(f"llama.cpp refused {path} for the export ({reply.message})")
        return reply.body

    def adapted(self, ids: Sequence[int]) -> IdScores:
        """The likeliest next tokens with the adapter, or of the model if there is none."""
        return self._scores(ids, 1.0)

    def plain(self, ids: Sequence[int]) -> IdScores:
        """The likeliest next tokens of the model without the adapter."""
        return self._scores(ids, 0.0)

    def _scores(self, ids: Sequence[int], scale: float) -> IdScores:
        body: dict[str, Any] = {"prompt": list(ids), "n_predict": 1, "temperature": 0, "n_probs": _LIKELIEST}
        body["logit_bias"] = [[self._plain_token, 1000.0]]  # only the probabilities matter, not the token:
        # for an end of text or half a character the server would omit them
        if self._adapters:
            body["lora"] = [{"id": 0, "scale": scale}]
        first = self._ask("/completion", body)["completion_probabilities"][0]
        return {int(each["id"]): float(each["logprob"]) for each in first["top_logprobs"]}

    def check_tokens(self, base_dir: Path) -> None:
        """Raises TrainingError if it tokenises texts differently from training."""
        tokenizer = open_tokenizer(base_dir)
        for text in SPLITS:
            trained = tokenizer(text, add_special_tokens=False)["input_ids"]
            body = {"content": text, "add_special": False, "parse_special": True}
            served = self._ask("/tokenize", body)["tokens"]
            if served != trained:
                at = next((i for i, (a, b) in enumerate(zip(served, trained, strict=False)) if a != b), len(trained))
                raise TrainingError(
                    f"the export tokenises texts differently from {base_dir} (from token {at} of {text!r}); "
                    "correct the base's tokenizer.json and train again"
                )
