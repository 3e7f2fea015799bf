"""A step of decoding that adds a class bias to the logits of the tokens that begin classes, where one is decided on.

A server that holds answers to a JSON schema allows these tokens there alone. Without a schema they might occur
anywhere, so the place is told by the text before it: a number in quotes, a colon, and the quote that opens a class,
unless the token has that quote itself.
"""

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

_BEFORE_CLASS = re.compile(r'"\d+"\s*:\s*("?)$')
_LAST = 16
"""Tokens that are read back: more than a number and the signs around it have."""


def add_class_bias(
    by_token: Mapping[int, float], rows: Collection[int], prompt: int, text: Callable[[Sequence[int]], str]
) -> Callable[[Any, Any], Any]:
    """A logits processor for transformers' `generate`, on these `rows` of a batch whose prompts have `prompt` tokens.

    `text` gives the text of generated tokens.
    """
    after_quote = [token for token in by_token if '"' not in text([token])]
    due = {'"': after_quote, "": [token for token in by_token if token not in after_quote]}

    def process(ids: Any, scores: Any) -> Any:
        scores = scores.clone()
        for row in rows:
            found = _BEFORE_CLASS.search(text(ids[row, prompt:][-_LAST:].tolist()))
            for token in due[found[1]] if found else ():
                scores[row, token] += by_token[token]
        return scores

    return process
