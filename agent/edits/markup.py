"""The text in which a coder writes edits. Every edit starts with a header line:

    ### edit src/a.py                       ### create src/b.py   (then: executable)
    <<<<<<< SEARCH                          ```python
    old lines                               content
    =======                                 ```
    new lines                               ### delete src/c.py
    >>>>>>> REPLACE                         ### rename src/d.py -> src/e.py

    ### replace src/a.py :: Class.method    ### insert-after src/a.py :: Class   (also insert-before)
    ```python                               ### delete src/a.py :: Class.method
    def method(self): ...
    ```

The length of an opening marker or fence decides which line closes it, so content that holds such lines is
written with longer ones; `~~~` is a fence as well. Content ends with a newline unless its last line is
`\\ No newline at end of file`; a last line that reads so itself gets one more backslash. Names with spaces are JSON
strings. Lines end with LF alone: a CR before it belongs to the content, except in a block whose opening line ends
with CR LF, for that answer is written with such line ends. An answer that changes nothing is the line `### no change`.
Text outside the blocks is reasoning; a fence line of the same length after a fenced content, as is left over
where the content holds one, is an error.
"""

import json
import re

NO_NEWLINE = "\\ No newline at end of file"
HEADER = re.compile(r"### +(edit|create|replace|insert-after|insert-before|delete|rename) +(\S.*?)[ \t\r]*$")
NO_CHANGE = "### no change"
FENCE = re.compile(r"(`{3,}(?=[^`]*$)|~{3,})(.*)$")
SEARCH = re.compile(r"(<{7,}) SEARCH[ \t\r]*$")

_ESCAPED = re.compile(r"\\+ No newline at end of file\Z")
_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|[^\s"]\S*')
_PLAIN = re.compile(r"[!#-_a-~][!-_a-~]*\Z")  # printable ASCII with no backtick, no double quote in front


def divider(length: int) -> re.Pattern[str]:
    """The line between search and replacement in a block whose marker has `length` characters."""
    return re.compile(rf"={{{length}}}[ \t\r]*$")


def closing(length: int) -> re.Pattern[str]:
    """The line that ends such a block."""
    return re.compile(rf">{{{length}}} REPLACE[ \t\r]*$")


def fence_end(length: int, mark: str = "`") -> re.Pattern[str]:
    """The line that ends a fence of `length` backticks, or of another mark."""
    return re.compile(rf"{mark}{{{length}}}[ \t\r]*$")


def fence_start(length: int, mark: str = "`") -> re.Pattern[str]:
    """A line that looks like another fence of that length: most likely the outer one is too short."""
    return re.compile(rf"{mark}{{{length}}}[^{mark}\s]")


def block_start(length: int) -> re.Pattern[str]:
    """The line that starts a block whose marker has `length` characters."""
    return re.compile(rf"<{{{length}}} SEARCH[ \t\r]*$")


def encode(text: str) -> list[str]:
    """Content as lines, without the newline that ends each; the inverse of `decode`."""
    lines = text.split("\n")
    if lines[-1]:
        return [*lines, NO_NEWLINE]
    lines.pop()
    if lines and _ESCAPED.match(lines[-1]):
        lines[-1] = "\\" + lines[-1]
    return lines


def decode(lines: list[str]) -> str:
    """The text encoded by `lines`."""
    if lines and lines[-1] == NO_NEWLINE:
        return "\n".join(lines[:-1])
    if lines and _ESCAPED.match(lines[-1]):
        lines = [*lines[:-1], lines[-1][1:]]
    return "".join(line + "\n" for line in lines)


def quote(name: str) -> str:
    """A path or symbol as one token of a header."""
    return name if _PLAIN.match(name) and name not in ("::", "->", "executable") else json.dumps(name)


def tokens(text: str) -> list[str]:
    """The tokens of a header after its verb. Raises ValueError for a quoted one that is not a JSON string."""
    found, position = [], 0
    while position < len(text):
        match = _TOKEN.match(text, position)
        if match is None:
            raise ValueError(f"cannot read {text[position:]!r}")
        token = match[0]
        found.append(json.loads(token) if token.startswith('"') else token.strip("`"))
        position = match.end()
        while position < len(text) and text[position] in " \t":
            position += 1
    return found
