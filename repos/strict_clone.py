"""A clone of an untrusted clone in which git has checked each object and each name (as `git fsck --strict` does)."""

import re
from collections.abc import Iterator
from pathlib import Path

from host.process import CommandFailed, run
from models.errors import RepositoryError
from repos.git import SAFE_ENVIRONMENT, Git
from repos.git_folders import small_text

_HARMLESS = (
    "zeroPaddedFilemode", "badTimezone", "badDate", "badDateOverflow", "zeroPaddedDate", "missingSpaceBeforeDate",
    "missingSpaceBeforeEmail", "missingEmail", "missingNameBeforeEmail", "badEmail", "badName", "multipleAuthors",
    "missingTaggerEntry", "badFilemode", "extraHeaderEntry", "missingAuthor", "nulInCommit",
)  # fmt: skip
"""Faults of old histories that mislead no reader: dates, e-mail addresses and modes in odd forms."""
_OPTIONS = (
    "-c", "fetch.fsckObjects=true",
    "-c", "fetch.unpackLimit=1",
    "-c", "core.bigFileThreshold=16m",
    "-c", "gc.auto=0",
    "-c", "maintenance.auto=false",
    *(word for name in _HARMLESS for word in ("-c", f"fetch.fsck.{name}=ignore")),
)  # fmt: skip
_LONGEST = 3600.0
"""Time limit in seconds."""
_MEMORY = "1g"
"""Most bytes that git may allocate at once."""


def strict_clone(source: Path, destination: Path) -> Git:
    """A bare clone of the branches and tags of a bare clone that others made, with files of our git's making only.

    `source` must have passed `foreign_part`. Raises RepositoryError with git's reason if an object is damaged or is
    refused by fsck: paths such as `.git` in any spelling, entries in no order or twice, submodules with commands.
    """
    head = small_text(source / "HEAD").strip()
    branch = re.fullmatch(r"ref: refs/heads/(.+)", head)
    first = [f"--initial-branch={branch[1]}"] if branch else []
    environment = {**SAFE_ENVIRONMENT, "GIT_ALLOC_LIMIT": _MEMORY}
    try:
        run(["git", "init", "--quiet", "--bare", "--template=", *first, "--", str(destination)], env=environment)
        run(
            [
                "git", *_OPTIONS, "-c", "safe.directory=*", "-c", "core.hooksPath=/dev/null",
                "-c", "core.commitGraph=false", "-c", "core.multiPackIndex=false", "-c", "pack.useBitmaps=false",
                "--git-dir", str(destination), "fetch", "--quiet", "--no-tags", "--no-recurse-submodules",
                "--no-write-fetch-head", "--", str(source.resolve()),
                "+refs/heads/*:refs/heads/*", "+refs/tags/*:refs/tags/*",
            ],
            env=environment,
            timeout=_LONGEST,
        )  # fmt: skip
        git = Git(destination)
        if branch is None:
            git.output("update-ref", "--no-deref", "HEAD", head)
        git.output("pack-refs", "--all")
    except CommandFailed as error:
        raise RepositoryError(f"git refuses the history: {_reason(error.stderr)}; prepare the package again") from error
    return git


def _reason(stderr: str) -> str:
    """The first line in which git names a fault, in printable form."""
    lines = [line for line in stderr.splitlines() if re.match(r"(remote: )?(error|fatal):", line)]
    named = next((line for line in lines if "object" in line or "fsck" in line), lines[0] if lines else "no message")
    return re.sub(r"[^ -~]", "?", named.removeprefix("remote: "))[:200]


def module_files(git: Git) -> Iterator[tuple[str, str]]:
    """Each version of `.gitmodules` in a history: (blob id, text)."""
    raw = git.output("log", "--all", "-m", "--raw", "--no-abbrev", "--no-renames", "--format=", "--", ".gitmodules")
    blobs = {line.split()[3] for line in raw.decode(errors="replace").splitlines() if line.startswith(":")}
    wanted = sorted(blob for blob in blobs if set(blob) != {"0"})
    for blob, content in git.blobs(wanted).items():
        yield blob, content.decode(errors="replace")
