"""Is an export what was trained? Its token probabilities beside PEFT's, on the same token ids, step by step.

PEFT continues some prompts greedily; at each of those places the exported model is asked for its likeliest tokens,
and the logarithms of their probabilities are compared. Two yardsticks are measured along: how far adapter and base
are apart (effect), and how far two implementations of the base are apart (noise: rounding, quantisation).
"""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

from models.errors import TrainingError

PROMPTS = (
    "Which of these files matter for the task? Answer relevant or irrelevant.\n\nTask: fix the time-out in retry()\n",
    "def moving_average(values: list[float], window: int) -> list[float]:\n    ",
    '{"path": "src/app/models.py", "score": 0.4821, "reason": "',
)
SPLITS = (
    "if x >= 1234567:\n\t\treturn [i for i in range(42)]\n\n\n# größer als 3,5 %  →  naïve café 你好\n",
    "<|im_start|>user\nHello's <b>world</b>!!  it'll  do<|im_end|>\n",
)
_STEPS = 6
_ROUNDING = 0.02
"""Mean difference of log-probabilities that float16 weights and caches alone make, with room to spare."""

IdScores = dict[int, float]
AskScores = Callable[[Sequence[int]], IdScores]
"""Token ids -> log-probabilities of the likeliest next tokens."""


@dataclass(frozen=True)
class Comparison:
    """Means of absolute differences of log-probabilities, in nats, over `places`.

    error: export against PEFT; effect: PEFT's adapter against its base; noise: the base here against the base there,
    None if the export has no base of its own. `agreed` counts places with the same likeliest token.
    """

    places: int
    agreed: int
    error: float
    effect: float
    noise: float | None

    def as_dict(self) -> dict[str, float | int | None]:
        """For machines."""
        return asdict(self)

    def __str__(self) -> str:
        noise = "" if self.noise is None else f", noise {self.noise:.4f}"
        return f"{self.agreed}/{self.places} top tokens agree, error {self.error:.4f}, effect {self.effect:.4f}{noise}"

    def refusal(self, allowed: float = _ROUNDING) -> str:
        """Why the export is not what was trained; empty if it is. `allowed` is the error that rounding may make."""
        tolerance = max(allowed, 2 * (self.noise or 0.0))
        if self.effect < _ROUNDING / 10:
            return "the adapter changes nothing on the trial prompts, so nothing can be compared"
        if self.error > tolerance or self.error > self.effect / 2:
            return f"the export answers otherwise than what was trained ({self})"
        return ""


class _Place(NamedTuple):
    """Token ids, and the log-probabilities of the next token with and without the adapter."""

    ids: list[int]
    adapted: Any
    plain: Any


class Reference:
    """PEFT's side: prompts with their greedy continuations, and log-probabilities there with and without adapter."""

    def __init__(self, model: Any, tokenizer: Any) -> None:
        self._model = model
        self._places: list[_Place] = []
        for prompt in PROMPTS:
            self._continue(tokenizer(prompt)["input_ids"])

    def _continue(self, prompt: list[int]) -> None:
        ids, adapted = list(prompt), []
        for _ in range(_STEPS):
            adapted.append(self._scores(ids)[-1])
            ids.append(int(adapted[-1].argmax()))
        with self._model.disable_adapter():
            plain = self._scores(ids)
        for step, scores in enumerate(adapted):
            end = len(prompt) + step
            self._places.append(_Place(ids[:end], scores, plain[end - 1]))

    def _scores(self, ids: Sequence[int]) -> Any:
        import torch

        with torch.no_grad():
            return self._model(torch.tensor([list(ids)])).logits[0].float().log_softmax(-1)

    def compare(self, export: AskScores, base: AskScores | None = None) -> Comparison:
        """The comparison; `base` asks the export's own base without the adapter."""
        errors, effects, agreed = list[float](), list[float](), 0
        noises: list[float] = []
        for place in self._places:
            there = export(place.ids)
            agreed += max(there, key=lambda token: there[token]) == int(place.adapted.argmax())
            errors.append(_apart(there, place.adapted))
            effects.append(float((place.adapted[list(there)] - place.plain[list(there)]).abs().mean()))
        if base is not None:  # after all others: taking turns, either would undo the other's cache
            noises = [_apart(base(place.ids), place.plain) for place in self._places]
        return Comparison(len(errors), agreed, _mean(errors), _mean(effects), _mean(noises) if noises else None)


def _apart(scores: IdScores, reference: Any) -> float:
    return _mean([abs(score - float(reference[token])) for token, score in scores.items()])


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def open_reference(base_dir: Path, adapter_dir: Path) -> Reference:
    """PEFT's side for an adapter and its base. Raises TrainingError if they do not fit each other."""
    from training.adapters.export.merge import open_adapted

    return Reference(open_adapted(base_dir, adapter_dir), open_tokenizer(base_dir))


def open_tokenizer(base_dir: Path) -> Any:
    """The tokenizer as training uses it. Raises TrainingError if it cannot be read."""
    from transformers import AutoTokenizer

    try:
        return AutoTokenizer.from_pretrained(base_dir, local_files_only=True)
    except (OSError, ValueError) as error:
        raise TrainingError(f"the tokenizer in {base_dir} cannot be read ({error})") from error
