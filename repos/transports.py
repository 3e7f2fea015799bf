"""Allowed sources of clones: a path, or a URL of https, ssh or file. Others are refused before git starts.

git has helpers for many transports, and some run commands or read from open files (`ext::`, `fd::`).
"""

import re
from pathlib import Path
from urllib.parse import unquote, urlsplit

from host.air_gap import AS_A_PACKAGE, refuse_network
from host.folders import NAME_MAX, PATH_MAX
from models.errors import RepositoryError
from repos.text import CONTROL

ALLOWED = ("file", "https", "ssh")
_HELPER = re.compile(r"[^/]*::")
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*):/*")
_HOST = re.compile(r"(?!-)[A-Za-z0-9._-]{1,253}|\[[0-9A-Fa-f:.]{2,45}\]")
_USER = re.compile(r"(?!-)[A-Za-z0-9._-]{1,100}")
_SCP = re.compile(r"(?:(?P<user>[^@:/]+)@)?(?P<host>[^@:/]+):(?P<path>.+)")


class SourceNotFound(RepositoryError):
    """A source refers to no existing file and no URL."""


def refuse_transport(source: str) -> None:
    """Raise RepositoryError for a source that `local_path` refuses, whether or not it exists, and AirGapError for one
    of another machine in air-gapped mode."""
    try:
        local = local_path(source)
    except SourceNotFound:
        return
    if local is None:
        refuse_remote(source)


def refuse_remote(source: str) -> None:
    """In air-gapped mode, raise AirGapError for a source that must be fetched over the network."""
    refuse_network(f"the repository {source[:200]}", AS_A_PACKAGE)


def local_path(source: str) -> Path | None:
    """The path that a source refers to (also as a file URL), or None for one that must be fetched over the network.

    Raises RepositoryError for a transport other than file, https and ssh, and for a URL that could be parsed as an
    option of a program, that hides characters, or that contains credentials.
    """
    _refuse_odd_text(source)
    refuse_credentials(source)
    if _HELPER.match(source):
        raise _refused(source, "names a transport helper; give a path or an https, ssh or file URL")
    if "://" in source:
        return _of_url(source)
    if Path(source).exists():
        return Path(source)
    if source.startswith("-"):
        raise _refused(source, "looks like an option; write ./ before a path")
    match = _SCP.fullmatch(source)
    if match is None:
        raise SourceNotFound(f"{source} does not exist; give a path or a URL of a git repository")
    _check_host(source, match["user"], match["host"])
    if match["path"].startswith("-") or "\\" in match["path"]:
        raise _refused(source, "has a path that looks like an option, or holds a backslash")
    return None


def _refuse_odd_text(source: str) -> None:
    if not source.strip() or len(source) > PATH_MAX:
        raise RepositoryError(f"a source of {len(source)} characters is no repository; give a path or a URL")
    if CONTROL.search(source):
        raise _refused(source, "holds a control character")
    if any(len(part.encode("utf-8", "surrogateescape")) > NAME_MAX for part in source.split("/")):
        raise _refused(source, "has a component of more than 255 bytes")


def _of_url(source: str) -> Path | None:
    match = _SCHEME.match(source)
    scheme = match[1].lower() if match else ""
    if scheme not in ALLOWED:
        remedy = "use https" if scheme in ("git", "http") else "give a path or an https, ssh or file URL"
        raise _refused(source, f"has the transport {scheme or 'none'!r}, which is not accepted; {remedy}")
    try:
        parts = urlsplit(source)
        port = parts.port
    except ValueError as error:
        raise _refused(source, "is no URL") from error
    if re.search(r"\s", source) or "\\" in source:
        raise _refused(source, "holds a blank or a backslash; escape it")
    if scheme == "file":
        return _of_file_url(source, parts.netloc, parts.path)
    user, _, host = parts.netloc.rpartition("@")
    _check_host(source, user or None, re.sub(r":[0-9]*$", "", host))
    if port == 0 or unquote(parts.path).lstrip("/").startswith("-") or CONTROL.search(unquote(parts.path)):
        raise _refused(source, "has an odd port or path")
    return None


def _of_file_url(source: str, host: str, path: str) -> Path:
    plain = unquote(path)
    if host not in ("", "localhost") or not plain.startswith("/") or CONTROL.search(plain):
        raise _refused(source, "names no file of this machine; give its path")
    if not Path(plain).exists():
        raise SourceNotFound(f"{source} does not exist; give a path or a URL of a git repository")
    return Path(plain)


def _check_host(source: str, user: str | None, host: str) -> None:
    """The host is passed to ssh or into a request: it must not parse as an option or as anything else."""
    if not _HOST.fullmatch(host) or (user is not None and not _USER.fullmatch(user)):
        raise _refused(source, "has an invalid host or user name")


def refuse_credentials(source: str) -> None:
    """Raise RepositoryError for a URL that contains a secret, without repeating it: messages are logged and stored."""
    web = re.match(r"https?://[^/@]+@(?P<rest>.*)", source, re.IGNORECASE)
    other = re.match(r"(?:[a-zA-Z+]+://)?[^/@:]+:[^/@]*@(?P<rest>.*)", source)
    if found := web or other:
        raise RepositoryError(
            f"the URL of {found['rest'][:200]!a} holds credentials; leave them to git's credential helper"
        )


def _refused(source: str, why: str) -> RepositoryError:
    short = source if len(source) <= 200 else f"{source[:200]}..."
    return RepositoryError(f"{short!a} {why}")
