"""Real histories in bare repositories, written by one `git fast-import`: paths and messages may be anything."""

import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from repos.git import Git


@dataclass
class Entry:
    """A commit to write. `files` maps a path to its content, to None (deleted), or to (mode, content)."""

    message: str | bytes
    files: dict[str | bytes, str | bytes | tuple[str, str] | None] = field(default_factory=dict)
    author: str = "Ann Author"
    email: str = "ann@example.com"
    renames: dict[str, str] = field(default_factory=dict)
    merges: int | None = None  # the entry (by number, from 0) that becomes the second parent
    orphan: bool = False


def entry(message: str, *files: Mapping[str, str]) -> Entry:
    """An entry with text files; of a path that is given twice the last text."""
    return Entry(message, {path: text for each in files for path, text in each.items()})


def write_history(directory: Path, entries: list[Entry]) -> Git:
    """A bare repository whose main branch holds the entries, oldest first, one minute apart."""
    subprocess.run(["git", "init", "--quiet", "--bare", "-b", "main", str(directory)], check=True)
    stream = b"".join(_commit(number, entry) for number, entry in enumerate(entries))
    subprocess.run(["git", "--git-dir", str(directory), "fast-import", "--quiet", "--force"], input=stream, check=True)
    return Git(directory)


def _commit(number: int, entry: Entry) -> bytes:
    person = f"{entry.author} <{entry.email}> {1_700_000_000 + 60 * number} +0100\n"
    lines = [f"commit refs/heads/main\nmark :{number + 1}\nauthor {person}committer {person}".encode()]
    lines.append(_data(entry.message))
    if number and not entry.orphan:
        lines.append(f"from :{number}\n".encode())
    if entry.merges is not None:
        lines.append(f"merge :{entry.merges + 1}\n".encode())
    lines += [b"R %s %s\n" % (_quoted(old), _quoted(new)) for old, new in entry.renames.items()]
    for path, content in entry.files.items():
        if content is None:
            lines.append(b"D %s\n" % _quoted(path))
            continue
        mode, text = content if isinstance(content, tuple) else ("100644", content)
        if mode == "160000":
            lines.append(b"M 160000 %s %s\n" % (str(text).encode(), _quoted(path)))
        else:
            lines.append(b"M %s inline %s\n" % (mode.encode(), _quoted(path)) + _data(text))
    return b"".join(lines) + b"\n"


def _data(content: str | bytes) -> bytes:
    raw = content.encode() if isinstance(content, str) else content
    return b"data %d\n%s\n" % (len(raw), raw)


def _quoted(path: str | bytes) -> bytes:
    raw = path.encode() if isinstance(path, str) else path
    return b'"' + b"".join(b"\\%03o" % byte for byte in raw) + b'"'
