"""Token ids of a rendered conversation in which only the template's own control tokens count as such.

Control tokens within messages are replaced by placeholders while the template is rendered, and restored as plain text:
that is tokenised without the tokenizer's added tokens. A conversation without such texts gets the same ids as from a
server.
"""

import json
import re
from collections.abc import Collection, Sequence
from functools import cached_property
from typing import Any

from models.control import control_tokens
from models.errors import TrainingError

_ASIDE = "\U0010fffd"
"""First character of a placeholder; where a text contains it, it is replaced as well."""
_SET_ASIDE = re.compile(f"{_ASIDE}(-|[0-9]+);")


class ControlledEncoder:
    """A tokenizer that encodes only the template's control tokens as control tokens."""

    def __init__(self, tokenizer: Any, own: Sequence[str] = ()) -> None:
        """`own` are control tokens of the chat format, whatever the tokenizer declares them to be."""
        self.tokenizer = tokenizer
        self.known: dict[str, int] = _control_tokens(tokenizer, own)
        self._names = sorted(self.known, key=len, reverse=True)
        self._any = re.compile("|".join(map(re.escape, (*self._names, _ASIDE))))

    def set_aside(self, text: str) -> str:
        """A text for a template, with its control tokens replaced by placeholders."""
        return self._any.sub(lambda match: f"{_ASIDE}{self._number(match[0])};", text)

    def ids(self, rendered: str) -> list[int]:
        """Ids of a rendered text: control tokens are encoded as such, placeholders as text. No token is added.

        Raises TrainingError if the tokenizer makes a control token of plain text.
        """
        meant = [self.known[name] for name in self._any.findall(rendered) if self.known.get(name) in self._numbers]
        ids = self._read(rendered) if _ASIDE not in rendered else self._assembled(rendered)
        if [each for each in ids if each in self._numbers] == meant:
            return ids
        ids = self._assembled(rendered)
        if [each for each in ids if each in self._numbers] != meant:
            raise TrainingError(
                f"the tokenizer reads a control token in plain text: {rendered[:80]!r}; use another base"
            )
        return ids

    def _assembled(self, rendered: str) -> list[int]:
        """Control tokens one by one, and the text between them as plain text."""
        ids: list[int] = []
        last = 0
        for match in self._any.finditer(rendered):
            if match[0] == _ASIDE:
                continue
            ids += [*self._text(rendered[last : match.start()]), self.known[match[0]]]
            last = match.end()
        return ids + self._text(rendered[last:])

    def _text(self, part: str) -> list[int]:
        plain = _SET_ASIDE.sub(lambda match: _ASIDE if match[1] == "-" else self._names[int(match[1])], part)
        return list(self._plain.encode(plain, add_special_tokens=False).ids) if plain else []

    def _read(self, text: str) -> list[int]:
        ids: list[int] = self.tokenizer(text, add_special_tokens=False)["input_ids"]
        return ids

    def _number(self, name: str) -> str:
        return "-" if name == _ASIDE else str(self._names.index(name))

    @cached_property
    def _numbers(self) -> frozenset[int]:
        """Ids of the control tokens, but for the one for text that the vocabulary lacks."""
        return frozenset(self.known.values()) - {self.tokenizer.unk_token_id}

    @cached_property
    def _plain(self) -> Any:
        """The same tokenizer without its control tokens; other added tokens, such as runs of white space, stay."""
        from tokenizers import Tokenizer

        made = json.loads(self.tokenizer.backend_tokenizer.to_str())
        made["added_tokens"] = [each for each in made["added_tokens"] if each["content"] not in self.known]
        _rename(made["model"], self.known)
        _continue_text(made.get("pre_tokenizer"))
        made["post_processor"] = made["truncation"] = made["padding"] = None
        return Tokenizer.from_str(json.dumps(made))


def _rename(model: dict[str, Any], known: Collection[str]) -> None:
    """Give control tokens in a model's vocabulary names that no text contains: Unigram and WordPiece find whole tokens,
    and so does BPE that ignores its merges."""
    names = {name: f"\U0010fffe{number}\U0010fffe" for number, name in enumerate(sorted(known))}
    vocabulary = model.get("vocab")
    if isinstance(vocabulary, dict):
        model["vocab"] = {names.get(token, token): number for token, number in vocabulary.items()}
        if model.get("unk_token") in names:
            model["unk_token"] = names[model["unk_token"]]
    elif isinstance(vocabulary, list):
        model["vocab"] = [[names.get(token, token), score] for token, score in vocabulary]


def _continue_text(pre_tokenizer: dict[str, Any] | None) -> None:
    """Keep a tokenizer that prefixes a conversation with a space from prefixing each part."""
    for each in [pre_tokenizer or {}, *(pre_tokenizer or {}).get("pretokenizers", [])]:
        if each.get("prepend_scheme") == "first":
            each["prepend_scheme"] = "never"


def _control_tokens(tokenizer: Any, own: Sequence[str]) -> dict[str, int]:
    """The added tokens that are declared special, are the chat format's `own`, or have the form of one, with their
    ids."""
    formats = control_tokens()
    added = tokenizer.added_tokens_decoder.items()
    return {
        token.content: number
        for number, token in added
        if token.content.strip() and (token.special or token.content in own or formats.is_one(token.content))
    }


def without(messages: Sequence[dict[str, str]], encoder: ControlledEncoder) -> list[dict[str, str]]:
    """Messages for rendering, with the control tokens in their texts replaced by placeholders."""
    return [{**message, "content": encoder.set_aside(message["content"])} for message in messages]
