"""The organisation that a project says it belongs to, where its clone does not tell: the owner in its own URLs."""

import re
from collections import Counter

from repos.git import Git

_FILES = ("pyproject.toml", "setup.cfg", "setup.py")
_URL = re.compile(r"(?:github|gitlab)\.com[/:]([A-Za-z0-9][\w.-]*)/([A-Za-z0-9][\w.-]*)", re.IGNORECASE)
_NOT_OWNERS = frozenset({"apps", "marketplace", "orgs", "settings", "sponsors", "topics", "users"})


def owner_by_urls(git: Git, commit: str, name: str) -> str | None:
    """The owner of the repositories that the metadata at a commit links to, those of this name first; None without."""
    named: Counter[str] = Counter()
    all_owners: Counter[str] = Counter()
    for file in _FILES:
        content = git.read(commit, file) or b""
        for owner, project in _URL.findall(content.decode("utf-8", "replace")):
            if owner.lower() not in _NOT_OWNERS:
                all_owners[owner.lower()] += 1
                named[owner.lower()] += _plain(project.removesuffix(".git")) == _plain(name)
    ranked = sorted(all_owners, key=lambda owner: (-named[owner], -all_owners[owner], owner))
    return ranked[0] if ranked else None


def _plain(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name.lower())
