"""Check that an adapter changes a server's answers: one that does not fit may answer as the base, with HTTP 200.

The same prompt goes to the base and to the adapter, and the log-probabilities of its tokens, and of the likeliest next
ones, are compared. The difference between two answers of the base is the noise.
"""

from collections.abc import Callable, Mapping
from typing import Any

from models.errors import ServingError

PROMPT = (
    "<|im_start|>system\nYou judge which files of a repository a task is about.<|im_end|>\n"
    "<|im_start|>user\nTask: retry the request when the connection breaks\n\nsrc/client.py\n"
    "def send(request: Request) -> Response:\n    return transport.send(request)\n<|im_end|>\n"
    "<|im_start|>assistant\n"
)
_LIKELIEST = 5
_LLAMA_LIKELIEST = 50
_LEAST = 1e-4

TokenScores = dict[str, float]
"""Log-probabilities by what they belong to: positions in the prompt, and next tokens."""


class Probe:
    """Compares adapters with the base of one server. `scores` queries it: for an adapter by name, None for the base."""

    def __init__(self, scores: Callable[[str | None], TokenScores]) -> None:
        self._scores = scores
        self._base: TokenScores | None = None
        self._noise = 0.0

    def warm(self) -> None:
        """Query the base once: the first answer of a server is the slowest, and adapters are compared with it."""
        if self._base is None:
            base = self._scores(None)
            self._noise = difference(base, self._scores(None))
            self._base = base

    def effect(self, adapter: str) -> float:
        """Mean difference, in nats, between adapter and base. Raises ServingError if it is within the noise."""
        self.warm()
        assert self._base is not None
        effect = difference(self._base, self._scores(adapter))
        if effect <= max(_LEAST, 4 * self._noise):
            raise ServingError(
                f"adapter {adapter} changes nothing: the server answers as the base (difference {effect:.6f}, "
                f"noise {self._noise:.6f}); check that it was trained on this base (`cra adapters verify`)"
            )
        return effect


def difference(first: TokenScores, second: TokenScores) -> float:
    """Mean absolute difference over common entries. Raises ServingError if there are none."""
    shared = sorted(set(first) & set(second))
    if not shared:
        raise ServingError("the server gives no log-probabilities to compare; see its log")
    return sum(abs(first[key] - second[key]) for key in shared) / len(shared)


def vllm_request(model: str) -> dict[str, Any]:
    """The request to vLLM's /v1/completions whose answer `read_vllm` reads; `model` is the base or an adapter."""
    body = {"model": model, "prompt": PROMPT, "max_tokens": 1, "temperature": 0}
    return body | {"logprobs": _LIKELIEST, "prompt_logprobs": 0}


def llama_request(numbers: Mapping[str, int], adapter: str | None) -> dict[str, Any]:
    """The request to llama.cpp's /completion whose answer `read_llama` reads; `numbers` are those of all adapters."""
    scales = [{"id": number, "scale": float(name == adapter)} for name, number in numbers.items()]
    return {"prompt": PROMPT, "n_predict": 1, "temperature": 0, "n_probs": _LLAMA_LIKELIEST, "lora": scales}


def read_vllm(body: Any) -> TokenScores:
    """The scores in an answer of vLLM's /v1/completions. Raises ServingError if it is not one."""
    try:
        choice = body["choices"][0]
        scores: TokenScores = {}
        for number, place in enumerate(choice.get("prompt_logprobs") or ()):
            for token, entry in (place or {}).items():
                scores[f"{number} {token}"] = float(entry["logprob"])
        for token, value in choice["logprobs"]["top_logprobs"][0].items():
            scores[f"next {token}"] = float(value)
    except (KeyError, IndexError, TypeError, ValueError, AttributeError) as error:
        raise ServingError(f"the server's answer has no log-probabilities ({error!r}); is it vLLM?") from error
    return scores


def read_llama(body: Any) -> TokenScores:
    """The scores in an answer of llama.cpp's /completion. Raises ServingError if it is not one."""
    try:
        first = body["completion_probabilities"][0]
        return {f"next {each['id']}": float(each["logprob"]) for each in first["top_logprobs"]}
    except (KeyError, IndexError, TypeError, ValueError) as error:
        raise ServingError(f"the server's answer has no log-probabilities ({error!r}); is it llama.cpp?") from error
