"""Reading untrusted repositories.

git runs programs that a `.git/config` names, so it never runs inside a repository that others wrote. A repository is
first cloned (`--no-local --bare`, which leaves configuration and hooks behind); everything here works on such
clones.
"""

import errno
import os
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

from host.process import CommandFailed, run, start
from models.errors import DiskFull, InfrastructureError, RepositoryError
from repos.git_folders import odd_entries, refuse_leading_elsewhere, small_text
from repos.transports import ALLOWED, local_path, refuse_remote
from repos.transports import refuse_credentials as refuse_credentials
from repos.trees import inside, make_links

SAFE_ENVIRONMENT = {
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_GLOBAL": "/dev/null",
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_OPTIONAL_LOCKS": "0",
    "GIT_NO_REPLACE_OBJECTS": "1",
    "GIT_NO_LAZY_FETCH": "1",
    "GIT_ALLOW_PROTOCOL": "file",  # only a clone of a URL opens more
    "GIT_PROTOCOL_FROM_USER": "0",
    "LC_ALL": "C",
}
_OPTIONS = (
    "-c", "core.hooksPath=/dev/null",
    "-c", "core.fsmonitor=false",
    "-c", "core.quotePath=false",
    "-c", "safe.directory=*",
    "-c", "diff.renames=true",
    "-c", "log.showSignature=false",
    "-c", "core.commitGraph=false",  # a cache of the history, which git trusts
    "-c", "core.multiPackIndex=false",
    "-c", "pack.useBitmaps=false",
)  # fmt: skip
_TRANSPORTS = (
    "-c", "protocol.allow=never",
    *(word for name in ALLOWED for word in ("-c", f"protocol.{name}.allow=always")),
    "-c", "http.followRedirects=initial",
    "-c", "submodule.recurse=false",
    "-c", "transfer.bundleURI=false",
)  # fmt: skip
_LONGEST_CLONE = 1800.0
"""Time limit of a clone in seconds."""


@dataclass(frozen=True)
class TreeEntry:
    """A file of a commit's tree: mode (`100644`, `100755`, `120000` symlink, `160000` submodule), blob id, path."""

    mode: str
    blob: str
    path: str


@dataclass(frozen=True)
class Git:
    """A bare clone made by us."""

    directory: Path

    def output(self, *args: str, stdin: bytes | None = None, timeout: float = 600.0) -> bytes:
        """Standard output of `git args` in this repository."""
        return run(
            ["git", *_OPTIONS, "--git-dir", str(self.directory), *args],
            env=SAFE_ENVIRONMENT,
            stdin=stdin,
            timeout=timeout,
        )

    def conversation(self, *args: str) -> "subprocess.Popen[bytes]":
        """Start `git args` in this repository, with requests on its standard input."""
        return start(["git", *_OPTIONS, "--git-dir", str(self.directory), *args], env=SAFE_ENVIRONMENT)

    def text(self, *args: str) -> str:
        """`output`, decoded and stripped."""
        return self.output(*args).decode(errors="replace").strip()

    def resolve(self, revision: str) -> str:
        """The full commit id of a revision; RepositoryError if there is none."""
        try:
            return self.text("rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}")
        except CommandFailed as error:
            raise RepositoryError(f"{self.directory}: no commit {revision!r}") from error

    def tree(self, commit: str) -> list[TreeEntry]:
        """All files of a commit, in path order."""
        entries = []
        for record in self.output("ls-tree", "-r", "-z", "--full-tree", commit).split(b"\0"):
            if record:
                head, path = record.split(b"\t", 1)
                mode, _, blob = head.decode().split(" ")
                entries.append(TreeEntry(mode, blob, path.decode(errors="surrogateescape")))
        return entries

    def blobs(self, ids: list[str]) -> dict[str, bytes]:
        """Contents by blob id, in one process. Raises RepositoryError for a missing id."""
        out = self.output("cat-file", "--batch", stdin="".join(f"{i}\n" for i in ids).encode())
        contents: dict[str, bytes] = {}
        position = 0
        for wanted in ids:
            end = out.index(b"\n", position)
            header = out[position:end].decode().split(" ")
            if header[-1] == "missing":
                raise RepositoryError(f"{self.directory}: object {wanted} is missing")
            size = int(header[2])
            contents[wanted] = out[end + 1 : end + 1 + size]
            position = end + 1 + size + 1
        return contents

    def read(self, commit: str, path: str) -> bytes | None:
        """A file's content at a commit, or None if it is not a regular file there."""
        record = self.output("ls-tree", "-z", "--full-tree", commit, "--", f":(literal){path}").rstrip(b"\0")
        if not record or not record.startswith((b"100644", b"100755")):
            return None
        return self.output("cat-file", "blob", record.split(b"\t", 1)[0].split(b" ")[2].decode())

    def export(self, commit: str, destination: Path) -> None:
        """Write a commit's files under `destination`, byte for byte, without `.git` and without applying attributes.

        Submodules are skipped. A symlink is written only if it leads inside the tree. Raises RepositoryError for a path
        that would leave `destination` or is a file and a folder (git refuses to make one, but a crafted repository can
        contain one), and
        InfrastructureError when the disk is full.
        """
        entries = [entry for entry in self.tree(commit) if entry.mode != "160000"]
        contents = self.blobs(sorted({entry.blob for entry in entries}))
        try:
            for entry in entries:
                if not inside(entry.path):
                    raise RepositoryError(f"{self.directory}: commit {commit[:12]} holds the path {entry.path!r}")
                if entry.mode != "120000":
                    target = destination / entry.path
                    target.parent.mkdir(parents=True, exist_ok=True)
                    target.write_bytes(contents[entry.blob])
                    target.chmod(0o755 if entry.mode == "100755" else 0o644)
            # Links come last, so that no file is ever written through one.
            goals = {e.path: contents[e.blob].decode(errors="surrogateescape") for e in entries if e.mode == "120000"}
            make_links(destination, goals)
        except (FileExistsError, NotADirectoryError, IsADirectoryError) as error:
            path = str(error.filename).removeprefix(f"{destination}/")
            raise RepositoryError(
                f"{self.directory}: commit {commit[:12]} holds the path {path!r} both as a file and as a folder"
            ) from error
        except OSError as error:
            raise InfrastructureError(f"{destination} cannot be written: {error.strerror}") from error

    def last_tag(self, commit: str) -> str | None:
        """The nearest tag among a commit's ancestors, or None."""
        try:
            return self.text("describe", "--tags", "--abbrev=0", commit)
        except CommandFailed:
            return None


def clone(source: str, destination: Path) -> Git:
    """A bare clone of a path or URL, with objects and refs only, whole history.

    A hostile server or pack costs at most half an hour. Raises RepositoryError if the source is no repository, is
    empty, is shallow, is damaged, uses sha256, borrows objects or contains links, or needs a transport other than
    file, https and ssh; AirGapError for a URL in air-gapped mode; DiskFull.
    """
    local = local_path(source)
    if local is None:
        refuse_remote(source)
    else:
        local = local.resolve()
        if local.is_dir():
            refuse_leading_elsewhere(local)
        elif not local.is_file():
            raise RepositoryError(f"{local} is neither a folder nor a file; give a path or a URL of a git repository")
    try:
        run(
            [
                "git",
                *_OPTIONS,
                *_TRANSPORTS,
                "clone",
                "--quiet",
                "--bare",
                "--no-local",
                "--template=",
                "--",
                source if local is None else str(local),
                str(destination),
            ],
            env={**SAFE_ENVIRONMENT, "GIT_ALLOW_PROTOCOL": ":".join(ALLOWED)} if local is None else SAFE_ENVIRONMENT,
            timeout=_LONGEST_CLONE,
        )
    except CommandFailed as error:
        if local is not None and "does not exist" in error.stderr:
            raise RepositoryError(f"{local} is no git repository; give a path or a URL of one") from error
        if os.strerror(errno.ENOSPC) in error.stderr:
            raise DiskFull(f"{source} cannot be cloned: the disk of {destination} is full; free some space") from error
        raise RepositoryError(f"{source} cannot be cloned: {_reason(error.stderr)}") from error
    git = Git(destination)
    if (algorithm := git.text("rev-parse", "--show-object-format")) != "sha1":
        raise RepositoryError(f"{source} names its objects by {algorithm}; only repositories with sha1 can be read")
    if (destination / "shallow").exists():
        raise RepositoryError(f"{source} is a shallow clone; fetch its whole history first")
    try:
        git.text("rev-parse", "--verify", "--quiet", "HEAD^{commit}")
    except CommandFailed as error:
        if not git.text("for-each-ref", "--count=1", "refs/heads"):
            raise RepositoryError(f"{source} has no commits") from error
        raise RepositoryError(
            f"HEAD of {source} names no branch; run `git symbolic-ref HEAD refs/heads/BRANCH` in it"
        ) from error
    git.output("config", "--remove-section", "remote.origin")  # its URL may contain a password
    return git


_ADVICE = "fatal: Could not read from remote repository"
"""Where git begins to guess at access rights, after the line that says what happened."""


def _reason(stderr: str) -> str:
    """Why git could not clone: its last line before general advice, or the first one for objects that it could not
    read."""
    lines = [_printable(line).rstrip() for line in stderr.strip().splitlines()] or ["git printed nothing"]
    if not re.search(r"index-pack|corruption|unpack|not all|necessary objects", stderr):
        advice = next((n for n, line in enumerate(lines) if line.startswith(_ADVICE)), len(lines))
        return lines[max(advice - 1, 0)]
    first = next((line for line in lines if re.match(r"(?:remote: )?(?:error|fatal):", line)), lines[-1])
    return f"it is damaged ({first.removeprefix('remote: ')}); run `git fsck` in it"


def _printable(text: str) -> str:
    """A server's message without control characters."""
    return re.sub(r"[\x00-\x1f\x7f-\x9f]", "?", text)[:300]


_OWN_SETTINGS = frozenset({"core.repositoryformatversion", "core.filemode", "core.bare", "blame.markunblamablelines"})
_OWN_ENTRIES = frozenset({"HEAD", "config", "objects", "packed-refs", "refs"})
_OWN_OBJECTS = re.compile(
    r"objects/(?:[0-9a-f]{2}(?:/(?:[0-9a-f]{38}|[0-9a-f]{62}))?|info(?:/packs)?"
    r"|pack(?:/pack-(?:[0-9a-f]{40}|[0-9a-f]{64})\.(?:pack|idx|rev|bitmap|mtimes|keep))?)"
)


def foreign_part(directory: Path) -> str | None:
    """Content of a transferred clone that our clones never have: files, links, settings or borrowed objects that git
    may act on. The configuration is read as a file; git does not act on it.
    """
    if directory.is_symlink() or not directory.is_dir():
        return "is not a folder of the package itself"
    if odd := next(odd_entries(directory), None):
        return f"is not self-contained: {odd}"
    entries = sorted({entry.name for entry in directory.iterdir()} - _OWN_ENTRIES)
    if entries:
        return f"holds {entries[0][:80]}"
    if foreign := _foreign_object(directory) or _foreign_ref(directory):
        return foreign
    try:
        listed = run(
            ["git", "config", "--no-includes", "--file", str(directory / "config"), "--name-only", "--list"],
            env=SAFE_ENVIRONMENT,
        )
    except CommandFailed:
        return "has a config that git cannot read"
    settings = sorted(set(listed.decode(errors="replace").split()) - _OWN_SETTINGS)
    return f"config sets {settings[0][:80]}" if settings else None


def _foreign_object(directory: Path) -> str | None:
    objects = directory / "objects"
    for folder, folders, files in os.walk(objects):
        for name in sorted([*folders, *files]):
            path = Path(folder, name).relative_to(directory).as_posix()
            if not _OWN_OBJECTS.fullmatch(path) and not _is_cache(path):
                return f"holds {path[:200]}"
    return None


def _is_cache(path: str) -> bool:
    """Whether a file only caches what objects say, to speed git up; git is configured not to use it."""
    return re.fullmatch(r"objects/info/(commit-graph|commit-graphs(/.*)?)", path) is not None


def _foreign_ref(directory: Path) -> str | None:
    try:
        head = small_text(directory / "HEAD").strip()
    except RepositoryError as error:
        return f"has an invalid HEAD: {error}"
    if not re.fullmatch(r"ref: refs/heads/(?!.*\.\.)[^\s\x00-\x1f~^:?*\[\\]+|[0-9a-f]{40}|[0-9a-f]{64}", head):
        return f"has a HEAD that names no branch and no commit: {head[:80]!a}"
    if (directory / "refs" / "replace").exists():
        return "contains refs/replace"
    packed = directory / "packed-refs"
    if packed.is_file() and b" refs/replace/" in packed.read_bytes():
        return "contains refs/replace"
    return None
