"""The commits before a revision, each looked up once: the next history is the last one and what came since.

A history is the MOST_COMMITS latest of a revision and its ancestors, without merges. It follows from that of any one
ancestor and from what is not that ancestor's: what happens to be cached does not change what is found.
"""

import json
import zlib
from collections.abc import Sequence

from agent.index.cache import IndexCache
from agent.index.source import PastCommit, Source, by_age

MOST_COMMITS = 2000
"""Ancestors that are looked at."""
_LONGEST_DELTA = 64
"""Commits since a history kept whole, above which the next is kept whole as well."""
_Delta = tuple[str, tuple[PastCommit, ...]]


def history(source: Source, cache: IndexCache | None) -> tuple[PastCommit, ...]:
    """The revision and its ancestors, the latest first."""
    if cache is None or not source.complete:
        return tuple(source.commits(MOST_COMMITS))
    known = cache.histories()
    since = source.since(known.__contains__) if known else None
    before = _whole(cache, since.ancestor) if since else None
    if since is None or before is None:
        found = tuple(source.commits(MOST_COMMITS))
        cache.keep_history(source.revision, _packed("", found), found)
        return found
    found = tuple(sorted((*since.commits, *before), key=by_age)[:MOST_COMMITS]) if since.commits else before
    if since.ancestor != source.revision:
        cache.keep_history(source.revision, _kept(cache, since.ancestor, since.commits, found), found)
    return found


def _whole(cache: IndexCache, revision: str) -> tuple[PastCommit, ...] | None:
    """A history that is kept; None if it is not, or damaged."""
    if (held := cache.held_history(revision)) is not None:
        return held
    delta = _read(cache, revision)
    if delta is None:
        return None
    base, commits = delta
    if not base:
        return commits
    below = _read(cache, base)
    return None if below is None else tuple(sorted((*commits, *below[1]), key=by_age)[:MOST_COMMITS])


def _kept(cache: IndexCache, ancestor: str, commits: Sequence[PastCommit], found: tuple[PastCommit, ...]) -> bytes:
    """What to keep of a history: what came since one that is kept whole, if that is little."""
    below = _read(cache, ancestor)
    if below is not None:
        base, earlier = below if below[0] else (ancestor, ())
        delta = (*commits, *earlier)
        if len(delta) <= _LONGEST_DELTA:
            return _packed(base, delta)
    return _packed("", found)


def _read(cache: IndexCache, revision: str) -> _Delta | None:
    packed = cache.kept_history(revision)
    if packed is None:
        return None
    base, commits = json.loads(zlib.decompress(packed).decode("utf-8", "surrogatepass"))
    return base, tuple(
        PastCommit(sha, subject, body, tuple(paths), when, tuple(parents), tuple((old, new) for old, new in renames))
        for sha, subject, body, paths, when, parents, renames in commits
    )


def _packed(base: str, commits: Sequence[PastCommit]) -> bytes:
    return zlib.compress(json.dumps([base, commits], ensure_ascii=False).encode("utf-8", "surrogatepass"), 1)
