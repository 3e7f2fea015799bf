"""Real repositories for tests of the index, and all that an index tells as one value."""

import json
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from repos.git import Git
from repos.index import IndexCache, RepositoryIndex, build_index
from repos.sources import GitSource

Content = str | bytes | tuple[str, str] | None
"""Text, bytes, (mode, text) for links and submodules, None for a file that is deleted."""


def repository(directory: Path, *commits: Mapping[str, Content], messages: tuple[str, ...] = ()) -> Git:
    """A bare repository with these changes, a commit a minute."""
    subprocess.run(["git", "init", "--quiet", "--bare", "-b", "main", str(directory)], check=True)
    stream = b"".join(
        _commit(number, files, messages[number] if number < len(messages) else f"Change {number}")
        for number, files in enumerate(commits)
    )
    subprocess.run(["git", "--git-dir", str(directory), "fast-import", "--quiet"], input=stream, check=True)
    return Git(directory)


def indexed(directory: Path, files: Mapping[str, Content], cache: IndexCache | None = None) -> RepositoryIndex:
    """The index of a repository with one commit."""
    return build_index(GitSource(repository(directory / "repo.git", files), "HEAD"), cache)


def told(index: RepositoryIndex) -> str:
    """Everything an index tells, as JSON."""
    files: dict[str, Any] = {}
    for path in index.paths():
        file = index.file(path)
        files[path] = {
            "blob": file.blob, "language": file.language, "kind": file.kind, "doc": file.doc,
            "lines": file.lines, "generated": file.generated, "symbols": file.symbols, "statements": file.statements,
            "identifiers": file.identifiers, "subtokens": file.subtokens, "words": file.words, "uses": file.uses,
            "edges": index.import_edges(path), "importers": index.importers(path), "tests": index.tests_of(path),
            "exercised": index.exercised_by(path), "changed_with": index.history.changed_with(path),
            "references": [index.references(path, symbol.name) for symbol in file.symbols],
            "dependencies": [index.dependencies(path, symbol.name) for symbol in file.symbols],
        }  # fmt: skip
    value = {"files": files, "commits": index.commits, "overview": index.overview(2000)}
    return json.dumps(value, ensure_ascii=True)


def _commit(number: int, files: Mapping[str, Content], message: str) -> bytes:
    person = f"Ann <ann@example.com> {1_700_000_000 + 60 * number} +0000"
    head = f"commit refs/heads/main\nmark :{number + 1}\nauthor {person}\ncommitter {person}\n"
    parts = [head.encode(), _data(message), f"from :{number}\n".encode() if number else b""]
    for path, content in files.items():
        quoted = b'"' + b"".join(b"\\%03o" % byte for byte in path.encode("utf-8", "surrogateescape")) + b'"'
        mode, data = content if isinstance(content, tuple) else ("100644", content)
        if data is None:
            parts.append(b"D %s\n" % quoted)
        elif mode == "160000":
            parts.append(b"M 160000 %s %s\n" % (str(data).encode(), quoted))
        else:
            parts.append(b"M %s inline %s\n" % (mode.encode(), quoted) + _data(data))
    return b"".join(parts) + b"\n"


def _data(content: str | bytes) -> bytes:
    raw = content.encode() if isinstance(content, str) else content
    return b"data %d\n%s\n" % (len(raw), raw)
