"""Sources that name a transport, a program's option, or something that is waited for without end.

Each is refused before git starts: a stand-in for git, first on the search path, notes whether it was called.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.attacks._package import make_repository
from benchmarks.attacks.base import Attack, GotThrough
from models.errors import RepositoryError
from repos.clones import cached_clone
from repos.git import clone

KIND = "URLs"


@contextmanager
def _git_watched(scratch: Path) -> Iterator[Path]:
    """The file that exists once git or ssh was started."""
    tools, called = scratch / "tools", scratch / "called"
    tools.mkdir()
    for name in ("git", "ssh", "git-remote-ext", "curl"):
        (tools / name).write_text(f"#!/bin/sh\necho {name} > '{called}'\nexit 128\n")
        (tools / name).chmod(0o755)
    before = os.environ["PATH"]
    os.environ["PATH"] = f"{tools}:{before}"
    try:
        yield called
    finally:
        os.environ["PATH"] = before


def _refused(source: str) -> Callable[[Path], str]:
    """Refused at once and in one printable line, both as a source and as the path of one's own repository."""

    def attack(scratch: Path) -> str:
        text = source.replace("SCRATCH", str(scratch))
        with _git_watched(scratch) as called:
            said = _said(lambda: clone(text, scratch / "made"))
            if called.exists():
                raise GotThrough(f"{called.read_text().strip()} was started")
            if text.strip() and not _is_folder(text):
                said += _said(lambda: _keep(text, scratch))
                if called.exists():
                    raise GotThrough(f"{called.read_text().strip()} was started")
        if "secret" in said:
            raise GotThrough("a password was repeated")
        return said[:150]

    return attack


def _is_folder(text: str) -> bool:
    try:
        return Path(text).is_dir()
    except OSError:  # too long
        return False


def _keep(text: str, scratch: Path) -> None:
    with cached_clone(Path(text), scratch / "cache"):
        pass


def _said(use: Callable[[], object]) -> str:
    try:
        use()
    except RepositoryError as error:
        if not str(error).isprintable() or len(str(error)) > 2000:
            raise GotThrough(f"the message holds what a terminal acts on: {str(error)[:100]!a}") from error
        return str(error)
    raise GotThrough("it was accepted")


def _pipe_behind_a_url(scratch: Path) -> str:
    os.mkfifo(scratch / "pipe")
    return _refused("file://SCRATCH/pipe")(scratch)


def _device(scratch: Path) -> str:
    return _refused("/dev/zero")(scratch)


def _repository_named_like_a_helper(scratch: Path) -> str:
    """A folder of that name is a folder; the helper is not started."""
    make_repository(scratch / "fd::17")
    before = Path.cwd()
    os.chdir(scratch)
    try:
        return _refused("fd::17")(scratch)
    finally:
        os.chdir(before)


_SOURCES = (
    ("fd helper", "fd::17"),
    ("fd helper with a path", "fd::3,4/repo"),
    ("ext helper", "ext::sh -c touch% SCRATCH/evil"),
    ("ext helper in capital letters", "EXT::sh -c touch% SCRATCH/evil"),
    ("helper over an allowed transport", "https::https://example.org/x"),
    ("file helper", "file::/tmp/x"),
    ("unknown helper", "evil::x"),
    ("helper with dashes", "remote-evil::x"),
    ("helper with dots and plus", "a.b+c::x"),
    ("helper of one letter", "x::y"),
    ("helper behind a blank", " ext::sh"),
    ("scheme that starts a helper", "ext://sh"),
    ("http", "http://example.org/x"),
    ("http in capital letters", "HTTP://example.org/x"),
    ("git", "git://example.org/x"),
    ("ftp", "ftp://example.org/x"),
    ("ftps", "ftps://example.org/x"),
    ("rsync", "rsync://example.org/x"),
    ("gopher", "gopher://example.org/x"),
    ("old names of ssh", "git+ssh://example.org/x"),
    ("old names of ssh, turned round", "ssh+git://example.org/x"),
    ("bundle scheme", "bundle://example.org/x"),
    ("cloud helper", "codecommit::us-east-1://x"),
    ("no scheme", "://example.org/x"),
    ("option", "--upload-pack=touch SCRATCH/evil"),
    ("short option", "-uevil"),
    ("option with a colon", "-oProxyCommand=touch SCRATCH/evil:x"),
    ("ssh host that is an option", "ssh://-oProxyCommand=touch/x"),
    ("ssh host that is an escaped option", "ssh://%2doProxyCommand=touch/x"),
    ("ssh user that is an option", "ssh://-oProxyCommand=x@example.org/x"),
    ("scp host that is an option", "-oProxyCommand=x:y"),
    ("scp user that is an option", "-l@example.org:y"),
    ("scp path that is an option", "example.org:-evil"),
    ("scp host with a blank", "a b:c"),
    ("scp host with a dollar", "$(touch evil):c"),
    ("https host that is an option", "https://-evil/x"),
    ("https without a host", "https:///x"),
    ("https host with a variable", "https://${HOME}/x"),
    ("https port that is none", "https://example.org:evil/x"),
    ("https port out of range", "https://example.org:99999/x"),
    ("https host in half brackets", "https://[::1/x"),
    ("password", "https://me:secret@example.org/x"),
    ("token", "https://secret@example.org/x"),
    ("password of ssh", "ssh://me:secret@example.org/x"),
    ("password of scp", "me:secret@example.org:x"),
    ("newline", "https://example.org/x\nhttps://example.org/y"),
    ("terminal codes", "https://example.org/\x1b[2J"),
    ("NUL", "https://example.org/\0x"),
    ("text that reads backwards", "https://example.org/\u202ex"),
    ("escaped newline", "https://example.org/%0aHost:%20evil"),
    ("blank", "https://example.org/a b"),
    ("backslash", "https:\\\\example.org\\x"),
    ("file of another machine", "file://example.org/x"),
    ("file that is not there", "file:///nowhere/at/all"),
    ("file without a root", "file://./x"),
    ("file with an escaped NUL", "file:///tmp/%00x"),
    ("one megabyte", "https://example.org/" + "a" * (1 << 20)),
    ("name of 10,000 characters", "a" * 10_000),
    ("nothing", ""),
    ("blanks", "   "),
)


def attacks() -> list[Attack]:
    """The attacks of this kind."""
    return [
        *(Attack(KIND, name, _refused(source)) for name, source in _SOURCES),
        Attack(KIND, "pipe behind a file URL", _pipe_behind_a_url),
        Attack(KIND, "device", _device),
        Attack(KIND, "repository that is named like a helper", _repository_named_like_a_helper),
    ]
