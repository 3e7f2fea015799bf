"""Loss of the gold answers of frozen evaluation sets, for the items that fit into a window."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from models.evaluation import EvaluationSet
from training.bases.chat_format import ChatFormat
from training.windows.measures import token_losses


class StageLoss(NamedTuple):
    """Mean loss of the answers (nats a token) by repository, of the items of a target that fit; `left_out` do not."""

    target: str
    by_repository: dict[str, float]
    items: int
    left_out: int


def stage_loss(model: Any, chat: ChatFormat, items: EvaluationSet, window: int, most: int, bf16: bool) -> StageLoss:
    """The loss of the gold answers of at most `most` items of each repository, in the set's order."""
    by_repository: dict[str, list[float]] = {}
    left_out = 0
    for item in items.items:
        losses = by_repository.setdefault(item.repository, [])
        if not item.messages or len(losses) >= most:
            continue
        messages = [message.model_dump() for message in item.messages]
        prompt, answer = chat.prompt_ids(messages), chat.answer_ids(messages, item.expected)
        if len(prompt) + len(answer) > window:
            left_out += 1
            continue
        losses.append(float(token_losses(model, prompt + answer, bf16)[-len(answer) :].mean()))
    means = {name: sum(losses) / len(losses) for name, losses in sorted(by_repository.items()) if losses}
    return StageLoss(items.target.value, means, sum(map(len, by_repository.values())), left_out)


def fitting_sets(sets: Sequence[EvaluationSet]) -> tuple[EvaluationSet, ...]:
    """The sets whose items have prompts of their own; those of code and plans are asked by the harness."""
    return tuple(each for each in sets if any(item.messages for item in each.items))
