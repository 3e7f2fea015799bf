"""Histories with objects that git would not make: written byte by byte, unchecked."""

import subprocess
from pathlib import Path

from repos.git import Git

PERSON = b"Ann Author <ann@example.com> 1700000000 +0100"


class OddHistory:
    """A bare repository whose main branch grows by raw objects."""

    def __init__(self, directory: Path, algorithm: str = "sha1") -> None:
        init = ["git", "init", "--quiet", "--bare", "-b", "main", f"--object-format={algorithm}", str(directory)]
        subprocess.run(init, check=True)
        self.git = Git(directory)
        self.head: str | None = None
        self._files: dict[str, str] = {}

    def write(self, kind: str, raw: bytes) -> str:
        """Store an object without any check; its id."""
        command = [
            "git",
            "--git-dir",
            str(self.git.directory),
            "hash-object",
            "-w",
            "--literally",
            "-t",
            kind,
            "--stdin",
        ]
        return subprocess.run(command, input=raw, check=True, capture_output=True).stdout.decode().strip()

    def tree(self, entries: list[tuple[str, bytes, str]]) -> str:
        """A folder of (mode, name, object id) in the given order; its id."""
        return self.write("tree", b"".join(b"%s %s\0" % (m.encode(), n) + bytes.fromhex(i) for m, n, i in entries))

    def files(self, **contents: str) -> str:
        """The flat tree of all files so far, changed by these (`a` is written as a.py, `test_a` as test_a.py)."""
        self._files |= {f"{name}.py": self.write("blob", text.encode()) for name, text in contents.items()}
        return self.tree([("100644", name.encode(), blob) for name, blob in sorted(self._files.items())])

    def commit(
        self,
        message: bytes,
        tree: str,
        *,
        author: bytes = b"author " + PERSON,
        committer: bytes = b"committer " + PERSON,
        more: bytes = b"",
        parents: list[str] | None = None,
    ) -> str:
        """A commit on top of the last one, with these lines as its header; its id."""
        above = parents if parents is not None else ([self.head] if self.head else [])
        head = [b"tree " + tree.encode(), *(b"parent " + parent.encode() for parent in above), author, committer]
        raw = b"\n".join(line for line in head if line) + b"\n" + more + b"\n" + message
        self.head = self.write("commit", raw)
        (self.git.directory / "refs" / "heads" / "main").write_text(f"{self.head}\n", encoding="ascii")
        return self.head
