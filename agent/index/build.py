"""Building a revision's index: read what is not known yet, look up the rest."""

from collections.abc import Callable

from agent.index.cache import IndexCache, Key
from agent.index.parse import MAX_BYTES, is_binary, parse_content
from agent.index.records import Record
from agent.index.repository import IndexedFile, RepositoryIndex
from agent.index.source import Source, SourceEntry
from agent.index.symbols import language_of

_BATCH = 200
Progress = Callable[[int, int], None]
"""Called with the number of files parsed and of those to parse."""


def build_index(source: Source, cache: IndexCache | None = None, progress: Progress | None = None) -> RepositoryIndex:
    """The index of a revision; the same whatever the cache holds.

    Binary files are left out. Raises InfrastructureError when the cache cannot be written, and what the source raises.
    """
    entries = source.files()
    keys = {entry.path: _key(entry) for entry in entries}
    records = cache.records(keys.values()) if cache else {}
    missing = {keys[entry.path]: entry for entry in entries if keys[entry.path] not in records}
    fresh = _parse(source, missing, progress)
    if cache:
        cache.keep(fresh)
    records |= fresh
    files = {}
    for entry in entries:
        key = keys[entry.path]
        if not records[key].binary:
            files[entry.path] = IndexedFile(entry, key[1] or None, records[key], source)
    return RepositoryIndex(source, files, cache)


def _key(entry: SourceEntry) -> Key:
    return entry.blob, language_of(entry.path) or ""


def _parse(source: Source, missing: dict[Key, SourceEntry], progress: Progress | None) -> dict[Key, Record]:
    found: dict[Key, Record] = {}
    blobs: dict[str, list[Key]] = {}
    for key, entry in missing.items():
        if entry.size > MAX_BYTES:
            found[key] = parse_content(b"", None)
        else:
            blobs.setdefault(key[0], []).append(key)
    wanted = sorted(blobs)
    for start in range(0, len(wanted), _BATCH):
        for blob, content in source.read(wanted[start : start + _BATCH]):
            for key in blobs[blob]:
                found[key] = Record.of_binary() if is_binary(content) else parse_content(content, key[1] or None)
            if progress:
                progress(len(found), len(missing))
    return found
