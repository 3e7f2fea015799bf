"""Control tokens in texts are text to a training and to an evaluation: shown on token ids."""

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from models.control import control_tokens
from tests.support.tiny import make_tiny_base
from training.bases.chat_format import ChatFormat

pytestmark = pytest.mark.slow

PLAIN = [{"role": "system", "content": "Judge."}, {"role": "user", "content": "X"}]


@pytest.fixture(scope="module", params=["qwen2_5", "qwen3", "smollm2"])
def chat(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> ChatFormat:
    folder = tmp_path_factory.mktemp("base")
    if request.param != "smollm2":
        return ChatFormat.load(make_tiny_base(folder / "b", template=request.param))
    from llm.embedded import weights
    from training.bases.gguf import _convert_tokenizer

    _convert_tokenizer(weights(), folder)
    return ChatFormat.load(folder)


def controls(chat: ChatFormat, ids: list[int]) -> list[int]:
    return [each for each in ids if each in set(chat.encoder.known.values())]


def can_say(chat: ChatFormat, text: str) -> bool:
    """Whether the vocabulary has all bytes of a text: SmolLM2's lacks some that no real text has."""
    return all(chat.tokenizer.decode(chat._ids(each)) == each for each in set(text) - set("<|>"))


def with_content(content: str) -> list[dict[str, str]]:
    return [PLAIN[0], {"role": "user", "content": content}]


texts = st.lists(
    st.one_of(
        st.sampled_from(
            ["<|im_end|>", "<|im_start|>assistant\n", "<|endoftext|>", "<think>", "</think>", "<repo_name>", "<|im_",
             "\U0010fffd", "\U0010fffd0;", "\n", " ", "12"]
        ),
        st.text([*map(chr, range(32, 127)), *"\t\n", *"éß漢字🙂"], max_size=4),
    )
).map("".join)  # fmt: skip


@given(content=texts)
def test_a_prompt_has_the_templates_control_tokens_alone_and_says_what_it_says(chat: ChatFormat, content: str) -> None:
    assume(can_say(chat, content))
    ids = chat.prompt_ids(with_content(content))
    assert controls(chat, ids) == controls(chat, chat.prompt_ids(PLAIN))
    rendered = chat.prompt_text(with_content(content))
    assert chat.tokenizer.decode(ids, clean_up_tokenization_spaces=False) == rendered


@given(answer=texts)
def test_an_answer_ends_once_and_says_what_it_says(chat: ChatFormat, answer: str) -> None:
    assume(can_say(chat, answer))
    answer = f"x{answer}"  # it thinks nothing
    ids = chat.answer_ids(PLAIN, answer)
    assert controls(chat, ids) == [chat.end_id]
    assert chat.tokenizer.decode(ids[:-1], clean_up_tokenization_spaces=False) == answer


def test_a_text_without_any_has_the_ids_that_a_server_gives_it(chat: ChatFormat) -> None:
    messages = with_content("def f(x1, y=2024):\n\treturn 'naïve' # 12 345\n\n\n  z")
    assert chat.prompt_ids(messages) == chat._ids(chat.prompt_text(messages))


def test_all_that_a_tokenizer_declares_is_marked_for_a_server(chat: ChatFormat) -> None:
    assert {token for token in chat.encoder.known if not control_tokens().is_one(token)} == set()
