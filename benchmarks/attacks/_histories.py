"""Small git histories whose commits carry the dates they are given."""

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

from models.manifest import Change, Commit
from repos.git import Git


class History:
    """A repository that grows commit by commit, each at a moment of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True)
        self.run("init", "--quiet", "--initial-branch=main")

    @property
    def git(self) -> Git:
        """The repository."""
        return Git(self.folder / ".git")

    def run(self, *args: str, at: str | None = None) -> str:
        """`git args`; what it makes is dated `at` (a moment that git reads)."""
        identity = ("-c", "user.name=A", "-c", "user.email=a@example.org", "-c", "commit.gpgsign=false")
        dates = {"GIT_AUTHOR_DATE": at, "GIT_COMMITTER_DATE": at} if at else {}
        done = subprocess.run(
            ["git", *identity, *args], cwd=self.folder, capture_output=True, check=True, env={**os.environ, **dates}
        )
        return done.stdout.decode().strip()

    def commit(self, files: Mapping[str, str | None], day: str) -> str:
        """Write (or, for None, remove) files and commit them at ten o'clock (UTC) of a day; the commit's id."""
        for path, text in files.items():
            target = self.folder / path
            if text is None:
                target.unlink()
                continue
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(text, encoding="utf-8")
        self.run("add", "--all")
        at = day if day.startswith("@") else f"{day}T10:00:00+0000"
        self.run("commit", "--quiet", "--allow-empty", "--message", "A change", at=at)
        return self.run("rev-parse", "HEAD")

    def mined(self, sha: str, path: str = "lib/__init__.py") -> Commit:
        """A commit as the miner gives it, with one changed production file."""
        parent, moment = self.run("rev-parse", f"{sha}^"), int(self.run("show", "-s", "--format=%ct", sha))
        change = Change(path=path, old_path=path, added=1, deleted=1, kind="production")
        return Commit(
            sha=sha, parent=parent, subject="A change", message="A change", author_date="2024-01-01T10:00:00+00:00",
            committed=moment, changes=(change,), planning_types=(),
        )  # fmt: skip
