"""Losses of gold answers: of the items that fit into a window, on the answer alone."""

from pathlib import Path

import pytest

from models.chat import Message
from models.evaluation import EvaluationItem, EvaluationSet
from models.protocols import Stage
from models.training import TrainingTarget
from tests.support.tiny import make_tiny_base
from training.bases.chat_format import ChatFormat
from training.windows.measures import token_losses
from training.windows.stages import fitting_sets, stage_loss


def _item(number: int, words: int, repository: str = "r") -> EvaluationItem:
    messages = (Message(role="system", content="Judge."), Message(role="user", content="word " * words))
    return EvaluationItem(
        id=str(number), stage=Stage.SCOPE, repository=repository, instance="i", commit="c",
        messages=messages if words else (), expected='{"files": []}', answer_tokens=64,
    )  # fmt: skip


def test_only_the_answers_of_what_fits_count(tmp_path: Path) -> None:
    from transformers import AutoModelForCausalLM

    base = make_tiny_base(tmp_path / "base")
    chat, model = ChatFormat.load(base), AutoModelForCausalLM.from_pretrained(base, local_files_only=True).eval()
    items = (_item(0, 10), _item(1, 500), _item(2, 20), _item(3, 30), _item(4, 10, "s"))
    frozen = EvaluationSet(target=TrainingTarget.SCOPE, repositories=("r", "s"), items=items)
    found = stage_loss(model, chat, frozen, 256, 2, False)
    assert (found.target, found.items, found.left_out) == ("scope", 3, 1)
    losses = []
    for item in (items[0], items[2]):
        messages = [message.model_dump() for message in item.messages]
        prompt, answer = chat.prompt_ids(messages), chat.answer_ids(messages, item.expected)
        losses.append(float(token_losses(model, prompt + answer)[len(prompt) - 1 :].mean()))
    assert found.by_repository["r"] == pytest.approx(sum(losses) / 2, rel=1e-5) and set(found.by_repository) == {
        "r",
        "s",
    }
    bare = EvaluationSet(target=TrainingTarget.CODE, repositories=("r",), items=(_item(5, 0),))
    assert fitting_sets([frozen, bare]) == (frozen,)
