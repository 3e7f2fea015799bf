"""A base's chat format as token ids: the prompt as in serving, and the answer that the model must generate.

A prompt is rendered by the base's own chat template with the opening of the assistant's turn, exactly as a server does.
Where the template refuses a system message or two turns of one role, they are merged, as for such a server.
The answer is tokenised separately, because a served model sees that boundary, and ends with the end-of-turn token. The
template never renders the answer: Qwen3's would add an empty thinking block that serving does not send, so that
training and serving would differ.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from llm.thinking import is_tag
from models.chat import Message, alternating
from models.errors import UsageError
from training.bases.control_tokens import ControlledEncoder, without
from training.bases.template import TemplateRefusal, render, try_template

_OF_BATCHES = ("padding", "truncation")
"""Parts of a tokenizer's file that change no token."""
THINK, END_THINK = "<think>\n", "\n</think>\n\n"


@dataclass(frozen=True)
class ChatFormat:
    """end: the text of the end-of-turn token; pad: a token that differs from it. `thinking` is passed to the template
    as `enable_thinking` unless None: set it as at the endpoint that serves."""

    tokenizer: Any
    end: str
    end_id: int
    pad: str
    pad_id: int
    template_hash: str
    thinking: bool | None = None
    system: bool = True
    """Whether the template takes a system message."""

    @classmethod
    def load(cls, folder: Path, thinking: bool | None = None) -> "ChatFormat":
        """The format of the base in `folder`. Raises UsageError without a tokenizer, or a chat template that renders
        all messages, begins an answer where asked to, and ends a turn with a special token."""
        from transformers import AutoTokenizer

        try:
            tokenizer = AutoTokenizer.from_pretrained(str(folder), local_files_only=True, trust_remote_code=False)
        except (OSError, ValueError, KeyError) as error:
            raise UsageError(f"{folder}: no usable tokenizer ({str(error).splitlines()[0]})") from error
        if isinstance(tokenizer.chat_template, dict):  # several by name, of which servers take this one
            tokenizer.chat_template = tokenizer.chat_template.get("default")
        if not isinstance(tokenizer.chat_template, str):
            raise UsageError(f"{folder}: no chat template; add chat_template.jinja, or use the instruct variant")
        end, system = try_template(folder, tokenizer)
        pad = _pad(folder, tokenizer, end)
        tokenizer.eos_token, tokenizer.pad_token, tokenizer.padding_side = end, pad, "right"
        end_id, pad_id = tokenizer.convert_tokens_to_ids(end), tokenizer.convert_tokens_to_ids(pad)
        digest = hashlib.sha256(tokenizer.chat_template.encode()).hexdigest()
        return cls(tokenizer, end, end_id, pad, pad_id, digest, thinking, system)

    def prompt_text(self, messages: Sequence[dict[str, str]]) -> str:
        """The prompt as a server renders it, up to where the assistant's answer begins.

        Raises UsageError if the template refuses the conversation in any form.
        """
        options = {} if self.thinking is None else {"enable_thinking": self.thinking}
        merged = [each.model_dump() for each in alternating([Message.model_validate(each) for each in messages])]
        for form in ([list(messages)] if self.system else []) + [merged]:
            try:
                return render(self.tokenizer, form, add_generation_prompt=True, **options)
            except TemplateRefusal as error:
                refusal = error
        raise UsageError(
            f"{self.tokenizer.name_or_path}: its chat template refuses a conversation ({refusal}); use another base"
        ) from refusal

    def prompt_ids(self, messages: Sequence[dict[str, str]]) -> list[int]:
        """Token ids of the prompt: the template's control tokens are tokens, those in the messages' texts are text."""
        return self.encoder.ids(self.prompt_text(without(messages, self.encoder)))

    def tokenises_as(self, other: "ChatFormat") -> bool:
        """Whether another base's format makes the same token ids of the same messages and texts."""
        made = [json.loads(each.tokenizer.backend_tokenizer.to_str()) for each in (self, other)]
        one, two = ({name: part for name, part in each.items() if name not in _OF_BATCHES} for each in made)
        return (one, self.template_hash, self.end) == (two, other.template_hash, other.end)

    @cached_property
    def encoder(self) -> ControlledEncoder:
        """The encoder that distinguishes the template's control tokens from those in a text."""
        return ControlledEncoder(self.tokenizer, (self.end, self.pad))

    @cached_property
    def default_thinking(self) -> bool | None:
        """What the template does where it is told nothing: think, or not; None if it has no such switch."""
        asked = [{"role": "user", "content": "?"}]
        untold, on, off = (replace(self, thinking=value).prompt_text(asked) for value in (None, True, False))
        return None if on == off else untold == on

    @property
    def thinks(self) -> bool:
        """Whether answers may begin with a thinking trace, which then needs tokens of its own."""
        return bool(self.default_thinking) if self.thinking is None else self.thinking

    def opens_thinking(self, messages: Sequence[dict[str, str]]) -> bool:
        """Whether the prompt ends inside a thinking block, so that the model's text begins there."""
        return self.prompt_text(without(messages, self.encoder)).endswith(THINK)

    def text(self, ids: Sequence[int]) -> str:
        """The text of generated tokens, without special tokens other than the tags of a thinking trace."""
        special = {
            number
            for number in self.tokenizer.all_special_ids
            if not is_tag(self.tokenizer.convert_ids_to_tokens(number))
        }
        kept = [number for number in ids if number not in special]
        text: str = self.tokenizer.decode(kept, skip_special_tokens=False, clean_up_tokenization_spaces=False)
        return text

    def answer_ids(self, messages: Sequence[dict[str, str]], answer: str) -> list[int]:
        """Token ids of the model's answer to that prompt, the end of the turn included.

        If the prompt has opened a thinking block, the answer continues inside it. Raises ValueError if the answer has
        a thinking trace but the prompt has closed its thinking block.
        """
        prompt = self.prompt_text(without(messages, self.encoder))
        if prompt.endswith(THINK):
            answer = answer.removeprefix(THINK) if answer.startswith(THINK) else END_THINK.removeprefix("\n") + answer
        elif prompt.endswith(END_THINK) and answer.startswith(THINK):
            raise ValueError("its answer has a thinking trace, but thinking is off; set training.thinking")
        return [*self.encoder.ids(self._own(answer, opened=prompt.endswith(THINK))), self.end_id]

    def answer_offsets(self, ids: Sequence[int], answer: str) -> list[tuple[int, int]] | None:
        """The characters (from, to) of `answer` that each of its `ids`, by `answer_ids`, stands for.

        Tokens that are not of the text, such as the end of the turn, stand for none: (0, 0) before it, (n, n) after it.
        None if the text is tokenised otherwise as part of the answer, for instance where it holds a control token.
        """
        plain = self.tokenizer(answer, add_special_tokens=False, return_offsets_mapping=True)
        count = len(plain["input_ids"])
        before = len(ids) - 1 - count
        if before < 0 or list(ids[before:-1]) != plain["input_ids"]:
            return None
        offsets = [(int(start), int(end)) for start, end in plain["offset_mapping"]]
        return [(0, 0)] * before + offsets + [(len(answer), len(answer))]

    def _own(self, answer: str, *, opened: bool) -> str:
        """An answer in which only the tags around its thinking trace are control tokens."""
        thinks = opened or answer.startswith(THINK)
        trace, tag, rest = answer.partition("</think>") if thinks else ("", "", answer)
        begun = "<think>" if trace.startswith("<think>") else ""
        aside = self.encoder.set_aside
        return begun + aside(trace.removeprefix("<think>")) + tag + aside(rest)

    def _ids(self, text: str) -> list[int]:
        ids: list[int] = self.tokenizer(text, add_special_tokens=False)["input_ids"]
        return ids


def _pad(folder: Path, tokenizer: Any, end: str) -> str:
    """A padding token that never ends a turn: the tokenizer's own, or another that no text contains."""
    known = tokenizer.get_added_vocab()
    wanted = (tokenizer.pad_token, "<|endoftext|>", tokenizer.unk_token, tokenizer.bos_token)
    for token in (*wanted, *sorted(known, key=known.__getitem__)):
        if token is not None and token != end and token in known:
            return str(token)
    raise UsageError(f"{folder}: no padding token except {end}, which ends a turn; add one to the tokenizer")
