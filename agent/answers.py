"""Answers parsed as JSON: prose around the one object is tolerated, a wrong shape is not."""

import json
import re
from typing import Any, TypeVar

from pydantic import ValidationError

from models.errors import PlanError
from models.plans import Frozen

_FENCED = re.compile(r"^(`{3,})(?:json)?[ \t\r]*\n(.*?)^\1[ \t\r]*$", re.MULTILINE | re.DOTALL)
_MOST_BRACES = 200
"""Braces in prose that open no JSON object, after which parsing gives up: each may cost a scan to the end."""
M = TypeVar("M", bound=Frozen)


def read_answer(kind: type[M], text: str, required: str) -> M:
    """The answer as `kind`; the field `required` must be present, even where it has a default: `{}` is no plan.

    Raises PlanError, one line, for bad JSON and a wrong shape.
    """
    return as_answer(kind, read_object(text, kind.__name__), required)


def as_answer(kind: type[M], value: dict[str, Any], required: str) -> M:
    """`read_answer`, of an object that is parsed already."""
    if required not in value:
        raise PlanError(f"not a {kind.__name__}: {required}: Field required, though it may be empty")
    try:
        return kind.model_validate(value)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"]) or "the answer"
        message = first["msg"].removeprefix("Value error, ")
        more = f" (and {error.error_count() - 1} more)" if error.error_count() > 1 else ""
        raise PlanError(_one_line(f"not a {kind.__name__}: {place}: {message}{more}")) from error


def read_object(text: str, what: str) -> dict[str, Any]:
    """The one JSON object of an answer: the whole text, the one in a fence, or the one in the prose.

    Raises PlanError, which names `what` was expected, for none, several, bad JSON and a key that appears twice.
    """
    stripped = text.strip()
    if stripped.startswith("{") and stripped.endswith("}"):
        candidates = [stripped]
    else:
        fenced = [match[2].strip() for match in _FENCED.finditer(text)]
        candidates = [block for block in fenced if block.startswith("{")] or _objects_in(text)
    if len(candidates) != 1:
        raise PlanError(f"expected one JSON object ({what}) in the answer, found {len(candidates)}")
    try:
        value = json.loads(candidates[0], object_pairs_hook=_no_duplicates, parse_constant=_no_constant)
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError as error:
        raise PlanError("the answer holds half a surrogate pair; write the character itself") from error
    except (ValueError, RecursionError) as error:
        raise PlanError(_one_line(f"the answer is not valid JSON: {error}")) from error
    if not isinstance(value, dict):
        raise PlanError(f"expected a JSON object ({what}), found {type(value).__name__}")
    return value


def _objects_in(text: str) -> list[str]:
    """Texts of the outermost JSON objects in prose."""
    decoder, found, position = json.JSONDecoder(), [], text.find("{")
    failures = 0
    while position >= 0 and failures < _MOST_BRACES:
        try:
            _, end = decoder.raw_decode(text, position)
            found.append(text[position:end])
        except (ValueError, RecursionError):
            end = position + 1
            failures += 1
        position = text.find("{", end)
    return found


def _no_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) < len(pairs):
        keys = [key for key, _ in pairs]
        raise ValueError(f"key {next(key for key in keys if keys.count(key) > 1)!r} appears twice in one object")
    return value


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def _one_line(message: str) -> str:
    return " ".join(message.split())[:500]
