"""The history of a revision, each commit looked up once: computed from a known history and the new commits.

A history is the MOST_COMMITS latest of a revision and its ancestors, without merges. It follows from the history of any
ancestor and the commits that are not that ancestor's; where no ancestor is known, as when revisions are requested from
the latest back, git lists the ids, and the commits themselves come from the most recent history. The result does not
depend on what is cached.
"""

import json
import zlib
from functools import cached_property
from typing import NamedTuple

from repos.index.cache import CachedHistory, IndexCache
from repos.index.source import PastCommit, RevisionSource, by_age

MOST_COMMITS = 2000
"""Limit on the ancestors of a history."""
_LONGEST_CHAIN = 50
"""Longest chain of histories stored as deltas, before one is stored whole."""
_Commits = tuple[PastCommit, ...]


class _Kept(NamedTuple):
    """A stored history: that of `base`, itself at depth `depth - 1`, plus some commits and without those whose ids are
    `gone`; complete if `base` is empty."""

    base: str
    depth: int
    commits: _Commits
    gone: tuple[str, ...] = ()

    @property
    def size(self) -> int:
        """Size of the delta to `base`."""
        return len(self.commits) + len(self.gone)


def history(source: RevisionSource, cache: IndexCache | None) -> _Commits:
    """The revision and its ancestors, the latest first."""
    if cache is None or not source.complete:
        return tuple(source.commits(MOST_COMMITS, {}))
    found = _following(source, cache)
    return _leading(source, cache) if found is None else found


def _following(source: RevisionSource, cache: IndexCache) -> _Commits | None:
    """The history by that of a known ancestor; None if there is none, or if a known descendant gives it for less."""
    known = _Known(cache)
    if not known(source.revision) and _leads_to(source.revision, cache.latest_history()):
        return None
    since = source.since(known)
    before = _whole(cache, since.ancestor) if since else None
    if since is None or before is None:
        return None
    depth, earlier = before
    if since.ancestor == source.revision:
        cache.hold_history(source.revision, before)
        return earlier
    found = _merged(tuple(since.commits), earlier)
    _keep(source.revision, _Kept(since.ancestor, depth + 1, tuple(since.commits)), found, cache)
    return found


def _leads_to(revision: str, later: tuple[str, CachedHistory] | None) -> bool:
    """Whether a revision is certainly an ancestor of another, whose history is given; merges are found by children."""
    return later is not None and any(revision == commit.sha or revision in commit.parents for commit in later[1][1])


def _leading(source: RevisionSource, cache: IndexCache) -> _Commits:
    """The history by the most recent one, most likely a descendant's: its commits need not be read again."""
    base, (depth, later) = cache.latest_history() or ("", (0, ()))
    cached = {commit.sha: commit for commit in later}
    found = tuple(source.commits(MOST_COMMITS, cached))
    here = {commit.sha for commit in found}
    new = tuple(commit for commit in found if commit.sha not in cached)
    gone = tuple(sha for sha in cached if sha not in here)
    _keep(source.revision, _Kept(base, depth + 1, new, gone), found, cache)
    return found


def _keep(revision: str, kept: _Kept, found: _Commits, cache: IndexCache) -> None:
    if not kept.base or kept.depth > _LONGEST_CHAIN or kept.size > _LONGEST_CHAIN:
        kept = _Kept("", 0, found)
    cache.keep_history(revision, _packed(kept), (kept.depth, found))


class _Known:
    """Whether a revision's history is cached; the file is read when it is not in memory."""

    def __init__(self, cache: IndexCache) -> None:
        self._cache = cache

    def __call__(self, revision: str) -> bool:
        return self._cache.held_history(revision) is not None or revision in self._kept

    @cached_property
    def _kept(self) -> frozenset[str]:
        return self._cache.histories()


def _whole(cache: IndexCache, revision: str) -> tuple[int, _Commits] | None:
    """A history, and the depth at which it is stored; None if it is not stored, or damaged."""
    deltas: list[_Kept] = []
    base = revision
    while (held := cache.held_history(base)) is None:
        packed = cache.kept_history(base)
        if packed is None or len(deltas) > _LONGEST_CHAIN:
            return None
        kept = _unpacked(packed)
        if not kept.base:
            held = 0, kept.commits
            break
        deltas.append(kept)
        base = kept.base
    depth, found = held
    for delta in reversed(deltas):
        gone = set(delta.gone)
        depth, found = depth + 1, _merged(delta.commits, tuple(each for each in found if each.sha not in gone))
    return depth, found


def _merged(later: _Commits, earlier: _Commits) -> _Commits:
    if not later or not earlier or by_age(later[-1]) < by_age(earlier[0]):
        return (*later, *earlier)[:MOST_COMMITS]
    return tuple(sorted((*later, *earlier), key=by_age)[:MOST_COMMITS])


def _unpacked(packed: bytes) -> _Kept:
    base, depth, commits, *gone = json.loads(zlib.decompress(packed).decode("utf-8", "surrogatepass"))
    return _Kept(base, depth, tuple(_commit(*fields) for fields in commits), tuple(*gone))


def _commit(
    sha: str, subject: str, body: str, paths: list[str], when: int, parents: list[str], renames: list[list[str]]
) -> PastCommit:
    return PastCommit(sha, subject, body, tuple(paths), when, tuple(parents), tuple((old, new) for old, new in renames))


def _packed(kept: _Kept) -> bytes:
    return zlib.compress(json.dumps(kept, ensure_ascii=False).encode("utf-8", "surrogatepass"), 1)
