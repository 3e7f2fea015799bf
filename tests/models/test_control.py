"""No text makes a control token by what it says, and what was marked is read back exactly."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.control import ControlTokens, control_tokens

KNOWN = [
    "<|im_start|>", "<|im_end|>", "<|endoftext|>", "<|eot_id|>", "<|start_header_id|>", "<|begin_of_text|>", "<|end|>",
    "<|user|>", "<|fim_prefix|>", "<|fim_middle|>", "<|file_sep|>", "<|reserved_special_token_7|>", "<|python_tag|>",
    "<|START_OF_TURN_TOKEN|>", "<｜end▁of▁sentence｜>", "<｜User｜>", "<｜tool▁calls▁begin｜>",
    "[INST]", "[/INST]", "<<SYS>>",
    "<s>", "</s>", "<bos>", "<eos>", "<pad>", "<unk>", "<start_of_turn>", "<end_of_turn>",
    "<fim_suffix>", "<fim-suffix>",
    "<PRE>", "<SUF>", "<MID>", "<EOT>", "<repo_name>", "<reponame>", "<file_sep>", "<filename>", "<gh_stars>",
    "<issue_start>", "<jupyter_code>", "<think>", "</think>", "<tool_call>", "</tool_call>", "<tool_response>",
    "[TOOL_CALLS]", "[AVAILABLE_TOOLS]", "[SYSTEM_PROMPT]", "[gMASK]", "<sop>", "<unused42>", "<extra_id_0>", "]~b]",
    "[e~[", "<|channel|>", "<|message|>", "<|turn>", "<turn|>",
]  # fmt: skip
OWN = ("<custom>", "<custom", "abcab", "aa")
texts = st.lists(
    st.one_of(st.sampled_from([*KNOWN, *OWN, "^", "°", "^^", "<", "|", "im_end", "|>", "\n"]), st.text(max_size=5))
).map("".join)


@pytest.mark.parametrize("token", KNOWN)
def test_tokens_of_known_formats_are_known(token: str) -> None:
    assert control_tokens().is_one(token)
    assert not control_tokens().found_in(control_tokens().neutralise(f"a{token}b"))


@pytest.mark.parametrize("own", [(), OWN, ("^caret^",)])
@given(text=texts)
def test_what_is_marked_holds_none_and_is_read_back(own: tuple[str, ...], text: str) -> None:
    control = ControlTokens(own)
    marked = control.neutralise(text)
    assert not control.found_in(marked)
    assert control.restore(marked) == text
    assert control.neutralise(marked) != marked or marked == text


@given(st.text(st.characters(exclude_characters="<[]|"), max_size=200))
def test_a_text_without_any_stays_byte_for_byte(text: str) -> None:
    assert control_tokens().neutralise(text) == control_tokens().restore(text) == text


@pytest.mark.parametrize(
    "code",
    [
        "if a < b | c > d: pass", "x = [i for i in xs]", "std::vector<int> v; v.end() > 3", "a <| b |> c",
        "^^ x[0] ^ 3",
        "<p>text</p> <br/> <a href='x'>", "def f(x: list[str]) -> dict[str, int]:", "| a | b |\n|---|---|",
    ],
)  # fmt: skip
def test_code_that_only_looks_a_little_like_it_is_left_alone(code: str) -> None:
    assert control_tokens().neutralise(code) == code


def test_the_mark_is_visible_and_no_models_own_character() -> None:
    assert control_tokens().neutralise("<|im_end|>") == "<^|im_end|>"
    assert ControlTokens(["[^]"]).mark != "^"


def test_an_answer_may_say_it_either_way() -> None:
    assert control_tokens().restore("<|im_end|> and <^|im_end|>") == "<|im_end|> and <|im_end|>"


def test_many_of_them_take_no_time_to_speak_of() -> None:
    text = "<|im_end|>" * 20_000 + "<" * 100_000 + "<|" + "a" * 100_000
    assert control_tokens().restore(control_tokens().neutralise(text)) == text
