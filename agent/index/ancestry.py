"""The commits before a revision, each looked up once: the next history is the last one and what came since.

A history is the MOST_COMMITS latest of a revision and its ancestors, without merges. It follows from that of any one
ancestor and from what is not that ancestor's: what happens to be cached does not change what is found.
"""

import json
import zlib
from functools import cached_property
from typing import NamedTuple

from agent.index.cache import IndexCache
from agent.index.source import PastCommit, Source, by_age

MOST_COMMITS = 2000
"""Ancestors that are looked at."""
_LONGEST_CHAIN = 50
"""Histories kept as what came since another one, one after the other, before one is kept whole."""
_Commits = tuple[PastCommit, ...]


class _Kept(NamedTuple):
    """A history as it is kept: what came since `base`, kept so itself, `depth` times over; all if that is empty."""

    base: str
    depth: int
    commits: _Commits


def history(source: Source, cache: IndexCache | None) -> _Commits:
    """The revision and its ancestors, the latest first."""
    if cache is None or not source.complete:
        return tuple(source.commits(MOST_COMMITS))
    known = _Known(cache)
    since = source.since(known)
    before = _whole(cache, since.ancestor) if since else None
    if since is None or before is None:
        found = tuple(source.commits(MOST_COMMITS))
        cache.keep_history(source.revision, _packed(_Kept("", 0, found)), (0, found))
        return found
    depth, earlier = before
    if since.ancestor == source.revision:
        cache.hold_history(source.revision, before)
        return earlier
    found = _merged(tuple(since.commits), earlier)
    kept = _Kept(since.ancestor, depth + 1, tuple(since.commits))
    if depth >= _LONGEST_CHAIN or len(kept.commits) > _LONGEST_CHAIN:
        kept = _Kept("", 0, found)
    cache.keep_history(source.revision, _packed(kept), (kept.depth, found))
    return found


class _Known:
    """Whether a revision's history is held or kept; the file is read when memory does not tell."""

    def __init__(self, cache: IndexCache) -> None:
        self._cache = cache

    def __call__(self, revision: str) -> bool:
        return self._cache.held_history(revision) is not None or revision in self._kept

    @cached_property
    def _kept(self) -> frozenset[str]:
        return self._cache.histories()


def _whole(cache: IndexCache, revision: str) -> tuple[int, _Commits] | None:
    """A history, and how many others it is kept by; None if it is not kept, or damaged."""
    deltas: list[_Commits] = []
    base = revision
    while (held := cache.held_history(base)) is None:
        packed = cache.kept_history(base)
        if packed is None or len(deltas) > _LONGEST_CHAIN:
            return None
        kept = _unpacked(packed)
        if not kept.base:
            held = 0, kept.commits
            break
        deltas.append(kept.commits)
        base = kept.base
    depth, found = held
    for delta in reversed(deltas):
        depth, found = depth + 1, _merged(delta, found)
    return depth, found


def _merged(later: _Commits, earlier: _Commits) -> _Commits:
    if not later or not earlier or by_age(later[-1]) < by_age(earlier[0]):
        return (*later, *earlier)[:MOST_COMMITS]
    return tuple(sorted((*later, *earlier), key=by_age)[:MOST_COMMITS])


def _unpacked(packed: bytes) -> _Kept:
    base, depth, commits = json.loads(zlib.decompress(packed).decode("utf-8", "surrogatepass"))
    return _Kept(base, depth, tuple(_commit(*fields) for fields in commits))


def _commit(
    sha: str, subject: str, body: str, paths: list[str], when: int, parents: list[str], renames: list[list[str]]
) -> PastCommit:
    return PastCommit(sha, subject, body, tuple(paths), when, tuple(parents), tuple((old, new) for old, new in renames))


def _packed(kept: _Kept) -> bytes:
    return zlib.compress(json.dumps(kept, ensure_ascii=False).encode("utf-8", "surrogatepass"), 1)
