"""Small variations of the literals of a test, like those its author might have written."""

import ast
import math
from collections.abc import Iterator
from types import EllipsisType

Value = str | bytes | bool | int | float | complex | EllipsisType | None


def variants(value: Value) -> list[Value]:
    """Other values of the same kind and similar form, in a fixed order; none for kinds that are not varied."""
    found: list[Value] = []
    for other in _variants(value):
        if other != value and other not in found:
            found.append(other)
    return found


def _variants(value: Value) -> list[Value]:
    if isinstance(value, bool) or value is None or value is Ellipsis:
        return [not value] if isinstance(value, bool) else []
    if isinstance(value, int):
        return [value + 1, value * 2 + 3] if value else [1, 7]
    if isinstance(value, float):
        return [each for each in (value + 0.5, value * 1.5 or 0.5) if math.isfinite(each)]
    if isinstance(value, str):
        return list(_texts(value))
    if isinstance(value, bytes) and value.isascii():
        return [text.encode("ascii", "replace") for text in _texts(value.decode("ascii"))]
    return []


def _texts(text: str) -> Iterator[str]:
    """The same text with another digit, another letter, and one more letter."""
    yield _with_next(text, str.isdecimal)
    yield _with_next(text, str.isalpha)
    yield _longer(text)


def _with_next(text: str, wanted: object) -> str:
    """The text with the last of the wanted ASCII characters replaced by its successor."""
    for position in range(len(text) - 1, -1, -1):
        character = text[position]
        if character.isascii() and (character.isdecimal() if wanted is str.isdecimal else character.isalpha()):
            return text[:position] + _next(character) + text[position + 1 :]
    return text


def _next(character: str) -> str:
    if character in "9zZ":
        return {"9": "1", "z": "a", "Z": "A"}[character]
    return chr(ord(character) + 1)


def _longer(text: str) -> str:
    """The text with its last letter doubled."""
    for position in range(len(text) - 1, -1, -1):
        if text[position].isascii() and text[position].isalnum():
            return text[: position + 1] + text[position:]
    return text


def is_literal(node: ast.AST) -> bool:
    """Whether an expression consists of constants only."""
    if isinstance(node, ast.Constant):
        return True
    if isinstance(node, ast.UnaryOp):
        return is_literal(node.operand)
    if isinstance(node, ast.Tuple | ast.List | ast.Set):
        return all(map(is_literal, node.elts))
    if isinstance(node, ast.Dict):
        return all(key is not None and is_literal(key) for key in node.keys) and all(map(is_literal, node.values))
    return False
