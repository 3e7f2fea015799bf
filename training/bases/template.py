"""The chat template of a base, tried on probes: how a turn ends, where an answer begins, if it takes a system role.

A template that refuses a system message gets it at the head of the first user message instead, as the client does
where a server's template refuses one. One that drops messages, or ignores `add_generation_prompt`, is refused: the
servers would render it likewise.
"""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from models.errors import UsageError
from repos.text import CONTROL

_USER, _SYSTEM, _ANSWER = "cleanroomuser", "cleanroomsystem", "cleanroomprobe"
_THOUGHT = re.compile(r"<think>\s*(?:</think>)?\s*")
_FAULTS = (TypeError, ValueError, LookupError, AttributeError, ArithmeticError, RecursionError, NotImplementedError)
"""What a template may raise besides jinja's own errors: it is a program."""


class TemplateRefusal(Exception):
    """A template cannot render a conversation; the message is one line."""


class Turns(NamedTuple):
    """What a template does: the token that ends an answer, and whether it takes a system message."""

    end: str
    system: bool


def render(tokenizer: Any, messages: Sequence[dict[str, str]], **options: Any) -> str:
    """Messages as a tokenizer's chat template renders them. Raises TemplateRefusal."""
    from jinja2 import TemplateError

    try:
        rendered: str = tokenizer.apply_chat_template(list(messages), tokenize=False, **options)
    except (TemplateError, *_FAULTS) as error:
        said = CONTROL.sub(lambda found: ascii(found[0])[1:-1], " ".join(str(error).split()))[:200]
        said = said or type(error).__name__
        raise TemplateRefusal(said) from error
    return rendered


def try_template(folder: Path, tokenizer: Any) -> Turns:
    """Try a base's template. Raises UsageError, with the remedy, for one that cannot be used."""
    user, answer = {"role": "user", "content": _USER}, {"role": "assistant", "content": _ANSWER}
    try:
        turn = render(tokenizer, [user, answer])
        asked = render(tokenizer, [user], add_generation_prompt=True)
        plain = render(tokenizer, [user], add_generation_prompt=False)
    except TemplateRefusal as error:
        raise UsageError(
            f"{folder}: its chat template fails on a question and an answer ({error}); "
            "correct chat_template.jinja, or use another base"
        ) from error
    if _USER not in asked or _USER not in turn or _ANSWER not in turn:
        raise UsageError(
            f"{folder}: its chat template leaves out the text of messages; "
            "it must render a `content` that is text: correct chat_template.jinja, or use another base"
        )
    end = _end_of_turn(folder, tokenizer, turn)
    if asked == plain and _left_of_header(turn, asked):
        raise UsageError(
            f"{folder}: its chat template ignores add_generation_prompt, so that no prompt would end where the answer "
            "begins; let chat_template.jinja begin the assistant's turn where it is set, or use another base"
        )
    return Turns(end, _takes_system(folder, tokenizer))


def _left_of_header(turn: str, asked: str) -> str:
    """What a template writes between a question and its answer beyond what it writes after a question alone."""
    header = turn[turn.rindex(_USER) + len(_USER) : turn.rindex(_ANSWER)]
    after = asked[asked.rindex(_USER) + len(_USER) :]
    return _THOUGHT.sub("", header.strip().removeprefix(after.strip())).strip()


def _end_of_turn(folder: Path, tokenizer: Any, turn: str) -> str:
    """The token that the template puts after an assistant's answer."""
    after = turn.rpartition(_ANSWER)[2].lstrip()
    special = [token for token in tokenizer.get_added_vocab() if token and after.startswith(token)]
    if not special:
        raise UsageError(f"{folder}: its chat template ends a turn with {after[:20]!r}, which is no token of its own")
    return str(max(special, key=len))


def _takes_system(folder: Path, tokenizer: Any) -> bool:
    messages = [{"role": "system", "content": _SYSTEM}, {"role": "user", "content": _USER}]
    try:
        rendered = render(tokenizer, messages, add_generation_prompt=True)
    except TemplateRefusal:
        return False
    if _SYSTEM not in rendered or _USER not in rendered:
        raise UsageError(
            f"{folder}: its chat template drops system messages without a word; "
            "let chat_template.jinja render them or raise an exception, or use another base"
        )
    return True
