"""The ids that a training sees are those that serving sends and gets, and only the answer is learned."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from models.errors import TrainingError, UsageError
from models.training import TrainingTarget
from models.training_settings import TrainingSettings
from tests.support.fitting_data import write_dataset
from tests.support.tiny import make_tiny_base
from training.bases.chat_format import ChatFormat
from training.fit.columns import packed
from training.fit.data import IGNORED, TrainingRow, preference_rows, supervised_rows, training_order
from training.fit.recipe import Recipe, recipe_for

pytestmark = pytest.mark.slow

ASKED = [{"role": "system", "content": "Judge files."}, {"role": "user", "content": "Is parser.py 12 of 34 needed?"}]
OLD = [*ASKED, {"role": "assistant", "content": "No."}, {"role": "user", "content": "And lexer.py?"}]


@pytest.fixture(scope="module", params=["qwen2_5", "qwen3"])
def base(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_tiny_base(tmp_path_factory.mktemp("base") / request.param, template=request.param)


@pytest.fixture(scope="module")
def qwen3(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_tiny_base(tmp_path_factory.mktemp("base") / "qwen3")


def a_recipe(**changes: Any) -> Recipe:
    recipe = recipe_for(TrainingTarget.SCOPE, "sft", TrainingSettings())
    return recipe.model_copy(update=changes)


@pytest.mark.parametrize("messages", [ASKED, OLD], ids=["asked", "with history"])
def test_a_prompt_has_the_ids_that_the_serving_template_gives(base: Path, messages: list[dict[str, str]]) -> None:
    chat = ChatFormat.load(base)
    served = chat.tokenizer.apply_chat_template(messages, add_generation_prompt=True, return_dict=False)
    assert chat.prompt_ids(messages) == served


def test_only_the_answer_is_learned_and_its_end_with_it(base: Path, tmp_path: Path) -> None:
    chat = ChatFormat.load(base)
    rows = supervised_rows(write_dataset(tmp_path / "d", rows=5), chat, a_recipe()).train
    records = [json.loads(line) for line in (tmp_path / "d" / "sft.jsonl").read_text().splitlines()]
    for row, record in zip(rows, records, strict=True):
        prompt = chat.prompt_ids(record["prompt"])
        assert row.ids[: len(prompt)] == prompt
        assert row.labels[: len(prompt)] == [IGNORED] * len(prompt)
        learned = row.labels[len(prompt) :]
        assert learned == row.ids[len(prompt) :] and IGNORED not in learned
        assert learned[-1] == chat.end_id == chat.tokenizer.convert_tokens_to_ids("<|im_end|>")
        assert chat.tokenizer.decode(learned) == record["completion"][0]["content"] + "<|im_end|>"


@pytest.mark.parametrize("packing", [False, True])
def test_a_batch_learns_neither_prompt_nor_padding(base: Path, tmp_path: Path, packing: bool) -> None:
    from trl.trainer.sft_trainer import DataCollatorForLanguageModeling

    chat = ChatFormat.load(base)
    rows = supervised_rows(write_dataset(tmp_path / "d", rows=6), chat, a_recipe()).train
    rows[0] = rows[0]._replace(ids=rows[0].ids[:-3], labels=rows[0].labels[:-3])  # rows of different length
    collate = DataCollatorForLanguageModeling(pad_token_id=chat.pad_id, padding_free=packing)
    entries = packed(rows, range(6), 150) if packing else [{"input_ids": r.ids, "labels": r.labels} for r in rows]
    batch = collate(entries)
    learned = batch["labels"] != IGNORED
    assert int(learned.sum()) == sum(label != IGNORED for row in rows for label in row.labels)
    assert bool((batch["labels"][learned] == batch["input_ids"][learned]).all())
    if not packing:
        padding = batch["attention_mask"] == 0
        assert padding.any() and bool((batch["input_ids"][padding] == chat.pad_id).all())
        assert not bool((learned & padding).any())


def test_padding_never_ends_a_turn(base: Path) -> None:
    chat = ChatFormat.load(base)
    assert (chat.end, chat.pad) == ("<|im_end|>", "<|endoftext|>")
    assert chat.tokenizer.padding_side == "right"


def test_a_tokenizer_that_pads_with_the_end_of_a_turn_is_put_right(qwen3: Path, tmp_path: Path) -> None:
    from transformers import AutoTokenizer

    wrong = AutoTokenizer.from_pretrained(qwen3)
    wrong.pad_token, wrong.eos_token = "<|im_end|>", "<|endoftext|>"
    wrong.save_pretrained(tmp_path)
    chat = ChatFormat.load(tmp_path)
    assert (chat.end, chat.pad) == ("<|im_end|>", "<|endoftext|>")


def test_no_empty_thought_comes_between_prompt_and_answer(qwen3: Path) -> None:
    """Qwen3's template would put one there; a served prompt has none."""
    chat = ChatFormat.load(qwen3)
    text = chat.tokenizer.decode(chat.prompt_ids(ASKED) + chat.answer_ids(ASKED, "yes"))
    assert text.endswith("<|im_start|>assistant\nyes<|im_end|>")


def test_with_thinking_off_the_empty_thought_belongs_to_the_prompt(qwen3: Path) -> None:
    chat = ChatFormat.load(qwen3, thinking=False)
    assert chat.prompt_text(ASKED).endswith("assistant\n<think>\n\n</think>\n\n")
    assert chat.tokenizer.decode(chat.answer_ids(ASKED, "yes")) == "yes<|im_end|>"
    with pytest.raises(ValueError, match="thinking is off"):
        chat.answer_ids(ASKED, "<think>\nwhy\n</think>\n\nyes")


def test_a_thought_is_learned_with_its_tags(qwen3: Path) -> None:
    thought = "<think>\nwhy\n</think>\n\nyes"
    answer = ChatFormat.load(qwen3).answer_ids(ASKED, thought)
    assert ChatFormat.load(qwen3).tokenizer.decode(answer) == thought + "<|im_end|>"
    assert len(answer) < len(thought)


def test_a_prompt_that_opens_a_thought_is_gone_on_with(qwen3: Path) -> None:
    chat = ChatFormat.load(qwen3)
    chat.tokenizer.chat_template = chat.tokenizer.chat_template.replace(
        "'<|im_start|>assistant\\n' }}\n    {%- if enable", "'<|im_start|>assistant\\n<think>\\n' }}\n    {%- if enable"
    )
    assert chat.prompt_text(ASKED).endswith("assistant\n<think>\n")
    assert chat.tokenizer.decode(chat.answer_ids(ASKED, "<think>\nwhy\n</think>\n\nyes")) == (
        "why\n</think>\n\nyes<|im_end|>"
    )
    assert chat.tokenizer.decode(chat.answer_ids(ASKED, "yes")) == "</think>\n\nyes<|im_end|>"


def test_both_answers_of_a_preference_follow_the_same_prompt(base: Path, tmp_path: Path) -> None:
    chat = ChatFormat.load(base)
    for row in preference_rows(write_dataset(tmp_path / "d", pairs=3), chat, a_recipe()).train:
        assert chat.tokenizer.decode(row.prompt).endswith("<|im_start|>assistant\n")
        assert row.chosen[-1] == row.rejected[-1] == chat.end_id
        assert row.chosen != row.rejected


def test_too_long_rows_are_left_out_and_counted(qwen3: Path, tmp_path: Path) -> None:
    chat = ChatFormat.load(qwen3)
    dataset = write_dataset(tmp_path / "d", rows=12, answer="file {0}, since {1:b}")  # one to four digits
    whole = supervised_rows(dataset, chat, a_recipe()).train
    limit = sorted(len(row.ids) for row in whole)[5]
    rows = supervised_rows(dataset, chat, a_recipe(max_tokens=limit))
    assert rows.too_long == sum(len(row.ids) > limit for row in whole) > 0
    assert rows.train == [row for row in whole if len(row.ids) <= limit]
    with pytest.raises(TrainingError, match=r"no rows to train on; all 12 are longer than training.max_tokens = 16"):
        supervised_rows(dataset, chat, a_recipe(max_tokens=16))


def test_a_base_without_a_chat_template_is_refused(qwen3: Path, tmp_path: Path) -> None:
    (tmp_path / "tokenizer.json").write_bytes((qwen3 / "tokenizer.json").read_bytes())
    (tmp_path / "tokenizer_config.json").write_bytes((qwen3 / "tokenizer_config.json").read_bytes())
    with pytest.raises(UsageError, match="no chat template"):
        ChatFormat.load(tmp_path)


def rows_of(weights: list[float], length: int = 3) -> list[TrainingRow]:
    return [TrainingRow(str(i), weight, [i] * length, [i] * length) for i, weight in enumerate(weights)]


def test_a_weight_is_the_share_of_epochs_in_which_a_row_takes_part() -> None:
    rows = rows_of([1.0] * 50 + [1 / 3] * 300)
    order = training_order(rows, a_recipe(epochs=3))
    assert all(order.count(index) == 3 for index in range(50))
    assert all(order.count(index) == 1 for index in range(50, 350))


def test_a_curriculum_keeps_its_order_in_the_first_epoch() -> None:
    rows = rows_of([1.0] * 20)
    order = training_order(rows, a_recipe(epochs=2, curriculum=True))
    assert order[:20] == list(range(20)) and order[20:] != order[:20] and sorted(order[20:]) == order[:20]
    assert training_order(rows, a_recipe(epochs=2)) == training_order(rows, a_recipe(epochs=2)) != order


def test_pacing_makes_rows_available_in_order_and_trains_on_each_as_often_as_without() -> None:
    rows = rows_of([1.0] * 30 + [0.4] * 30)
    paced = training_order(rows, a_recipe(epochs=3, pacing=0.6))
    assert Counter(paced) == Counter(training_order(rows, a_recipe(epochs=3)))
    half = len(paced) // 2
    assert max(paced[:20]) < 40  # what is far in the file is not available yet
    assert sum(paced[:half]) / half < 25 < sum(paced[half:]) / (len(paced) - half)
    assert training_order(rows, a_recipe(epochs=3, pacing=0.6)) == paced
    assert training_order(rows, a_recipe(epochs=3, pacing=0.6, seed=1)) != paced


def test_packs_hold_every_row_once_and_none_is_cut() -> None:
    rows = [TrainingRow(str(i), 1.0, [i] * (1 + i % 7), [i] * (1 + i % 7)) for i in range(40)]
    packs = packed(rows, range(40), 10)
    assert all(len(pack["input_ids"]) == sum(pack["seq_lengths"]) <= 10 for pack in packs)
    assert sorted(token for pack in packs for token in pack["input_ids"]) == sorted(t for row in rows for t in row.ids)
    assert len(packs) < 20


def test_the_converted_tokenizer_has_the_ids_of_llama_cpp(tmp_path: Path) -> None:
    """SmolLM2's digits are cut apart, which the library's own conversion forgets."""
    import httpx

    from llm.embedded import start, weights
    from training.bases.gguf import _convert_tokenizer

    _convert_tokenizer(weights(), tmp_path)
    chat = ChatFormat.load(tmp_path)
    assert (chat.end, chat.pad) == ("<|im_end|>", "<|endoftext|>")
    server = start(2048)
    headers = {"Authorization": f"Bearer {server.key}"}
    root = server.url.removesuffix("/v1")
    rendered = httpx.post(f"{root}/apply-template", json={"messages": OLD}, headers=headers).json()["prompt"]
    assert rendered == chat.prompt_text(OLD)
    for text in (rendered, "def f(x1, y=2024):\n\treturn 'naïve' # 12 345\n\n\n  z", '{"path": "a/b_3.py", "n": 1000}'):
        asked = {"content": text, "parse_special": True, "add_special": False}
        tokens = httpx.post(f"{root}/tokenize", json=asked, headers=headers).json()["tokens"]
        assert chat._ids(text) == tokens
