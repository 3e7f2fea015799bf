"""Verification of an export: its token probabilities are compared with PEFT's on the same token ids.

PEFT continues some prompts greedily; at each position the exported model returns its likeliest tokens, and their
log-probabilities are compared. Two reference differences are measured as well: between adapter and base (effect), and
between two implementations of the base (noise: rounding, quantisation).
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
"""Mean difference of log-probabilities caused by float16 weights and caches alone, with a margin."""

IdScores = dict[int, float]
AskScores = Callable[[Sequence[int]], IdScores]
"""Token ids -> log-probabilities of the likeliest next tokens."""


@dataclass(frozen=True)
class Comparison:
    """Means of absolute differences of log-probabilities, in nats, over `places`.

    error: export against PEFT; effect: PEFT's adapter against its base; noise: the base here against the base there,
    None if the export has no base of its own. `agreed` counts positions with the same likeliest token.
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

    @property
    def without_effect(self) -> bool:
        """Whether the adapter changes nothing that could be seen, so that its export cannot be verified."""
        return self.effect < _ROUNDING / 10

    def refusal(self, allowed: float = _ROUNDING) -> str:
        """Why the export differs from the trained adapter; empty if it does not. `allowed` is the rounding error."""
        tolerance = max(allowed, 2 * (self.noise or 0.0))
        if self.error > tolerance or self.error > self.effect / 2:
            return f"the export's answers differ from those of the trained adapter ({self})"
        return ""


class _Place(NamedTuple):
    """Token ids, and the log-probabilities of the next token with and without the adapter."""

    ids: list[int]
    adapted: Any
    plain: Any


class Reference:
    """PEFT's reference: prompts with greedy continuations, and log-probabilities with and without the adapter."""

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
        if base is not None:  # after all others: alternating would invalidate either's cache
            noises = [_apart(base(place.ids), place.plain) for place in self._places]
        return Comparison(len(errors), agreed, _mean(errors), _mean(effects), _mean(noises) if noises else None)


def _apart(scores: IdScores, reference: Any) -> float:
    return _mean([abs(score - float(reference[token])) for token, score in scores.items()])


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def open_reference(base_dir: Path, adapter_dir: Path) -> Reference:
    """PEFT's reference for an adapter and its base. Raises TrainingError if they do not fit."""
    from training.adapters.export.merge import open_adapted

    return Reference(open_adapted(base_dir, adapter_dir), open_tokenizer(base_dir))


def open_tokenizer(base_dir: Path) -> Any:
    """The tokenizer as training uses it. Raises TrainingError if it cannot be read."""
    from transformers import AutoTokenizer

    try:
        return AutoTokenizer.from_pretrained(base_dir, local_files_only=True)
    except (OSError, ValueError) as error:
        raise TrainingError(f"the tokenizer in {base_dir} cannot be read ({error})") from error
