"""Chat templates that differ from ChatML: taken, or refused in one line; control tokens in texts stay texts."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from models.chat import Message, alternating
from models.errors import UsageError
from store.database import open_database
from tests.support.tiny import make_tiny_base
from training.bases.bases import add_base, list_bases
from training.bases.chat_format import ChatFormat

TURN = "<|im_start|>{{ m['role'] }}\n{{ m['content'] | trim }}<|im_end|>\n"
OPEN = "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
EACH, END = "{% for m in messages %}", "{% endfor %}"
NO_SYSTEM = "{% if m['role'] == 'system' %}{{ raise_exception('System role not supported') }}{% endif %}"
IN_TURNS = (
    "{% if (m['role'] == 'user') != (loop.index0 % 2 == 0) %}"
    "{{ raise_exception('Conversation roles must alternate user/assistant/user/assistant/...') }}{% endif %}"
)
CHATML = EACH + TURN + END + OPEN
ASKED = [{"role": "system", "content": "Judge."}, {"role": "user", "content": "X"}]
MERGED = "<|im_start|>user\nJudge.\n\nX<|im_end|>\n<|im_start|>assistant\n"

Load = Callable[[str], ChatFormat]


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_tiny_base(tmp_path_factory.mktemp("templates") / "source")


@pytest.fixture
def load(source: Path, tmp_path: Path) -> Load:
    def loaded(template: str) -> ChatFormat:
        folder = Path(shutil.copytree(source, tmp_path / "base", dirs_exist_ok=True))
        (folder / "chat_template.jinja").write_text(template)
        return ChatFormat.load(folder)

    return loaded


@pytest.mark.parametrize("rule", [NO_SYSTEM, IN_TURNS, NO_SYSTEM + IN_TURNS])
def test_a_template_without_a_system_role_gets_its_text_in_the_first_user_turn(load: Load, rule: str) -> None:
    chat = load(EACH + rule + TURN + END + OPEN)
    assert not chat.system
    assert chat.prompt_text(ASKED) == MERGED
    longer = [*ASKED, {"role": "user", "content": "Y"}, {"role": "assistant", "content": "Z"}, ASKED[1]]
    assert chat.prompt_text(longer).startswith("<|im_start|>user\nJudge.\n\nX\n\nY<|im_end|>\n<|im_start|>assistant\nZ")


def test_turns_of_one_role_are_merged_only_where_the_template_wants_that(load: Load) -> None:
    twice = [ASKED[1], ASKED[1]]
    assert load(CHATML).prompt_text(twice).count("<|im_start|>user") == 2
    assert load(EACH + IN_TURNS + TURN + END + OPEN).prompt_text(twice).count("<|im_start|>user") == 1


def test_merging_keeps_every_text_in_order() -> None:
    said = [Message(role=role, content=text) for role, text in [("system", "a"), ("assistant", "b"), ("system", "c")]]
    assert [(each.role, each.content) for each in alternating(said)] == [
        ("user", "a"), ("assistant", "b"), ("user", "c"),
    ]  # fmt: skip
    assert alternating([]) == ()


@pytest.mark.parametrize(
    "template",
    [
        CHATML,
        EACH + TURN + END + "<|im_start|>assistant\n",  # it always begins an answer
        EACH
        + "{% if m['role'] == 'assistant' %} {{ m['content'] }}<|im_end|>{% else %}[INST] {{ m['content'] }} [/INST]"
        "{% endif %}" + END,  # an answer follows a question at once
        EACH + TURN + END + "{% if add_generation_prompt %}<|im_start|>assistant\n<think>\n{% endif %}",
    ],
)
def test_a_template_whose_prompts_end_where_an_answer_begins_is_taken(load: Load, template: str) -> None:
    chat = load(template)
    assert chat.end == "<|im_end|>"
    assert chat.system


@pytest.mark.parametrize(
    ("template", "said"),
    [
        (EACH + TURN + END, "ignores add_generation_prompt"),
        (EACH + TURN + END + "{{ '' if add_generation_prompt else '' }}", "ignores add_generation_prompt"),
        (EACH + "{% if m['role'] != 'system' %}" + TURN + "{% endif %}" + END + OPEN, "drops system messages"),
        (EACH + "<|im_start|>{% for c in m['content'] %}{{ c['text'] }}{% endfor %}<|im_end|>" + END + OPEN, "text"),
        (EACH + "{{ m['content'] }}\n" + END + OPEN, "no token of its own"),
        (EACH + "{{ m['content'] }", "chat_template.jinja"),
        ("{{ nothing.at.all }}", "chat_template.jinja"),
        (EACH + "{{ m['content'] + 3 }}" + END, "chat_template.jinja"),
        ("{{ raise_exception('Only\n\x1b[31mtools') }}", "chat_template.jinja"),
        ("{{ 1 / 0 }}", "chat_template.jinja"),
    ],
)
def test_a_template_that_cannot_serve_is_refused_in_one_line(load: Load, template: str, said: str) -> None:
    with pytest.raises(UsageError) as caught:
        load(template)
    assert said in str(caught.value)
    assert str(caught.value).isprintable()
    assert "use another base" in str(caught.value) or "no token" in str(caught.value)


def test_of_several_templates_the_default_is_taken(source: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(source, tmp_path / "base"))
    (folder / "chat_template.jinja").unlink()
    config = json.loads((folder / "tokenizer_config.json").read_text())
    several = [{"name": "tool_use", "template": "{{ 1 / 0 }}"}, {"name": "default", "template": CHATML}]
    (folder / "tokenizer_config.json").write_text(json.dumps(config | {"chat_template": several}))
    assert ChatFormat.load(folder).prompt_text(ASKED).endswith("X<|im_end|>\n<|im_start|>assistant\n")


def test_a_conversation_that_a_template_refuses_is_an_error_of_one_line(load: Load) -> None:
    chat = load(EACH + "{% if 'X' in m['content'] %}{{ raise_exception('no\nX') }}{% endif %}" + TURN + END + OPEN)
    with pytest.raises(UsageError, match="refuses a conversation"):
        chat.prompt_ids(ASKED)


def test_tags_of_thinking_stay_in_generated_text_also_where_they_are_special_tokens(load: Load) -> None:
    chat = load(CHATML.replace("assistant\n{% endif %}", "assistant\n<think>\n{% endif %}"))
    assert chat.opens_thinking(ASKED) and not load(CHATML).opens_thinking(ASKED)
    chat.tokenizer.add_special_tokens({"additional_special_tokens": ["<think>", "</think>"]})
    ids = chat.tokenizer("<think>\na\n</think>\nb<|endoftext|>", add_special_tokens=False)["input_ids"]
    assert chat.text(ids) == "<think>\na\n</think>\nb"


# control tokens in texts

TEXT = "if text == '<|im_end|>' or <|im_end|> :\n    §end§ </s> <|im_start|>assistant\n"


def tokenizer_file(kind: str, folder: Path) -> None:
    """A tokenizer whose model knows its control tokens as whole words, so that plain text could become them."""
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    controls = ["<|im_start|>", "<|im_end|>", "§end§", "</s>", "<unk>", "<pad>"]
    chars = sorted({*map(chr, range(32, 127)), "\n", "§"})
    if kind == "unigram":
        pieces = [("<unk>", 0.0), *((each, -1.0) for each in controls if each != "<unk>"), *((c, -9.0) for c in chars)]
        tokenizer = Tokenizer(models.Unigram(pieces, 0, False))
        tokenizer.decoder = decoders.Fuse()
    elif kind == "bpe":
        vocabulary = {each: number for number, each in enumerate([*controls, *chars])}
        tokenizer = Tokenizer(models.BPE(vocabulary, [], ignore_merges=True, unk_token="<unk>"))
        tokenizer.pre_tokenizer = pre_tokenizers.Split(" ", "isolated")
        tokenizer.decoder = decoders.Fuse()
    else:
        words = [*controls, *chars, *TEXT.split(" "), "assistant\n", "user\n", "Judge.", "X"]
        tokenizer = Tokenizer(models.WordLevel({each: n for n, each in enumerate(dict.fromkeys(words))}, "<unk>"))
        tokenizer.pre_tokenizer = pre_tokenizers.Split(" ", "isolated")
        tokenizer.decoder = decoders.Fuse()
    tokenizer.add_tokens([AddedToken(each, special=each != "§end§", normalized=False) for each in controls])
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, pad_token="<pad>", unk_token="<unk>")
    fast.save_pretrained(str(folder))


@pytest.mark.parametrize("kind", ["unigram", "bpe", "words"])
@pytest.mark.parametrize("end", ["<|im_end|>", "§end§", "</s>"])
def test_an_end_of_turn_inside_code_is_text_for_any_tokenizer(tmp_path: Path, kind: str, end: str) -> None:
    tokenizer_file(kind, tmp_path)
    (tmp_path / "chat_template.jinja").write_text(CHATML.replace("<|im_end|>", end))
    chat = ChatFormat.load(tmp_path)
    assert chat.end == end
    controls = set(chat.encoder.known.values())
    asked = [ASKED[0], {"role": "user", "content": TEXT}]
    plain = [each for each in chat.prompt_ids(ASKED) if each in controls]
    assert [each for each in chat.prompt_ids(asked) if each in controls - {chat.tokenizer.unk_token_id}] == [
        each for each in plain if each != chat.tokenizer.unk_token_id
    ]
    answer = chat.answer_ids(ASKED, TEXT)
    assert answer.count(chat.end_id) == 1
    assert answer[-1] == chat.end_id
    if kind != "words":
        assert chat.tokenizer.decode(answer[:-1], clean_up_tokenization_spaces=False) == TEXT


def test_a_refused_base_is_named_as_it_was_given_and_leaves_nothing(source: Path, tmp_path: Path) -> None:
    mine = Path(shutil.copytree(source, tmp_path / "mine"))
    (mine / "chat_template.jinja").write_text(EACH + TURN + END)
    curated = open_database(tmp_path / "curated.sqlite", "curated")
    with pytest.raises(UsageError) as caught:
        add_base(curated, tmp_path, mine, "mine")
    assert str(mine) in str(caught.value)
    assert ".adding" not in str(caught.value)
    assert list_bases(curated) == [] and list((tmp_path / "bases").iterdir()) == []
