"""What servers say of a prompt that is too long is understood, numbers included."""

import pytest

from models.errors import PromptTooLong
from tests.support.asking import answer, router
from tests.support.bad_server import Fail, ScriptedServer

SAID = {
    "OpenAI": "This model's maximum context length is 8192 tokens. However, your messages resulted in 9031 tokens. "
    "Please reduce the length of the messages.",
    "DeepSeek": "This model's maximum context length is 8192 tokens. However, you requested 9031 tokens "
    "(9031 in the messages, 0 in the completion). Please reduce the length of the messages or completion.",
    "vLLM": "This model's maximum context length is 8192 tokens. However, you requested 50 output tokens and your "
    "prompt contains at least 9031 input tokens, for a total of at least 9081 tokens.",
    "older vLLM": "This model's maximum context length is 8192 tokens. However, you requested 9081 tokens (9031 in "
    "the messages, 50 in the completion). Please reduce the length of the messages or completion.",
    "newer vLLM": "The prompt is 9031 tokens, which exceeds the model's maximum context length of 8192 tokens. "
    "Please reduce the length of the input prompt.",
    "llama.cpp": "request (9031 tokens) exceeds the available context size (8192 tokens), try increasing it",
    "Anthropic": "prompt is too long: 9031 tokens > 8192 maximum",
    "Gemini": "The input token count (9031) exceeds the maximum number of tokens allowed (8192).",
}


@pytest.mark.parametrize("server", sorted(SAID))
def test_numbers_are_read(server: str) -> None:
    with ScriptedServer([Fail(400, SAID[server])]) as scripted, pytest.raises(PromptTooLong) as caught:
        answer(router(scripted, window=20_000))
    assert "a prompt of 9031 tokens" in str(caught.value)
    assert "its window is 8192" in str(caught.value)


@pytest.mark.parametrize(
    "said",
    [
        "input length exceeds the context length",
        "Range of input length should be [1, 8192]",
    ],
)
def test_without_numbers_our_own_count_stands_in(said: str) -> None:
    with ScriptedServer([Fail(400, said)]) as scripted, pytest.raises(PromptTooLong, match="a prompt of "):
        answer(router(scripted, window=20_000))


def test_an_overflow_told_inside_the_stream_is_one_too() -> None:
    from tests.support.bad_server import Raw

    event = (
        b'data: {"error": {"message": "context size exceeded", "type": "exceed_context_size_error", "n_ctx": 77}}\n\n'
    )
    with ScriptedServer([Raw(event)]) as scripted, pytest.raises(PromptTooLong, match="its window is 77"):
        answer(router(scripted, window=20_000))
