"""Text of files, byte for byte: only LF ends a line, and a CR before it is kept."""

import hashlib
import re

from models.errors import EditError

BOM = "\ufeff"
CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
"""Characters that are not to be printed: controls, line separators, marks that change the direction, surrogates."""


def decode(data: bytes, path: str) -> str:
    """Text of a file; raises EditError for a binary file (one with a NUL) and for one that is not UTF-8."""
    if b"\0" in data:
        raise EditError(f"{path} is a binary file; edits are for text")
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise EditError(f"{path} is not UTF-8 (byte {error.start}); edits are for UTF-8 text") from error


def encode(text: str, path: str) -> bytes:
    """Bytes of a file; raises EditError for text that `decode` would refuse."""
    if "\0" in text:
        raise EditError(f"{path}: the new content holds a NUL character; leave it out")
    try:
        return text.encode()
    except UnicodeEncodeError as error:
        raise EditError(
            f"{path}: the new content holds half a surrogate pair at {error.start}; leave it out"
        ) from error


def digest(text: str) -> str:
    """SHA-256 of a file's bytes."""
    return hashlib.sha256(text.encode()).hexdigest()


def lines_of(text: str) -> list[str]:
    """Lines with their ends; the last one may have none. `"".join` gives the text back."""
    lines = [line + "\n" for line in text.split("\n")]
    lines[-1] = lines[-1][:-1]
    return lines if lines[-1] else lines[:-1]


def line_end(lines: list[str]) -> str:
    """The line end of the first line that has one; LF if none has."""
    ended = next((line for line in lines if line.endswith("\n")), "\n")
    return "\r\n" if ended.endswith("\r\n") else "\n"


def with_ends(text: str, end: str) -> str:
    """The text with its bare LFs replaced by `end`."""
    return text if end == "\n" else re.sub(r"(?<!\r)\n", end, text)


def all_crlf(text: str) -> bool:
    """Whether each line of a text ends with CR LF, and no CR is anywhere else."""
    return text.endswith("\r\n") and text.count("\r") == text.count("\n") == text.count("\r\n")


def indent_of(line: str) -> str:
    """Leading blanks and tabs."""
    return line[: len(line) - len(line.lstrip(" \t"))]


def shift(text: str, old: str, new: str, what: str) -> str:
    """The text with indent `old` of every line that is not blank replaced by `new`.

    Raises EditError, with `what` in the message, for a line that is not indented by `old`.
    """
    shifted = []
    for number, line in enumerate(lines_of(text), 1):
        if not line.strip():
            shifted.append(line)
        elif line.startswith(old):
            shifted.append(new + line[len(old) :])
        else:
            raise EditError(f"line {number} of {what} is not indented by {old!r} like the rest: {line.strip()!r}")
    return "".join(shifted)
