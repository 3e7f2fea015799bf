"""Answers an evaluation's prompts in this process by a base, with or without an adapter, with the same settings.

The prompt is rendered by the base's own chat template, as in serving; an answer ends with the end-of-turn token or at
its token limit, which includes a thinking trace if thinking is on.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from evals.scoring import Question
from llm.thinking import split_trace
from models.chat import Message
from models.class_bias import ClassBias, asks_for_letters
from models.errors import PromptTooLong, RegistryError, UsageError
from models.tokens import SMALLEST_SHARE, THINKING_TOKENS
from training.adapters.registry.weights import CONFIG, WEIGHTS
from training.bases.chat_format import THINK, ChatFormat
from training.bases.loading import load_model
from training.bases.shared_prefix import ROWS, next_token_logits, share
from training.cycle.biased_decoding import add_class_bias

BATCH, BATCH_TOKENS = 8, 16_384
"""Questions per batch, and tokens of their prompts with padding: what fits on a 24 GB card with a 4B base."""


LocalSettings = Mapping[str, str | int | float]


@dataclass(frozen=True)
class LocalTerms:
    """The settings with which a base would answer, before any weights are loaded."""

    settings: LocalSettings


def local_terms(base: Path, thinking: bool | None = None) -> LocalTerms:
    """The settings of an evaluation by a `LocalAnswerer` of this base."""
    return LocalTerms(_settings(ChatFormat.load(base, thinking), _device()[1]))


def _device() -> tuple[str, Any]:
    import torch

    return ("cuda", torch.bfloat16) if torch.cuda.is_available() else ("cpu", torch.float32)


def _settings(chat: ChatFormat, dtype: Any) -> LocalSettings:
    return {
        "backend": "transformers",
        "dtype": str(dtype).removeprefix("torch."),
        "batch": BATCH,
        "constrained": 0,
        "chat_template": chat.template_hash,
        "thinking": {None: "as the template has it", True: "on", False: "off"}[chat.thinking],
    }


class LocalAnswerer:
    """A base through transformers, with an adapter through PEFT; in bf16 on a GPU if available, else in fp32.

    Without a GPU the adapter is merged into the weights in memory, which is equivalent in fp32 and as fast as the
    base; nothing is written. Answers are free text: transformers enforces no JSON schema, so base and
    adapter are compared without one (`constrained` is 0). A class bias is added where an answer in
    letters decides for a class.
    """

    def __init__(
        self,
        base: Path,
        base_name: str,
        adapter: Path | None = None,
        *,
        thinking: bool | None = None,
        bias: ClassBias | None = None,
        half: bool = False,
    ) -> None:
        """Load the weights. With `half`, probabilities of options are computed in bf16 from weights in fp32.

        Raises UsageError for an unusable base, RegistryError for an adapter of another base, or one whose weights do
        not fit.
        """
        self._chat: ChatFormat = ChatFormat.load(base, thinking)
        self._bias = bias.by_token if bias is not None and not self._chat.thinks else {}
        self._device, self._dtype = _device()
        self._half = half
        self.settings: LocalSettings = _settings(self._chat, self._dtype)
        model = load_model(base, self._dtype)
        if adapter is not None:
            model = _with_adapter(model, adapter, base_name, merged=self._device == "cpu")
        self._model: Any = model.to(self._device).eval()
        self._window: int = self._model.config.max_position_embeddings

    def count(self, messages: Sequence[Message]) -> int:
        """Tokens of a prompt, including the start of the answer."""
        return len(self._ids(messages))

    def limit(self, wanted: int) -> int:
        """The token limit of an answer: its stage's, but no more of a small window than in serving."""
        return min(wanted, self._window // SMALLEST_SHARE)

    @property
    def batch(self) -> int:
        """Questions per batch: a small model is limited by reading its weights, once per batch."""
        return BATCH

    def answer(
        self,
        messages: Sequence[Message],
        max_tokens: int,
        seed: int,
        temperature: float,
        schema: dict[str, Any] | None = None,
    ) -> str:
        """`answer_many` for one question."""
        return self.answer_many([Question(messages, max_tokens, schema)], seed, temperature)[0]

    def answer_many(self, questions: Sequence[Question], seed: int, temperature: float) -> list[str]:
        """The answers without thinking traces; schemas are not enforced. Greedy at temperature 0, for any seed.

        Raises PromptTooLong if a prompt and its answer exceed the window.
        """
        import torch

        prompts = [self._ids(question.messages) for question in questions]
        for ids, question in zip(prompts, questions, strict=True):
            self._check_window(len(ids), question.max_tokens)
        width = max(map(len, prompts))
        if len(prompts) > 1 and len(prompts) * width > BATCH_TOKENS:
            half = len(prompts) // 2
            parts = (questions[:half], questions[half:])
            return [text for part in parts for text in self.answer_many(part, seed, temperature)]
        chosen: dict[str, Any] = {"do_sample": False}
        if temperature > 0:
            torch.manual_seed(seed)
            chosen = {"do_sample": True, "temperature": temperature, "top_p": 1.0, "top_k": 0}
        limits = [self._token_limit(len(ids), each.max_tokens) for ids, each in zip(prompts, questions, strict=True)]
        with torch.inference_mode():
            output = self._model.generate(
                input_ids=self._padded(prompts, width, self._chat.pad_id),
                attention_mask=self._padded([[1] * len(ids) for ids in prompts], width, 0),
                generation_config=_generation(self._chat, max(limits), chosen),
                logits_processor=self._processors(questions, width),
            )
        rows = zip(output[:, width:].tolist(), limits, questions, strict=True)
        return [self._text(row[:most], opened=self._opens(question.messages)) for row, most, question in rows]

    def _processors(self, questions: Sequence[Question], width: int) -> list[Callable[[Any, Any], Any]]:
        """The class bias as a step of decoding, for the questions that are answered in letters."""
        rows = [number for number, each in enumerate(questions) if asks_for_letters(each.schema)]
        return [add_class_bias(self._bias, rows, width, self._chat.text)] if self._bias and rows else []

    def option_probabilities(self, prompts: Sequence[Sequence[Message]], options: Sequence[str]) -> list[list[float]]:
        """For each prompt the probabilities of the answer's first token among those that begin the options, summing
        to 1. What the prompts begin with alike is computed once for `ROWS` of them.

        Raises UsageError if two options begin with the same token, PromptTooLong.
        """
        import torch

        firsts = [self._chat.encoder.ids(option)[0] for option in options]
        if len(set(firsts)) != len(firsts):
            raise UsageError(f"two of the options {', '.join(options)} begin with the same token; use other words")
        rows = [self._ids(messages) for messages in prompts]
        found: list[list[float]] = []
        with torch.inference_mode():
            for start in range(0, len(rows), ROWS):
                shared = share(rows[start : start + ROWS])
                self._check_window(shared.longest, 1)
                logits = next_token_logits(self._model, shared, self._chat.pad_id, half=self._half)
                found += logits[:, firsts].float().softmax(-1).tolist()
        return found

    def _padded(self, rows: list[list[int]], width: int, fill: int) -> Any:
        """A left-padded tensor, so that generation continues each row directly."""
        import torch

        return torch.tensor([[fill] * (width - len(row)) + row for row in rows], device=self._device)

    def _check_window(self, prompt: int, answer: int) -> None:
        if prompt + answer > self._window:
            raise PromptTooLong(
                f"a prompt has {prompt} tokens and its answer may have {answer}, together more than the base's "
                f"window of {self._window}; build the evaluation set with a smaller --max-prompt-tokens"
            )

    def _token_limit(self, prompt: int, answer: int) -> int:
        """The most tokens to generate, as in serving: those of the answer and, if thinking is on, of a trace within the
        window."""
        trace = THINKING_TOKENS if self._chat.thinks else 0
        return answer + min(trace, self._window - prompt - answer)

    def _ids(self, messages: Sequence[Message]) -> list[int]:
        return self._chat.prompt_ids([message.model_dump() for message in messages])

    def _opens(self, messages: Sequence[Message]) -> bool:
        return self._chat.opens_thinking([message.model_dump() for message in messages])

    def _text(self, ids: list[int], *, opened: bool = False) -> str:
        """The generated text up to the end of the turn, without a thinking trace, which the prompt may have opened."""
        if self._chat.end_id in ids:
            ids = ids[: ids.index(self._chat.end_id)]
        return split_trace((THINK if opened else "") + self._chat.text(ids))[0]


def check_adapter(adapter: Path, base_name: str) -> None:
    """Raises RegistryError unless the adapter in a directory says that it was trained on the base of that name."""
    path = adapter / CONFIG
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise RegistryError(f"adapter {adapter}: {CONFIG} cannot be read; restore it from a copy") from error
    trained_on = config.get("base_model_name_or_path") if isinstance(config, dict) else None
    if trained_on != base_name:
        raise RegistryError(
            f"adapter {adapter} was trained on base {trained_on!r}, not on {base_name!r}; it works only on its own base"
        )


def _with_adapter(model: Any, adapter: Path, base_name: str, *, merged: bool) -> Any:
    """The model with an adapter, after checking that all its weights were loaded."""
    from peft import PeftModel, get_peft_model_state_dict
    from safetensors import SafetensorError, safe_open

    from training.quiet import quiet_libraries

    check_adapter(adapter, base_name)
    try:
        with safe_open(str(adapter / WEIGHTS), "pt") as file:
            stored = set(file.keys())
        with quiet_libraries():  # missing weights are detected below
            tuned = PeftModel.from_pretrained(model, str(adapter), is_trainable=False)
    except (OSError, SafetensorError, RuntimeError, ValueError) as error:
        message = str(error).splitlines()[0]
        raise RegistryError(f"adapter {adapter} does not fit base {base_name}: {message}") from error
    placed = set(get_peft_model_state_dict(tuned, save_embedding_layers=False))  # else it looks up the base on a hub
    if placed != stored:
        odd = min(placed ^ stored)
        raise RegistryError(f"adapter {adapter} does not fit base {base_name}: weight {odd} has no counterpart")
    return tuned.merge_and_unload() if merged else tuned


def _generation(chat: ChatFormat, max_tokens: int, chosen: dict[str, Any]) -> Any:
    """The generation settings: ends with the turn, without the base's own sampling defaults."""
    from transformers import GenerationConfig

    return GenerationConfig(
        max_new_tokens=max_tokens,
        eos_token_id=chat.end_id,
        pad_token_id=chat.pad_id,
        use_cache=True,
        repetition_penalty=1.0,
        **chosen,
    )
