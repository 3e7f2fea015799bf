"""Forgetting: how far a tuned base left the one that it came from, on fixed prompts (`forgetting.toml`).

Three kinds of text: general instructions with reference answers; the old base's own answers to these, and the code
that it wrote itself, both greedily. The first shows whether general ability suffered, the others whether the tuned base
still says what the old one said.
"""

import hashlib
import tomllib
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from models.base_evaluation import Forgetting
from training.bases.chat_format import ChatFormat
from training.fit.data import IGNORED, TrainingRow
from training.fit.row_losses import AnswerLoss, answer_losses

PROMPTS = Path(__file__).parent / "forgetting.toml"
WRITTEN_TOKENS = 64
"""Tokens that the old base writes to a prompt at most."""
INSTRUCTIONS, OWN_INSTRUCTIONS, OWN_CODE = "instructions", "own-instructions", "own-code"
KINDS = (INSTRUCTIONS, OWN_INSTRUCTIONS, OWN_CODE)
TextsByKind = dict[str, list[TrainingRow]]


class FixedPrompts(NamedTuple):
    """General instructions with reference answers, prompts for code, and the hash of the file."""

    instructions: tuple[tuple[str, str], ...]
    code: tuple[str, ...]
    digest: str


@cache
def fixed_prompts() -> FixedPrompts:
    """The prompts that are shipped."""
    text = PROMPTS.read_bytes()
    read = tomllib.loads(text.decode())
    return FixedPrompts(
        tuple((each["prompt"], each["answer"]) for each in read["instructions"]),
        tuple(each["prompt"] for each in read["code"]),
        hashlib.sha256(text).hexdigest(),
    )


def written_by(model: Any, chat: ChatFormat, report: Callable[[int, int], None]) -> TextsByKind:
    """The texts of each kind as token ids; the old base's own are written by `model` now. `report` is called with the
    prompts done, and their number."""
    prompts = fixed_prompts()
    asked = [(OWN_INSTRUCTIONS, prompt) for prompt, _ in prompts.instructions]
    asked += [(OWN_CODE, prompt) for prompt in prompts.code]
    texts: TextsByKind = {kind: [] for kind in KINDS}
    for prompt, answer in prompts.instructions:
        messages = _asked(prompt)
        texts[INSTRUCTIONS].append(_row(prompt, chat.prompt_ids(messages), chat.answer_ids(messages, answer)))
    for done, (kind, prompt) in enumerate(asked, 1):
        ids = chat.prompt_ids(_asked(prompt))
        if written := _greedy(model, chat, ids):
            texts[kind].append(_row(prompt, ids, written))
        report(done, len(asked))
    return texts


def rewritten(texts: TextsByKind, old: ChatFormat, new: ChatFormat) -> TextsByKind:
    """The texts as token ids of another tokenizer and template, in the same order."""
    answers = dict(fixed_prompts().instructions)

    def row(kind: str, each: TrainingRow) -> TrainingRow:
        messages = _asked(each.id)
        written = answers[each.id] if kind == INSTRUCTIONS else old.text(each.answer)
        return _row(each.id, new.prompt_ids(messages), new.answer_ids(messages, written))

    return {kind: [row(kind, each) for each in rows] for kind, rows in texts.items()}


def losses_by_kind(model: Any, texts: TextsByKind) -> dict[str, list[AnswerLoss]]:
    """The losses of all texts under a model."""
    return {kind: list(answer_losses(model, rows)) for kind, rows in texts.items()}


def compared(
    before: dict[str, list[AnswerLoss]], after: dict[str, list[AnswerLoss]], *, same_tokens: bool = True
) -> list[Forgetting]:
    """Both bases' losses on the same texts, by kind, per token of the old base. Without the `same_tokens` nothing is
    said of the share of them that stay."""
    return [
        Forgetting(
            kind=kind,
            prompts=len(before[kind]),
            tokens=sum(each.tokens for each in before[kind]),
            before=_mean(before[kind]),
            after=sum(each.nats for each in after[kind]) / sum(each.tokens for each in before[kind]),
            agreement=None if kind == INSTRUCTIONS or not same_tokens else _agreement(after[kind]),
        )
        for kind in KINDS
        if before.get(kind)
    ]


def _mean(losses: Sequence[AnswerLoss]) -> float:
    return sum(each.nats for each in losses) / sum(each.tokens for each in losses)


def _agreement(losses: Sequence[AnswerLoss]) -> float:
    return sum(each.agreed for each in losses) / sum(each.tokens for each in losses)


def _asked(prompt: str) -> list[dict[str, str]]:
    return [{"role": "user", "content": prompt}]


def _row(name: str, prompt: list[int], answer: list[int]) -> TrainingRow:
    return TrainingRow(name, 1.0, prompt + answer, [IGNORED] * len(prompt) + answer)


def _greedy(model: Any, chat: ChatFormat, prompt: list[int]) -> list[int]:
    """What a model writes at temperature 0, the end of its turn included if it came to it."""
    import torch
    from transformers import GenerationConfig

    ids = torch.tensor([prompt], device=model.device)
    chosen = GenerationConfig(
        max_new_tokens=WRITTEN_TOKENS, do_sample=False, eos_token_id=chat.end_id, pad_token_id=chat.pad_id
    )
    with torch.inference_mode():
        output = model.generate(input_ids=ids, attention_mask=torch.ones_like(ids), generation_config=chosen)
    written: list[int] = output[0, len(prompt) :].tolist()
    return written
