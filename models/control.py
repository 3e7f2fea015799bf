"""Control tokens of chat formats inside ordinary texts: detection, and escaping where a server would interpret them.

A server renders a chat template around texts and reads `<|im_end|>` as the end of a turn wherever it occurs. So each
such string gets a mark after its first character before it is sent, `<^|im_end|>`, which every tokenizer treats as
plain text; the marked form in a model's output is unmarked again. A text that already has the marked form gets one
mark more, so the mapping is unambiguous: the text between the marks never changes, and the marks are counted.
"""

import re
from collections.abc import Iterable, Sequence
from functools import lru_cache

from models.chat import Message

_NAME = r"[\w.\-/+:@▁]{1,80}"
_FAMILIES = (
    rf"</?\|{_NAME}\|/?>",  # ChatML, Llama 3, Phi, Granite, Command R, Harmony, FIM of Qwen
    rf"<｜{_NAME}｜>",  # DeepSeek
    r"<\|[a-z_]{1,40}>|<[a-z_]{1,40}\|>|<\|\"\|>",  # one bar only, as in Gemma 4
    r"</?s>|<(?:bos|eos|pad|unk|mask|cls|sep|eod|sop|eop|eot)>|<(?:BOS|EOS|PAD|UNK|MASK|CLS|SEP)(?:_TOKEN)?>",
    r"\[/?INST\]|<</?SYS>>|\[[gs]?MASK\]|\[(?:CLS|SEP|PAD|UNK|BOS|EOS)\]|\[(?:@BOS@|extra_id_\d+)\]",
    r"\[/?(?:AVAILABLE_TOOLS|TOOL_CALLS|TOOL_RESULTS|TOOL_CONTENT|SYSTEM_PROMPT|MODEL_SETTINGS|THINK|ARGS|CALL_ID"
    r"|PREFIX|SUFFIX|MIDDLE|IMG|IMG_BREAK|IMG_END|AUDIO|BEGIN_AUDIO|TRANSCRIBE)\]",
    r"</?(?:start_of_turn|end_of_turn|start_of_image|end_of_image|image_soft_token)>",
    r"</?(?:think|tool_call|tool_calls|tool_response|tool_result|arg_key|arg_value|begin_of_box"
    r"|end_of_box|function_calls|seed:[\w:]+|minimax:[\w:]+)>",
    r"<(?:fim[_\-]?(?:prefix|suffix|middle|pad)|PRE|SUF|MID|EOT|END|repo_?name|file_?sep|filename|gh_stars"
    r"|issue_(?:start|comment|closed)|jupyter_\w+|empty_output|commit_(?:before|msg|after)|pr_\w+|pr"
    r"|code_to_intermediate|intermediate_to_code)>",
    r"<(?:unused|reserved_?|extra_id_|extra|special_|SPECIAL_|pad|box_|ref_|quad_|vision_|loc|seg)_?\d+>",
    r"<(?:reserved_token_|reserved_special_token_|dummy_|spare)\w{1,20}>",
    r"\]~!?b[\[\]]|\[e~\[|\|\|\|(?:IP_ADDRESS|EMAIL_ADDRESS|PHONE_NUMBER)\|\|\|",
)
_MARKS = "^°¤"


class ControlTokens:
    """The strings that may be control tokens: those of known chat formats, and a model's own where known."""

    def __init__(self, own: Iterable[str] = ()) -> None:
        self.own = tuple(sorted({each for each in own if len(each) > 1 and not each.isspace()}, key=len, reverse=True))
        self.mark = next(mark for mark in _MARKS if not any(mark in each for each in self.own))
        alternatives = "|".join((*map(re.escape, self.own), *_FAMILIES))
        self._pattern = re.compile(alternatives)
        self._every = re.compile(f"(?=(?:{alternatives}))")

    def found_in(self, text: str) -> bool:
        """Whether a text contains any of them."""
        return self._pattern.search(text) is not None

    def is_one(self, text: str) -> bool:
        """Whether a string is one of them."""
        return self._pattern.fullmatch(text) is not None

    def neutralise(self, text: str) -> str:
        """The text with one more mark in each of them; unchanged if it contains none."""
        return self._with_marks(text, 1)

    def restore(self, text: str) -> str:
        """The text with one mark fewer in each of them; the inverse of `neutralise`."""
        return self._with_marks(text, -1)

    def _with_marks(self, text: str, change: int) -> str:
        bare = text.replace(self.mark, "")
        starts = [match.start() for match in self._every.finditer(bare)]
        if not starts:
            return text
        marks = _marks_after(text, self.mark)
        for start in starts:
            marks[start + 1] = max(0, marks.get(start + 1, 0) + change)
        pieces, last = [], 0
        for place in sorted(marks):
            pieces += [bare[last:place], self.mark * marks[place]]
            last = place
        return "".join(pieces) + bare[last:]


def _marks_after(text: str, mark: str) -> dict[int, int]:
    """How many marks precede each character of the unmarked text, by its position."""
    marks: dict[int, int] = {}
    place = 0
    for piece in text.split(mark)[:-1]:
        place += len(piece)
        marks[place] = marks.get(place, 0) + 1
    return marks


def marked(messages: Sequence[Message], control: ControlTokens) -> tuple[Message, ...]:
    """Messages as they are sent: strings that a server would read as control tokens are marked."""
    return tuple(each.model_copy(update={"content": control.neutralise(each.content)}) for each in messages)


@lru_cache(maxsize=64)
def control_tokens(own: tuple[str, ...] = ()) -> ControlTokens:
    """The control tokens of known chat formats and of a tokenizer's `own`."""
    return ControlTokens(own)
